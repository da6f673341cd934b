"""Vectors of whole numbers as symbols."""

from __future__ import annotations

import numpy as np

from carla_cp.codecs.bitstream import SymbolReader, SymbolWriter
from carla_cp.codecs.tokens import ACTIVITIES, LIMIT, TokenModel
from carla_cp.types import FloatArray, IntArray


def tokens(count: int, seed: int = 0) -> IntArray:
    """Half of them loud, half of them quiet, throughout their channels."""
    rng = np.random.default_rng([seed, 5])
    scale = np.where(rng.random((count, 1)) < 0.5, 0.4, 4.0)
    return np.rint(rng.laplace(0, scale, (count, 6))).astype(np.int64).clip(-LIMIT, LIMIT)


def counted(count: int, merged: bool) -> TokenModel:
    """Learnt of so many tokens; `merged`: with the same table in every context."""
    counts = np.zeros((6, ACTIVITIES, 2 * LIMIT + 1))
    TokenModel.count(tokens(count), counts)
    return TokenModel.learnt(np.broadcast_to(counts.sum(1, keepdims=True), counts.shape) if merged else counts)


def test_tokens_come_back_at_the_cost_that_was_foretold() -> None:
    model = counted(4000, merged=False)
    for count in (0, 1, 7, 300):
        values, writer = tokens(count, 1), SymbolWriter()
        model.write(writer, values)
        reader = SymbolReader(writer.to_bytes())
        np.testing.assert_array_equal(model.read(reader, count), values)
        reader.finish()
        assert len(writer.to_bytes()) <= 1.03 * model.bits(values) / 8 + 16


def test_channels_before_tell_loud_tokens_from_quiet_ones() -> None:
    model, values = counted(4000, merged=False), tokens(2000, 2)
    assert model.bits(values) < 0.95 * counted(4000, merged=True).bits(values)


def test_counts_are_those_of_a_loop() -> None:
    values = tokens(40, 3)
    counts: FloatArray = np.zeros((6, ACTIVITIES, 2 * LIMIT + 1))
    TokenModel.count(values, counts)
    plain = np.zeros_like(counts)
    for row in values.tolist():
        for channel, value in enumerate(row):
            before = sum(abs(other) for other in row[max(0, channel - 2) : channel])
            plain[channel, 0 if before < 1 else 1 if before < 2 else 2 if before < 4 else 3, value + LIMIT] += 1
    np.testing.assert_array_equal(counts, plain)
