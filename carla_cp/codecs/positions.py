"""Which cells of a grid a message holds: a quadtree, one integer table per level.

Every occupied node says by one of 15 symbols which of its four children are occupied, level by level from the root, so
that neighbouring cells share what they have in common (Samet, The Quadtree and Related Hierarchical Data Structures,
ACM Computing Surveys 1984). The root covers the smallest square of a power of two that holds the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.bitstream import PayloadError, SymbolReader, SymbolWriter, Table
from carla_cp.types import IntArray

BoolArray: TypeAlias = npt.NDArray[np.bool_]
PATTERNS = 15
_BITS = np.array([1, 2, 4, 8])


def uniform_tables(rows: int, columns: int) -> tuple[Table, ...]:
    """Tables that know nothing, root first."""
    return tuple(Table.uniform(PATTERNS) for _ in range(_levels(rows, columns)))


def _levels(rows: int, columns: int) -> int:
    return max((max(rows, columns) - 1).bit_length(), 1)


def mask_of(chosen: IntArray, rows: int, columns: int) -> BoolArray:
    """The mask (rows, columns) of flat indices in row order."""
    mask = np.zeros((rows, columns), bool)
    mask.reshape(-1)[chosen] = True
    return mask


def patterns(mask: BoolArray) -> list[IntArray]:
    """The symbols of each level, root first, of a mask (rows, columns) with at least one cell set."""
    result: list[IntArray] = []
    side = 1 << _levels(*mask.shape)
    level = mask.view(np.uint8)
    if level.shape != (side, side):
        level = np.zeros((side, side), np.uint8)
        level[: mask.shape[0], : mask.shape[1]] = mask
    while len(level) > 1:
        codes = level[::2, ::2] | level[::2, 1::2] << 1 | level[1::2, ::2] << 2 | level[1::2, 1::2] << 3
        result.append(codes[codes > 0].astype(np.int64) - 1)
        level = (codes > 0).view(np.uint8)
    return result[::-1]


def write(writer: SymbolWriter, mask: BoolArray, tables: Sequence[Table]) -> None:
    """Appends the positions of the set cells, at least one."""
    if not mask.any():
        raise ValueError("an empty mask has no positions: send no message")
    for symbols, table in zip(patterns(mask), tables, strict=True):
        writer.put(symbols, table)


def read(reader: SymbolReader, tables: Sequence[Table], rows: int, columns: int) -> BoolArray:
    """The mask (rows, columns) that was written; it has at least one cell set whatever the bytes.

    Raises PayloadError where a cell lies outside the grid.
    """
    mask = np.ones((1, 1), bool)
    for table in tables:
        symbols = reader.take(int(mask.sum()), table)
        children = np.zeros((*mask.shape, 4), bool)
        children[mask] = (symbols[:, None] + 1) & _BITS > 0
        half = len(mask)
        mask = children.reshape(half, half, 2, 2).transpose(0, 2, 1, 3).reshape(2 * half, 2 * half)
    if mask[rows:].any() or mask[:, columns:].any():
        raise PayloadError(f"a cell lies outside the grid of {rows} x {columns}")
    return mask[:rows, :columns]


def bits(mask: BoolArray, tables: Sequence[Table]) -> float:
    """What `write` will cost."""
    return float(sum(table.bits[symbols].sum() for symbols, table in zip(patterns(mask), tables, strict=True)))


def tables_from(masks: Sequence[BoolArray]) -> tuple[Table, ...]:
    """The tables that suit these masks, with every pattern kept possible."""
    counts = [np.ones(PATTERNS) for _ in range(_levels(*masks[0].shape))]
    for mask in masks:
        for count, symbols in zip(counts, patterns(mask), strict=True):
            count += np.bincount(symbols, minlength=PATTERNS)
    return tuple(Table.from_counts(count) for count in counts)
