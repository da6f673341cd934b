"""The packets of ERMVP's own rate."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carla_cp.codecs.bitstream import PayloadError
from carla_cp.codecs.ermvp_paper import Tokens, plain_bodies, read_plain
from carla_cp.types import IntArray

SHAPE, CHANNELS = (20, 30), 5


def drawn(cells: int, tokens: int, seed: int = 4) -> tuple[IntArray, IntArray, Tokens]:
    """Flat cells, ascending, the token of each, and tokens; each has a cell."""
    rng = np.random.default_rng([seed, 1])
    kept = np.sort(rng.permutation(SHAPE[0] * SHAPE[1])[:cells])
    owner = rng.permutation(np.arange(cells) % tokens)
    return kept, owner, rng.gamma(1.0, 1.0, (tokens, CHANNELS)).astype(np.float32)


@given(cells=st.integers(1, 600), share=st.floats(0.001, 1.0), limit=st.integers(60, 3000), seed=st.integers(0, 99))
def test_every_cell_comes_back_once_with_its_token(cells: int, share: float, limit: int, seed: int) -> None:
    kept, owner, tokens = drawn(cells, max(1, int(share * cells)), seed)
    bodies = plain_bodies(kept, owner, tokens, limit)
    assert max(map(len, bodies)) <= limit
    seen, values, sent = np.zeros(SHAPE, np.int64), np.zeros((*SHAPE, CHANNELS), np.float32), 0
    for body in bodies:
        mask, found, count = read_plain(body, SHAPE, CHANNELS)
        seen += mask
        values[mask] = found
        sent += count
    assert np.flatnonzero(seen).tolist() == kept.tolist() and seen.max() == 1
    np.testing.assert_array_equal(values.reshape(-1, CHANNELS)[kept], tokens[owner])
    assert sent >= len(tokens)
    assert sum(map(len, bodies)) == 4 * len(bodies) + 4 * cells + 4 * CHANNELS * sent


def test_a_token_of_more_cells_than_a_packet_holds_is_sent_again() -> None:
    kept, owner, tokens = drawn(100, 1)
    bodies = plain_bodies(kept, owner, tokens, 4 + 4 * CHANNELS + 4 * 40)
    assert [int.from_bytes(body[:4], "little") for body in bodies] == [34, 33, 33]


def test_bytes_of_given_cells_never_change() -> None:
    bodies = plain_bodies(*drawn(200, 40), 700)
    assert [(len(body), zlib.crc32(body)) for body in bodies] == GOLDEN


def test_bodies_that_say_nonsense_are_refused() -> None:
    body = plain_bodies(*drawn(50, 10), 700)[0]
    tail = np.frombuffer(body[-4:], "<f4")
    for bad in (
        b"",
        body[:-4],
        body[:-4] + (-1 - tail).tobytes(),
        body[:-4] + np.float32(np.nan).tobytes(),
        body[:4] + body[8:12] + body[8:],
        body[:4] + b"\xff" * 4 + body[8:],
        bytes(4),
    ):
        with pytest.raises(PayloadError):
            read_plain(bad, SHAPE, CHANNELS)


GOLDEN = [(684, 3964817120), (684, 2087346276), (244, 2681173742)]
