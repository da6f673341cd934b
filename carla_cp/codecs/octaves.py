"""Signed integers as symbols: the octave by a learnt table, the bits below its leading one as they are.

After Elias (Universal codeword sets, 1975), with the octave's unary part entropy-coded: a few table entries serve any
distribution that falls smoothly away from zero, whatever its width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.bitstream import TABLE_TOTAL, SymbolReader, Table
from carla_cp.types import IntArray

MAX_BITS = 16  # of a magnitude
_HALVES = [Table(np.full(1 << bits, TABLE_TOTAL >> bits)) for bits in range(MAX_BITS)]


class Sink(Protocol):
    """What symbols can be handed to: a SymbolWriter, or one that only measures them."""

    def put(self, symbols: IntArray, table: Table) -> None:
        """Appends symbols in [0, len(table))."""

    def put_in_context(self, symbols: IntArray, contexts: IntArray, tables: Sequence[Table]) -> None:
        """Appends symbols, each with the table of its context."""


class Meter:
    """What symbols cost by their tables."""

    def __init__(self) -> None:
        self.bits = 0.0

    def put(self, symbols: IntArray, table: Table) -> None:
        """Adds what symbols cost."""
        self.bits += float(table.bits[symbols].sum())

    def put_in_context(self, symbols: IntArray, contexts: IntArray, tables: Sequence[Table]) -> None:
        """Adds what symbols cost, each by the table of its context."""
        for context in np.unique(contexts):
            self.put(symbols[contexts == context], tables[context])


class Octaves:
    """The model of one field: per context a table over [-bits, bits], negative for negative values."""

    def __init__(self, weights: npt.ArrayLike) -> None:
        """Of weights (contexts, 2 bits + 1), each row as `Table` wants it; values lie in +-(2**bits - 1)."""
        self.tables = [Table(row) for row in np.asarray(weights)]
        self.bits = len(self.tables[0].weights) // 2

    @property
    def most(self) -> int:
        """The greatest magnitude that can be said."""
        return (1 << self.bits) - 1

    def write(self, sink: Sink, values: IntArray, contexts: IntArray) -> None:
        """Appends values, each in its context."""
        octaves = octaves_of(values)
        sink.put_in_context(octaves + self.bits, contexts, self.tables)
        wide = np.abs(octaves) > 1
        low = np.abs(values[wide]) - (1 << (np.abs(octaves[wide]) - 1))
        sink.put_in_context(low, np.abs(octaves[wide]) - 1, _HALVES)

    def read(self, reader: SymbolReader, contexts: IntArray) -> IntArray:
        """The values that `write` appended with these contexts."""
        octaves = reader.take_in_context(contexts, self.tables) - self.bits
        sizes = np.abs(octaves)
        magnitudes = np.minimum(sizes, 1)
        wide = sizes > 1
        magnitudes[wide] = (1 << (sizes[wide] - 1)) + reader.take_in_context(sizes[wide] - 1, _HALVES)
        return np.asarray(np.sign(octaves) * magnitudes, np.int64)


def octaves_of(values: IntArray) -> IntArray:
    """The bit length of each magnitude, with the value's sign."""
    return np.asarray(np.sign(values) * np.frexp(np.abs(values).astype(np.float64))[1], np.int64)
