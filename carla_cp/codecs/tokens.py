"""Vectors of whole numbers as symbols: channel by channel, each in the context of the two channels before it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.bitstream import SymbolReader, SymbolWriter, Table
from carla_cp.types import FloatArray, IntArray

LIMIT = 31  # of a value's magnitude
ACTIVITIES = 4  # contexts: 0, 1, 2 to 3 and more than 3 in the two channels before


class TokenModel:
    """The tables of each channel and context."""

    def __init__(self, weights: npt.ArrayLike) -> None:
        """Of table weights (channels, ACTIVITIES, 2 LIMIT + 1), each row as `Table` wants it."""
        self.weights: IntArray = np.array(weights, np.int64)
        self.tables = [[Table(row) for row in rows] for rows in self.weights]

    @staticmethod
    def uniform(channels: int) -> TokenModel:
        """One that knows nothing."""
        return TokenModel(np.broadcast_to(Table.uniform(2 * LIMIT + 1).weights, (channels, ACTIVITIES, 2 * LIMIT + 1)))

    @staticmethod
    def learnt(counts: FloatArray) -> TokenModel:
        """The one that suits these counts (channels, ACTIVITIES, 2 LIMIT + 1), with every value kept possible."""
        return TokenModel([[Table.from_counts(_smooth(row)).weights for row in rows] for rows in counts])

    @staticmethod
    def count(tokens: IntArray, counts: FloatArray) -> None:
        """Adds tokens (N, channels) to `counts`."""
        for channel, values in enumerate(tokens.T):
            np.add.at(counts[channel], (_contexts(tokens, channel), values + LIMIT), 1.0)

    def bits(self, tokens: IntArray) -> float:
        """What `write` will take."""
        costs = [np.stack([table.bits for table in rows]) for rows in self.tables]
        columns = enumerate(tokens.T)
        return float(sum(costs[at][_contexts(tokens, at), values + LIMIT].sum() for at, values in columns))

    def write(self, writer: SymbolWriter, tokens: IntArray) -> None:
        """Appends tokens (N, channels) of values within LIMIT."""
        for channel, tables in enumerate(self.tables):
            writer.put_in_context(tokens[:, channel] + LIMIT, _contexts(tokens, channel), tables)

    def read(self, reader: SymbolReader, count: int) -> IntArray:
        """The `count` tokens that `write` appended."""
        tokens = np.zeros((count, len(self.tables)), np.int64)
        for channel, tables in enumerate(self.tables):
            tokens[:, channel] = reader.take_in_context(_contexts(tokens, channel), tables) - LIMIT
        return tokens


def _contexts(tokens: IntArray, channel: int) -> IntArray:
    before = np.abs(tokens[:, max(0, channel - 2) : channel]).sum(1)
    return np.asarray(np.digitize(before, (1, 2, 4)), np.int64)


def _smooth(counts: FloatArray) -> FloatArray:
    return np.asarray(np.convolve(counts, (0.05, 0.9, 0.05), "same") + 0.02)
