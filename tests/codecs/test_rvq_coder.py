"""Indices in the context of neighbours and of the stage before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_cp.codecs.bitstream import PayloadError, SymbolReader, SymbolWriter, Table
from carla_cp.codecs.positions import BoolArray
from carla_cp.codecs.rvq_coder import DEEP, DEEP_CONTEXTS, LEVELS, IndexModel, Layout, fixed, level_of
from carla_cp.types import IntArray

STAGES, CODES, GROUPS = 4, 8, 3


def model(seed: int = 0) -> IndexModel:
    rng = np.random.default_rng([seed, 7])
    tables = tuple(
        tuple(Table.from_counts(rng.uniform(0, 1, CODES) ** 3) for _ in range(GROUPS + 1)) for _ in range(STAGES)
    )
    deep = tuple(tuple(Table.from_counts(rng.uniform(0.1, 1, 2)) for _ in range(DEEP_CONTEXTS)) for _ in range(LEVELS))
    return IndexModel(rng.integers(-90, 90, (STAGES, CODES, 5)), rng.integers(0, GROUPS, (STAGES, CODES)), tables, deep)


def message(seed: int, low: int, high: int, side: int = 16) -> tuple[BoolArray, IntArray, BoolArray, Layout]:
    rng = np.random.default_rng([seed, 8])
    mask = rng.random((side, side + 3)) < rng.uniform(0.05, 1)
    mask[3, 4] = True
    deep = rng.random(int(mask.sum())) < 0.4 if high > low else np.ones(int(mask.sum()), bool)
    indices = rng.integers(0, CODES, (STAGES, int(mask.sum())))
    depth = np.where(deep, high, low)
    return mask, np.where(np.arange(STAGES)[:, None] < depth, indices, CODES), deep, Layout(low, high, level_of(deep))


def written(seed: int, low: int, high: int) -> bytes:
    writer = SymbolWriter()
    model().write(writer, *message(seed, low, high))
    return writer.to_bytes()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), depths=st.tuples(st.integers(1, STAGES), st.integers(1, STAGES)).map(sorted))
def test_what_is_written_is_read(seed: int, depths: list[int]) -> None:
    low, high = depths
    mask, indices, _, layout = message(seed, low, high)
    reader = SymbolReader(written(seed, low, high))
    assert np.array_equal(model().read(reader, mask, layout), indices)
    reader.finish()


@pytest.mark.parametrize("seed", range(8))
def test_indices_take_no_fewer_bits_than_the_least_in_any_packets(seed: int) -> None:
    coder, indices = model(seed), np.random.default_rng([seed, 9]).integers(0, CODES, (STAGES, 240))
    least = 0.0
    for cell in indices.T:
        least += min(table.bits[cell[0]] for table in coder.tables[0])
        for stage in range(1, STAGES):
            least += coder.tables[stage][coder.groups[stage][cell[stage - 1]]].bits[cell[stage]]
    assert coder.least_bits(indices) == pytest.approx(least)
    rows, every = np.array_split(np.arange(240), seed + 1), Layout(STAGES, STAGES, 0)
    size = 0
    for cells in rows:
        writer, mask = SymbolWriter(), np.isin(np.arange(240).reshape(15, 16), cells)
        coder.write(writer, mask, indices[:, cells], np.ones(len(cells), bool), every)
        size += 8 * len(writer.to_bytes())
    assert least <= size <= 1.2 * least + 128 * len(rows)


def test_contexts_are_those_of_a_plain_loop() -> None:
    coder, (mask, indices, deep, layout) = model(), message(5, 2, 4)
    seen: dict[tuple[int, int], int] = {}

    def code(stage: int, places: IntArray, contexts: IntArray) -> IntArray:
        seen.update({(stage, int(place)): int(context) for place, context in zip(places, contexts, strict=True)})
        return deep[places].astype(np.int64) if stage == DEEP else indices[stage, places]

    coder.walk(mask, layout, code, grouped=False)
    cells = [(int(row), int(column)) for row, column in np.argwhere(mask)]
    number = {cell: place for place, cell in enumerate(cells)}
    for (row, column), place in number.items():
        if (row + column) % 2:
            around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        else:
            around = [(row + down, column + right) for down in (-1, 1) for right in (-1, 1)] if row % 2 else []
        there = [number[cell] for cell in around if cell in number]
        if there:
            total = [sum(int(coder.books[0][indices[0, each], at]) for each in there) for at in range(5)]
            distances = [
                sum((len(there) * int(value) - part) ** 2 for value, part in zip(code, total, strict=True))
                for code in coder.books[0]
            ]
            assert seen[0, place] == distances.index(min(distances))
            share = np.mean([deep[each] for each in there])
            assert seen[DEEP, place] == 1 + np.floor(4 * share + 0.5)
        else:
            assert seen[0, place] == CODES and seen[DEEP, place] == 0
        for stage in range(1, 4 if deep[place] else 2):
            assert seen[stage, place] == indices[stage - 1, place]
    assert max(stage for stage, _ in seen) == 3


def test_bytes_come_close_to_the_ideal_code_length() -> None:
    coder, bits = model(), 0.0
    mask, indices, deep, layout = message(3, 1, 3, 64)

    def code(stage: int, places: IntArray, contexts: IntArray) -> IntArray:
        nonlocal bits
        symbols = deep[places].astype(np.int64) if stage == DEEP else indices[stage, places]
        tables = coder.deep[layout.level] if stage == DEEP else coder.tables[stage]
        bits += sum(tables[context].bits[symbol] for context, symbol in zip(contexts, symbols, strict=True))
        return symbols

    coder.walk(mask, layout, code)
    writer = SymbolWriter()
    coder.write(writer, mask, indices, deep, layout)
    assert len(writer.to_bytes()) <= 1.03 * bits / 8 + 16


def test_the_same_symbols_give_the_same_bytes_for_ever() -> None:
    assert written(2, 1, 3)[:24].hex() == GOLDEN


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    mask, _, _, layout = message(1, 1, 4)
    try:
        reader = SymbolReader(data)
        found = model().read(reader, mask, layout)
    except PayloadError:
        return
    assert found.shape == (STAGES, mask.sum()) and found.min() >= 0 and found.max() <= CODES
    assert (found[0] < CODES).all()


def test_fixed_codebooks_are_fine_and_their_sums_exact() -> None:
    books = np.random.default_rng(0).normal(0, 2, (3, 16, 32)).astype(np.float32)
    whole = fixed(books)
    scale = np.abs(whole).max() / np.abs(books).max()
    assert scale >= 4 and np.allclose(whole / round(scale), books, atol=0.51 / scale)
    assert 4 * (2 * np.abs(whole[0]).max(0) * np.abs(whole[0])).sum(1).max() < 1 << 24


GOLDEN = "5c14b0fa0affff0030e4b1b4aff15e1c8ff8d18ac8e1af8d"
