"""Which cells of a grid a message holds: a quadtree, coded in the context of what lies beside each node.

Every occupied node says by one of 15 symbols which of its four children are occupied, level by level from the root, so
that neighbouring cells share what they have in common (Samet, The Quadtree and Related Hierarchical Data Structures,
ACM Computing Surveys 1984). A level is known before its nodes' children are: each node's table is that of its level
and of which of its four neighbours are occupied. The root covers the smallest square of a power of two that holds the
grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.bitstream import PayloadError, SymbolReader, SymbolWriter, Table
from carla_cp.types import FloatArray, IntArray

BoolArray: TypeAlias = npt.NDArray[np.bool_]
PATTERNS, CONTEXTS = 15, 16
_BITS = np.array([1, 2, 4, 8])


class PositionModel:
    """The tables of a quadtree's levels, root first, and of the contexts in each."""

    def __init__(self, weights: npt.ArrayLike) -> None:
        """Of table weights (levels, CONTEXTS, PATTERNS), each row as `Table` wants it."""
        self.weights: IntArray = np.array(weights, np.int64)
        self.tables = [[Table(row) for row in level] for level in self.weights]

    @staticmethod
    def uniform(rows: int, columns: int) -> PositionModel:
        """One that knows nothing."""
        table = Table.uniform(PATTERNS).weights
        return PositionModel(np.broadcast_to(table, (_levels(rows, columns), CONTEXTS, PATTERNS)))

    @staticmethod
    def learnt(masks: Sequence[BoolArray]) -> PositionModel:
        """The one that suits these masks, with every pattern kept possible."""
        counts = np.full((_levels(*masks[0].shape), CONTEXTS, PATTERNS), 0.2)
        for mask in masks:
            for level, (symbols, contexts) in zip(counts, nodes(mask), strict=True):
                np.add.at(level, (contexts, symbols), 1.0)
        return PositionModel([[Table.from_counts(row).weights for row in level] for level in counts])

    @cached_property
    def _bits(self) -> list[FloatArray]:
        return [np.stack([table.bits for table in level]) for level in self.tables]

    def bits(self, mask: BoolArray) -> float:
        """What `write` will cost."""
        levels = zip(self._bits, nodes(mask), strict=True)
        return float(sum(costs[contexts, symbols].sum() for costs, (symbols, contexts) in levels))

    def write(self, writer: SymbolWriter, mask: BoolArray) -> None:
        """Appends the positions of the set cells, at least one."""
        if not mask.any():
            raise ValueError("an empty mask has no positions: send no message")
        for (symbols, contexts), tables in zip(nodes(mask), self.tables, strict=True):
            writer.put_in_context(symbols, contexts, tables)

    def read(self, reader: SymbolReader, rows: int, columns: int) -> BoolArray:
        """The mask (rows, columns) that was written; it has at least one cell set whatever the bytes.

        Raises PayloadError where a cell lies outside the grid.
        """
        mask = np.ones((1, 1), bool)
        for tables in self.tables:
            symbols = reader.take_in_context(_contexts(mask), tables)
            children = np.zeros((*mask.shape, 4), bool)
            children[mask] = (symbols[:, None] + 1) & _BITS > 0
            half = len(mask)
            mask = children.reshape(half, half, 2, 2).transpose(0, 2, 1, 3).reshape(2 * half, 2 * half)
        if mask[rows:].any() or mask[:, columns:].any():
            raise PayloadError(f"a cell lies outside the grid of {rows} x {columns}")
        return mask[:rows, :columns]


def _levels(rows: int, columns: int) -> int:
    return max((max(rows, columns) - 1).bit_length(), 1)


def mask_of(chosen: IntArray, rows: int, columns: int) -> BoolArray:
    """The mask (rows, columns) of flat indices in row order."""
    mask = np.zeros((rows, columns), bool)
    mask.reshape(-1)[chosen] = True
    return mask


def nodes(mask: BoolArray) -> list[tuple[IntArray, IntArray]]:
    """Symbols and contexts of each level's nodes, in row order, root first, of a mask with at least one cell set."""
    result: list[tuple[IntArray, IntArray]] = []
    side = 1 << _levels(*mask.shape)
    level = mask.view(np.uint8)
    if level.shape != (side, side):
        level = np.zeros((side, side), np.uint8)
        level[: mask.shape[0], : mask.shape[1]] = mask
    while len(level) > 1:
        codes = level[::2, ::2] | level[::2, 1::2] << 1 | level[1::2, ::2] << 2 | level[1::2, 1::2] << 3
        occupied = codes > 0
        result.append((codes[occupied].astype(np.int64) - 1, _contexts(occupied)))
        level = occupied.view(np.uint8)
    return result[::-1]


def _contexts(occupied: BoolArray) -> IntArray:
    """For each occupied node, in row order, which of those above, below, left and right are occupied, a bit each."""
    beside = np.zeros(occupied.shape, np.uint8)
    cells = occupied.view(np.uint8)
    beside[1:] |= cells[:-1]
    beside[:-1] |= cells[1:] << 1
    beside[:, 1:] |= cells[:, :-1] << 2
    beside[:, :-1] |= cells[:, 1:] << 3
    return beside[occupied].astype(np.int64)
