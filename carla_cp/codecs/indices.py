"""Codebook indices of cells as symbols: groups side by side, levels one after the other, each index in a context.

The first index of a cell is coded in the context of a neighbour's: cells on one half of a checkerboard first, without
any, then those on the other. Every other index has one parent in its own cell. A parent's index counts by its class, of
which there are few, learnt so that they tell most of the child. So whole planes of symbols share a call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.bitstream import SymbolReader, SymbolWriter, Table
from carla_cp.codecs.positions import BoolArray
from carla_cp.types import FloatArray, IntArray

CLASSES = 16  # of a parent's indices
ALONE = CLASSES  # the context of an index without a parent
MIXES = 4  # sets of tables of how many levels cells have
_SIDES = ((0, -1), (-1, 0), (0, 1), (1, 0))
_ROUNDS = 20


class IndexModel:
    """Classes and tables of all indices, and the tables of how many levels a cell has."""

    def __init__(self, classes: npt.ArrayLike, tables: npt.ArrayLike, depths: npt.ArrayLike) -> None:
        """Of classes (levels, groups, codes), table weights (levels, groups, CLASSES + 1, codes), and those of depths.

        The latter are (MIXES, CLASSES, levels), by the class of the cell's first index; `classes` are those of the
        parent of (level, group).
        """
        self.classes: IntArray = np.array(classes, np.int64)
        self.weights: IntArray = np.array(tables, np.int64)
        self.depth_weights: IntArray = np.array(depths, np.int64)
        self.tables = [[[Table(row) for row in rows] for rows in groups] for groups in self.weights]
        self.depths = [[Table(row) for row in rows] for rows in self.depth_weights]
        self.costs = np.stack([[[table.bits for table in rows] for rows in groups] for groups in self.tables])
        self.depth_costs = np.stack([[table.bits for table in rows] for rows in self.depths])

    @staticmethod
    def uniform(levels: int, groups: int, codes: int) -> IndexModel:
        """One that knows nothing."""
        depth = Table.uniform(levels).weights if levels > 1 else np.zeros(0, np.int64)
        return IndexModel(
            np.zeros((levels, groups, codes), np.int64),
            np.broadcast_to(Table.uniform(codes).weights, (levels, groups, CLASSES + 1, codes)),
            np.broadcast_to(depth, (MIXES, CLASSES, levels)),
        )

    def cell_bits(self, indices: IntArray) -> FloatArray:
        """What each level takes of each cell, closely, (levels, cells), of indices (levels, groups, cells)."""
        bits = np.zeros((len(indices), indices.shape[2]))
        for level, group in np.ndindex(*indices.shape[:2]):
            context = self._inner(indices, level, group)
            bits[level] += self.costs[level, group][context, indices[level, group]]
        return bits

    def bits(self, mask: BoolArray, indices: IntArray, depth: IntArray, mix: int) -> float:
        """What `write` will take."""
        total = self._depth_bits(indices, depth)[mix]
        for level, group in np.ndindex(*indices.shape[:2]):
            deep = depth > level
            if level == group == 0:
                context = np.full(len(depth), ALONE)
                odd = _odd(mask)
                context[odd] = self._across(mask, indices[0, 0])[odd]
            else:
                context = self._inner(indices, level, group)
            total += self.costs[level, group][context[deep], indices[level, group, deep]].sum()
        return float(total)

    def mix(self, indices: IntArray, depth: IntArray) -> int:
        """The set of depth tables that suits these cells best."""
        return int(np.argmin(self._depth_bits(indices, depth)))

    def _depth_bits(self, indices: IntArray, depth: IntArray) -> FloatArray:
        return np.asarray(self.depth_costs[:, self.classes[0, 0][indices[0, 0]], depth - 1].sum(1))

    def write(self, writer: SymbolWriter, mask: BoolArray, indices: IntArray, depth: IntArray, mix: int) -> None:
        """Appends indices (levels, groups, cells) of the cells set in mask, in row order, each to its depth."""
        odd = _odd(mask)
        first = indices[0, 0]
        writer.put(first[~odd], self.tables[0][0][ALONE])
        writer.put_in_context(first[odd], self._across(mask, first)[odd], self.tables[0][0])
        writer.put_in_context(depth - 1, self.classes[0, 0][first], self.depths[mix])
        for level, group in list(np.ndindex(*indices.shape[:2]))[1:]:
            deep = depth > level
            contexts = self._inner(indices, level, group)[deep]
            writer.put_in_context(indices[level, group, deep], contexts, self.tables[level][group])

    def read(self, reader: SymbolReader, mask: BoolArray, mix: int) -> tuple[IntArray, IntArray]:
        """Indices, 0 beyond a cell's depth, and depths."""
        levels, groups = self.classes.shape[:2]
        odd = _odd(mask)
        indices = np.zeros((levels, groups, len(odd)), np.int64)
        first = indices[0, 0]
        first[~odd] = reader.take(int((~odd).sum()), self.tables[0][0][ALONE])
        first[odd] = reader.take_in_context(self._across(mask, first)[odd], self.tables[0][0])
        depth = 1 + reader.take_in_context(self.classes[0, 0][first], self.depths[mix])
        for level, group in list(np.ndindex(levels, groups))[1:]:
            deep = depth > level
            contexts = self._inner(indices, level, group)[deep]
            indices[level, group, deep] = reader.take_in_context(contexts, self.tables[level][group])
        return indices, depth

    def _inner(self, indices: IntArray, level: int, group: int) -> IntArray:
        """The contexts of a level's and group's indices by their parents in their own cells."""
        if level == group == 0:
            return np.full(indices.shape[2], ALONE)
        found: IntArray = self.classes[level, group][indices[parent(level, group)]]
        return found

    def _across(self, mask: BoolArray, first: IntArray) -> IntArray:
        """The contexts of first indices by a neighbour's; right for cells on the odd half."""
        return np.append(self.classes[0, 0], ALONE)[beside(mask, first, len(self.classes[0, 0]))]


def parent(level: int, group: int) -> tuple[int, int]:
    """Level and group of the index that another of the same cell is coded in the context of."""
    return (level, group - 1) if group else (level - 1, group)


def beside(mask: BoolArray, first: IntArray, none: int) -> IntArray:
    """The index of the first kept neighbour, left, above, right or below, of each kept cell; `none` where none is."""
    rows, columns = mask.shape
    padded = np.full((rows + 2, columns + 2), none)
    padded[1:-1, 1:-1][mask] = first
    result = np.full(len(first), none)
    for row, column in reversed(_SIDES):
        found = padded[1 + row : rows + 1 + row, 1 + column : columns + 1 + column][mask]
        result = np.where(found != none, found, result)
    return result


def _odd(mask: BoolArray) -> BoolArray:
    row, column = np.nonzero(mask)
    return np.asarray((row + column) % 2 == 1)


def classes_of(counts: FloatArray, classes: int = CLASSES) -> IntArray:
    """Classes of parents, of counts (parents, children): k-means by code length, which spares the most bits."""
    seeds = counts[np.argsort(-counts.sum(1), kind="stable")[:classes]]
    found = np.zeros(len(counts), np.int64)
    for _ in range(_ROUNDS):
        shares = seeds + 0.5 * (1e-3 + counts.sum(0) / max(counts.sum(), 1.0))
        found = np.argmin(-counts @ np.log(shares / shares.sum(1, keepdims=True)).T, axis=1)
        seeds = np.zeros_like(seeds)
        np.add.at(seeds, found, counts)
    return found


def learnt_tables(counts: FloatArray, classes: IntArray, alone: FloatArray) -> Sequence[IntArray]:
    """Table weights of each class and of no parent, of counts (parents, children) and of those without a parent."""
    rows = np.zeros((CLASSES + 1, counts.shape[1]))
    np.add.at(rows, classes, counts)
    rows[ALONE] = alone
    everyone = rows.sum(0) + 0.5
    return [Table.from_counts(row + 8.0 * everyone / everyone.sum()).weights for row in rows]
