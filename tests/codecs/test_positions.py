"""Cell positions by quadtree, against a recursive twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carla_cp.codecs.bitstream import SymbolReader, SymbolWriter
from carla_cp.codecs.positions import BoolArray, PositionModel, nodes


def plain_nodes(mask: BoolArray) -> list[list[tuple[int, int]]]:
    """One node at a time: at each level the occupied nodes in row order, with their symbols and contexts."""
    levels = []
    size = len(mask)
    while size > 1:
        half, found = size // 2, []

        def holds(row: int, column: int, extent: int) -> bool:
            inside = 0 <= row < len(mask) and 0 <= column < len(mask)
            return inside and bool(mask[row : row + extent, column : column + extent].any())

        for row in range(0, len(mask), size):
            for column in range(0, len(mask), size):
                children = [(row, column), (row, column + half), (row + half, column), (row + half, column + half)]
                code = sum(1 << place for place, child in enumerate(children) if holds(*child, half))
                beside = [(row - size, column), (row + size, column), (row, column - size), (row, column + size)]
                context = sum(1 << place for place, node in enumerate(beside) if holds(*node, size))
                if code:
                    found.append((code - 1, context))
        levels.append(found)
        size = half
    return levels


@given(st.integers(1, 5), st.floats(0.01, 1.0), st.integers(0, 1000))
def test_positions_come_back_and_match_the_recursive_twin(levels: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((1 << levels, 1 << levels)) < share
    mask[rng.integers(len(mask)), rng.integers(len(mask))] = True
    found = [list(zip(symbols.tolist(), contexts.tolist(), strict=True)) for symbols, contexts in nodes(mask)]
    assert found == plain_nodes(mask)
    model = PositionModel.learnt([mask, rng.random(mask.shape) < 0.5])
    writer = SymbolWriter()
    model.write(writer, mask)
    data = writer.to_bytes()
    assert len(data) <= model.bits(mask) / 8 * 1.03 + 16
    reader = SymbolReader(data)
    assert (model.read(reader, *mask.shape) == mask).all()
    reader.finish()


def test_clustered_cells_cost_less_than_scattered_ones() -> None:
    model = PositionModel.uniform(128, 128)
    clustered, scattered = np.zeros((2, 128, 128), bool)
    clustered[40:50, 60:70] = True
    scattered.reshape(-1)[np.random.default_rng(0).permutation(128 * 128)[:100]] = True
    assert model.bits(clustered) < 0.3 * model.bits(scattered)


def test_learnt_tables_cost_less_on_what_they_learnt() -> None:
    masks = []
    for seed in range(8):
        row, column = np.random.default_rng(seed).integers(0, 50, 2)
        mask = np.zeros((64, 64), bool)
        mask[row : row + 9, column : column + 7] = True
        masks.append(mask)
    learnt, uniform = PositionModel.learnt(masks), PositionModel.uniform(64, 64)
    assert sum(map(learnt.bits, masks)) < 0.5 * sum(map(uniform.bits, masks))


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="no positions"):
        PositionModel.uniform(4, 4).write(SymbolWriter(), np.zeros((4, 4), bool))


@given(st.binary(max_size=64))
def test_hostile_bytes_never_give_more_cells_than_the_grid_has(data: bytes) -> None:
    padded = data + b"\1" * (-len(data) % 4)
    if padded[-4:] == b"\0\0\0\0":
        padded += b"\1\0\0\0"
    mask = PositionModel.uniform(32, 32).read(SymbolReader(padded), 32, 32)
    assert mask.shape == (32, 32) and mask.any()
