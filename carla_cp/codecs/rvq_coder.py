"""Indices of residual stages to symbols, each in the context of what is known of its cell and of its neighbours.

The first stage goes in three rounds: cells of even row and even column, those of odd row and odd column, the rest; all
but the first have neighbours that went before, and the code that is nearest to these neighbours' mean is the context.
That of every other stage is the index of the stage before. Contexts of like statistics share a table. Cells may have
one of two depths, and say which in the context of what their neighbours said.
All of it is exact on every machine: codebooks in fixed point, and nothing but sums of integers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.bitstream import SymbolReader, SymbolWriter, Table
from carla_cp.codecs.positions import BoolArray
from carla_cp.types import FloatArray, IntArray

DEEP_CONTEXTS, LEVELS = 6, 8  # of which depth: by neighbours; by how many cells of the message are deep
_ROUNDS: tuple[tuple[tuple[int, int], ...], ...] = (
    (),
    ((-1, -1), (-1, 1), (1, -1), (1, 1)),
    ((-1, 0), (1, 0), (0, -1), (0, 1)),
)  # where the neighbours lie that went before
_MOST = 1 << 24  # that sums of distances may be; another bound would change the codebooks of trained weights
Small: TypeAlias = npt.NDArray[np.int32]
# Of (stage or DEEP, places in row order, contexts): the symbols, which a writer knows and a reader reads.
Coding: TypeAlias = Callable[[int, IntArray, IntArray], IntArray]
DEEP = -1


@dataclass(frozen=True, slots=True)
class Layout:
    """What all cells of a packet have in common."""

    low: int  # stages of a cell
    high: int  # stages of a deep one; equal: no cell says which it is
    level: int  # [0, LEVELS): how many are deep


@dataclass(frozen=True, eq=False)
class IndexModel:
    """Codebooks, and the tables of indices and depths."""

    books: IntArray  # (stages, codes, width), fixed point: `fixed`
    groups: IntArray  # (stages, codes): which table a context uses
    tables: tuple[tuple[Table, ...], ...]  # [stage][group]; of stage 0 the last is that of cells without neighbours
    deep: tuple[tuple[Table, ...], ...]  # [level][context], of two symbols

    @cached_property
    def _distances(self) -> Small:
        """What a neighbour of a code adds to the distance of each code from the neighbours' mean, (codes + 1, codes).

        In units in which distances of one cell compare: squares of codes less twice their products; 0 of no neighbour.
        """
        first = self.books[0]
        distances = (first**2).sum(1) - 2 * np.einsum("aw,bw->ab", first, first)  # integers: no BLAS has a part in it
        return np.concatenate([distances, np.zeros_like(distances[:1])]).astype(np.int32)

    @cached_property
    def _costs(self) -> tuple[FloatArray, tuple[FloatArray, ...]]:
        """Bits of a first code where it is cheapest (codes,), and of a later stage's by the code before."""
        first, *later = (np.stack([table.bits for table in stage]) for stage in self.tables)
        return first.min(0), tuple(bits[groups] for bits, groups in zip(later, self.groups[1:], strict=True))

    def least_bits(self, indices: IntArray) -> float:
        """What indices (stages, cells) take at the least, however the cells lie and share packets."""
        first, later = self._costs
        steps = zip(later, indices[:-1], indices[1:], strict=True)
        return float(first[indices[0]].sum() + sum(bits[before, codes].sum() for bits, before, codes in steps))

    def write(self, writer: SymbolWriter, mask: BoolArray, indices: IntArray, deep: BoolArray, layout: Layout) -> None:
        """Appends indices (stages, cells set in mask in row order), of `deep` cells (cells,) to layout.high stages."""

        def put(stage: int, places: IntArray, contexts: IntArray) -> IntArray:
            symbols = deep[places].astype(np.int64) if stage == DEEP else indices[stage, places]
            writer.put_in_context(symbols, contexts, self._of(stage, layout))
            return symbols

        self.walk(mask, layout, put)

    def read(self, reader: SymbolReader, mask: BoolArray, layout: Layout) -> IntArray:
        """What was written: indices (stages of the codebooks, cells), `codes` where a cell has no such stage."""
        stages, codes = self.books.shape[:2]
        found = np.full((stages, int(mask.sum())), codes, np.int64)

        def take(stage: int, places: IntArray, contexts: IntArray) -> IntArray:
            symbols = reader.take_in_context(contexts, self._of(stage, layout))
            if stage != DEEP:
                found[stage, places] = symbols
            return symbols

        self.walk(mask, layout, take)
        return found

    def _of(self, stage: int, layout: Layout) -> tuple[Table, ...]:
        return self.deep[layout.level] if stage == DEEP else self.tables[stage]

    def walk(self, mask: BoolArray, layout: Layout, code: Coding, grouped: bool = True) -> None:
        """Asks `code` for the symbols of every cell, in the order of the message.

        Unless grouped, contexts of indices are codes, and `codes` for cells without neighbours.
        """
        before, depth = self._first(mask, layout, code, grouped)
        for stage in range(1, layout.high):
            places = np.flatnonzero(depth > stage)
            contexts = self.groups[stage][before[places]] if grouped else before[places]
            before[places] = code(stage, places, contexts)

    def _first(self, mask: BoolArray, layout: Layout, code: Coding, grouped: bool) -> tuple[IntArray, IntArray]:
        """The first stage's indices (cells,), and all cells' depths."""
        known = _Known(mask.shape, self.books.shape[1])
        group = np.append(self.groups[0], len(self.tables[0]) - 1) if grouped else np.arange(len(self.books[0]) + 1)
        number = np.cumsum(mask).reshape(mask.shape) - 1
        count = int(mask.sum())
        found, depth = np.zeros(count, np.int64), np.full(count, layout.low)
        for turn, offsets in enumerate(_ROUNDS):
            rows, columns = np.nonzero(mask & _turn(mask.shape, turn))
            if not len(rows):
                continue
            places = number[rows, columns]
            codes, neighbours, deep = known.around(rows, columns, offsets)
            if layout.high > layout.low:
                depth[places[code(DEEP, places, _share(deep, neighbours)) > 0]] = layout.high
            found[places] = code(0, places, group[self._predicted(codes, neighbours)])
            known.add(rows, columns, found[places], depth[places] > layout.low)
        return found, depth

    def _predicted(self, around: Sequence[IntArray], count: IntArray) -> IntArray:
        """The first stage's code nearest to the mean of the neighbours' codes (cells,) each; `codes` without any."""
        total: Small = np.zeros((len(count), self.books.shape[1]), np.int32)
        for codes in around:
            total += self._distances[codes]
        return np.asarray(np.where(count > 0, total.argmin(1), self.books.shape[1]))


class _Known:
    """What the cells that went before say, with a rim of nothing around."""

    def __init__(self, shape: tuple[int, ...], nothing: int) -> None:
        rows, columns = shape[0] + 2, shape[1] + 2
        self.nothing = nothing
        self.codes: IntArray = np.full((rows, columns), nothing)
        self.deep: IntArray = np.zeros((rows, columns), np.int64)

    def around(
        self, rows: IntArray, columns: IntArray, offsets: tuple[tuple[int, int], ...]
    ) -> tuple[list[IntArray], IntArray, IntArray]:
        """Of the cells: the codes of each neighbour there, `nothing` of none; how many are known, how many are deep."""
        codes, known, deep = list[IntArray](), np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
        for down, right in offsets:
            place = rows + 1 + down, columns + 1 + right
            codes.append(self.codes[place])
            known += codes[-1] != self.nothing
            deep += self.deep[place]
        return codes, known, deep

    def add(self, rows: IntArray, columns: IntArray, codes: IntArray, deep: BoolArray) -> None:
        self.codes[rows + 1, columns + 1] = codes
        self.deep[rows + 1, columns + 1] = deep


def _turn(shape: tuple[int, ...], turn: int) -> BoolArray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    if turn == 2:
        return np.asarray((rows + columns) % 2 == 1)
    return np.asarray((rows % 2 == turn) & (columns % 2 == turn))


def _share(part: IntArray, whole: IntArray) -> IntArray:
    """0 where there is no neighbour, else 1 to 5 by the share of deep ones."""
    share = (8 * part + whole) // np.maximum(2 * whole, 1)
    return np.where(whole > 0, 1 + share, 0)


def level_of(deep: BoolArray) -> int:
    """The level of a packet of cells (cells,) of which some are deep."""
    return min(int(LEVELS * deep.mean()), LEVELS - 1)


def fixed(codebooks: npt.NDArray[np.float32]) -> IntArray:
    """Codebooks (stages, codes, width) as integers, as fine as sums over four neighbours stay exact."""
    scale = 64.0
    while True:
        books = np.rint(codebooks.astype(np.float64) * scale).astype(np.int64)
        most = 4 * np.abs(books[0]).max(0)  # of four neighbours' sum, per channel
        if (2 * most * np.abs(books[0])).sum(1).max() + 4 * (books[0] ** 2).sum(1).max() < _MOST:
            return books
        scale /= 2
