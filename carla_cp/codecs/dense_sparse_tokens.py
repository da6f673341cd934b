"""How dense_sparse's tokens become bits: integer tables in the context of what the reader knows already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carla_cp.codecs.bitstream import SymbolReader, SymbolWriter, Table
from carla_cp.codecs.octaves import Sink
from carla_cp.codecs.positions import BoolArray, PositionModel
from carla_cp.types import IntArray

_AXES, _DIAGONALS = ((0, -1), (-1, 0), (0, 1), (1, 0)), ((-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """The fine tokens of some patches."""

    depth: IntArray  # (patch rows, patch columns): stages of each, 0 where it was not sent
    tokens: IntArray  # (stages, rows, columns), 0 where there is none


@dataclass(frozen=True, slots=True, eq=False)
class TokenTables:
    """The probabilities of all symbols."""

    where: PositionModel  # of patches
    depth: Table
    first: tuple[Table, ...]  # of the first stage, by a neighbour's token; the last without one
    later: tuple[tuple[Table, ...], ...]  # [stage - 1] by the same cell's token one stage before
    coarse: tuple[Table, ...]  # by `coarse_contexts`; the last without any


def fine_cells(depth: IntArray, patch: int) -> IntArray:
    """Stages of each cell, (rows, columns), of those of each patch."""
    return np.asarray(depth.repeat(patch, 0).repeat(patch, 1))


def first_context(cells: BoolArray, tokens: IntArray, none: int) -> IntArray:
    """For each cell of a map the token of a sent neighbour: left, above, right, below, whichever is first; or `none`.

    Cells of one colour of a chess board have neighbours of the other only.
    """
    context = np.full(cells.shape, none)
    rows, columns = cells.shape
    sent = np.pad(cells, 1)
    padded = np.pad(tokens, 1)
    for down, right in reversed(_AXES):
        part = slice(1 + down, 1 + down + rows), slice(1 + right, 1 + right + columns)
        context = np.where(sent[part], padded[part], context)
    return context


def colours(cells: BoolArray) -> tuple[BoolArray, BoolArray]:
    """The set cells of either colour of a chess board."""
    rows, columns = np.indices(cells.shape)
    white = (rows + columns) % 2 == 0
    return cells & white, cells & ~white


def put_patches(sink: Sink, patches: Patches, patch: int, tables: TokenTables) -> None:
    """Appends all that `take_patches` reads behind the positions."""
    sink.put(patches.depth[patches.depth > 0] - 1, tables.depth)
    depth = fine_cells(patches.depth, patch)
    none = len(tables.first) - 1
    white, black = colours(depth > 0)
    first = patches.tokens[0]
    sink.put(first[white], tables.first[none])
    sink.put_in_context(first[black], first_context(white, first, none)[black], tables.first)
    for stage, rows in enumerate(tables.later, 1):
        deep = depth > stage
        sink.put_in_context(patches.tokens[stage][deep], patches.tokens[stage - 1][deep], rows)


def first_bits(depth: IntArray, tokens: IntArray, patch: int, tables: TokenTables) -> float:
    """What `put_patches` takes for the first stage of tokens (rows, columns) in patches of that depth."""
    none = len(tables.first) - 1
    white, black = colours(fine_cells(depth, patch) > 0)
    costs = np.stack([table.bits for table in tables.first])
    context = first_context(white, tokens, none)[black]
    return float(costs[none, tokens[white]].sum() + costs[context, tokens[black]].sum())


def write_patches(writer: SymbolWriter, patches: Patches, patch: int, tables: TokenTables) -> None:
    """Appends patches, at least one."""
    tables.where.write(writer, patches.depth > 0)
    put_patches(writer, patches, patch, tables)


def take_patches(reader: SymbolReader, shape: tuple[int, int], patch: int, tables: TokenTables) -> Patches:
    """The patches that `write_patches` appended, of a map of `shape` cells. Raises PayloadError."""
    mask = tables.where.read(reader, shape[0] // patch, shape[1] // patch)
    small = np.zeros(mask.shape, np.int64)
    small[mask] = reader.take(int(mask.sum()), tables.depth) + 1
    depth = fine_cells(small, patch)
    none = len(tables.first) - 1
    white, black = colours(depth > 0)
    tokens = np.zeros((1 + len(tables.later), *shape), np.int64)
    tokens[0][white] = reader.take(int(white.sum()), tables.first[none])
    tokens[0][black] = reader.take_in_context(first_context(white, tokens[0], none)[black], tables.first)
    for stage, rows in enumerate(tables.later, 1):
        deep = depth > stage
        tokens[stage][deep] = reader.take_in_context(tokens[stage - 1][deep], rows)
    return Patches(small, tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Phase:
    """Tokens of a grid that are coded together, after those they lean on."""

    cells: IntArray  # (n,) flat
    beside: IntArray  # (n, 4) flat, -1 where there is none; all of earlier phases


def phases(rows: int, columns: int) -> tuple[Phase, ...]:
    """A grid from far to near: first every 16th cell, then by turns those amid four diagonally, and four straight."""
    step = 16
    down, right = (part.ravel() for part in np.indices((rows, columns)))
    result = [_phase((down % step == 0) & (right % step == 0), (), 0, rows, columns)]
    while step > 1:
        half = step // 2
        middle = (down % step == half) & (right % step == half)
        straight = (down % half == 0) & (right % half == 0) & ((down + right) // half % 2 == 1)
        result.append(_phase(middle, _DIAGONALS, half, rows, columns))
        result.append(_phase(straight, _AXES, half, rows, columns))
        step = half
    return tuple(phase for phase in result if len(phase.cells))


def _phase(chosen: BoolArray, steps: Sequence[tuple[int, int]], reach: int, rows: int, columns: int) -> Phase:
    cells = np.flatnonzero(chosen)
    down, right = np.divmod(cells, columns)
    beside = np.full((len(cells), 4), -1)
    for place, (by_row, by_column) in enumerate(steps):
        row, column = down + by_row * reach, right + by_column * reach
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        beside[inside, place] = (row * columns + column)[inside]
    return Phase(cells, beside)


def coarse_contexts(tokens: IntArray, phase: Phase, codes: int) -> IntArray:
    """2 x the commonest of the tokens beside each cell of a phase, +1 where all agree; 2 x `codes` without any."""
    beside = np.where(phase.beside >= 0, tokens[phase.beside], -1)
    there = beside >= 0
    votes = (beside[:, :, None] == beside[:, None, :]).sum(2) * there
    place = votes.argmax(1)
    rows = np.arange(len(beside))
    common = 2 * beside[rows, place] + (votes[rows, place] == there.sum(1))
    return np.where(there.any(1), common, 2 * codes)


def put_coarse(sink: Sink, tokens: IntArray, order: Sequence[Phase], tables: Sequence[Table]) -> None:
    """Appends coarse tokens (rows x columns, flat) in the order of `phases`."""
    for phase in order:
        sink.put_in_context(tokens[phase.cells], coarse_contexts(tokens, phase, len(tables) // 2), tables)


def take_coarse(reader: SymbolReader, count: int, order: Sequence[Phase], tables: Sequence[Table]) -> IntArray:
    """The `count` coarse tokens that `put_coarse` appended."""
    tokens = np.zeros(count, np.int64)
    for phase in order:
        tokens[phase.cells] = reader.take_in_context(coarse_contexts(tokens, phase, len(tables) // 2), tables)
    return tokens
