"""Tokens of dense_sparse as bits, against plain twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carla_cp.codecs.bitstream import SymbolReader, SymbolWriter, Table
from carla_cp.codecs.dense_sparse_tokens import (
    Patches,
    TokenTables,
    coarse_contexts,
    colours,
    fine_cells,
    first_bits,
    first_context,
    phases,
    put_coarse,
    put_patches,
    take_coarse,
    take_patches,
    write_patches,
)
from carla_cp.codecs.octaves import Meter
from carla_cp.codecs.positions import PositionModel
from carla_cp.types import IntArray

PATCH, SHAPE, STAGES, CODES = 2, (16, 24), 3, 8


def some_tables() -> TokenTables:
    rng = np.random.default_rng(5)

    def rows(count: int, symbols: int = CODES) -> tuple[Table, ...]:
        return tuple(Table.from_counts(rng.integers(1, 40, symbols) ** 2) for _ in range(count))

    where = PositionModel.learnt([rng.random((8, 12)) < 0.3 for _ in range(4)])
    later = tuple(rows(CODES) for _ in range(STAGES - 1))
    return TokenTables(where, rows(1, STAGES)[0], rows(CODES + 1), later, rows(2 * CODES + 1))


def some_patches(seed: int, share: float = 0.3) -> Patches:
    rng = np.random.default_rng([seed, 2])
    depth = rng.integers(1, STAGES + 1, (8, 12)) * (rng.random((8, 12)) < share)
    depth[rng.integers(8), rng.integers(12)] = STAGES
    cells = fine_cells(depth, PATCH)
    tokens = rng.integers(0, CODES, (STAGES, *SHAPE)) * (cells > np.arange(STAGES)[:, None, None])
    return Patches(depth, tokens)


def test_the_bits_of_a_first_stage_are_what_is_put_but_for_depths_and_later_stages() -> None:
    tables, patches = some_tables(), some_patches(4)
    meter = Meter()
    put_patches(meter, patches, PATCH, tables)
    other = sum(float(tables.depth.bits[depth - 1]) for depth in patches.depth.ravel().tolist() if depth)
    cells = fine_cells(patches.depth, PATCH)
    for row, column in zip(*np.nonzero(cells), strict=True):
        for stage in range(1, cells[row, column]):
            before, token = patches.tokens[stage - 1 : stage + 1, row, column]
            other += float(tables.later[stage - 1][before].bits[token])
    assert first_bits(patches.depth, patches.tokens[0], PATCH, tables) == pytest.approx(meter.bits - other)


@given(st.integers(0, 500), st.floats(0.01, 1.0))
def test_patches_come_back_and_cost_what_their_tables_say(seed: int, share: float) -> None:
    tables, patches = some_tables(), some_patches(seed, share)
    writer, meter = SymbolWriter(), Meter()
    write_patches(writer, patches, PATCH, tables)
    put_patches(meter, patches, PATCH, tables)
    data = writer.to_bytes()
    assert len(data) <= 1.03 * (meter.bits + tables.where.bits(patches.depth > 0)) / 8 + 16
    reader = SymbolReader(data)
    back = take_patches(reader, SHAPE, PATCH, tables)
    reader.finish()
    assert (back.depth == patches.depth).all() and (back.tokens == patches.tokens).all()


@given(st.integers(0, 500), st.integers(1, 20), st.integers(1, 40))
def test_coarse_tokens_come_back_and_cost_what_their_tables_say(seed: int, rows: int, columns: int) -> None:
    tables, order = some_tables().coarse, phases(rows, columns)
    tokens = np.random.default_rng(seed).integers(0, CODES, rows * columns)
    writer, meter = SymbolWriter(), Meter()
    put_coarse(writer, tokens, order, tables)
    put_coarse(meter, tokens, order, tables)
    data = writer.to_bytes()
    assert len(data) <= 1.03 * meter.bits / 8 + 16
    reader = SymbolReader(data)
    assert (take_coarse(reader, rows * columns, order, tables) == tokens).all()
    reader.finish()


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (7, 5), (32, 32), (28, 88)])
def test_every_coarse_cell_has_one_phase_and_leans_on_earlier_ones(rows: int, columns: int) -> None:
    seen: set[int] = {-1}
    for phase in phases(rows, columns):
        assert set(phase.beside.ravel()) <= seen
        assert seen.isdisjoint(phase.cells)
        seen |= set(phase.cells.tolist())
    assert seen == set(range(-1, rows * columns))


def plain_coarse_context(tokens: IntArray, beside: IntArray) -> int:
    there = [int(tokens[place]) for place in beside if place >= 0]
    if not there:
        return 2 * CODES
    common = max(there, key=there.count)
    return 2 * common + (there.count(common) == len(there))


def test_coarse_contexts_are_those_of_the_plain_twin() -> None:
    tokens = np.random.default_rng(4).integers(0, 3, 12 * 20)
    for phase in phases(12, 20):
        expected = [plain_coarse_context(tokens, beside) for beside in phase.beside]
        assert coarse_contexts(tokens, phase, CODES).tolist() == expected


def test_the_first_sent_neighbour_gives_the_context() -> None:
    patches = some_patches(3)
    white, black = colours(fine_cells(patches.depth, PATCH) > 0)
    tokens = patches.tokens[0]
    found = first_context(white, tokens, CODES)
    for row, column in np.argwhere(black):
        beside = [(row, column - 1), (row - 1, column), (row, column + 1), (row + 1, column)]
        sent = [place for place in beside if 0 <= place[0] < SHAPE[0] and 0 <= place[1] < SHAPE[1] and white[place]]
        assert found[row, column] == (tokens[sent[0]] if sent else CODES)


def test_golden_bytes() -> None:
    writer, patches, tables = SymbolWriter(), some_patches(7, 0.1), some_tables()
    write_patches(writer, patches, PATCH, tables)
    put_coarse(writer, np.arange(24) % 3, phases(4, 6), tables.coarse)
    assert writer.to_bytes().hex() == GOLDEN


GOLDEN = (
    "1e2a0fb9cac72d9cd03ae78814860eff5df4ef75090eaa917715e9bf09caf96a8e63ab3dc05210476eeeff8852714827"
    "0bdb5c2f783c7b1ba6077cbc309eff136a29feb3a2e35f361d3a3b9f9dbb2255"
)
