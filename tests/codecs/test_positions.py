"""Cell positions by quadtree, against a recursive twin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carla_cp.codecs import positions
from carla_cp.codecs.bitstream import SymbolReader, SymbolWriter


def plain_patterns(mask: positions.BoolArray) -> list[list[int]]:
    """One node at a time: at each level the occupied nodes in row order."""
    levels = []
    size = len(mask)
    while size > 1:
        half, symbols = size // 2, []
        for row in range(0, len(mask), size):
            for column in range(0, len(mask), size):
                code = 0
                for child, (dy, dx) in enumerate([(0, 0), (0, half), (half, 0), (half, half)]):
                    if mask[row + dy : row + dy + half, column + dx : column + dx + half].any():
                        code |= 1 << child
                if code:
                    symbols.append(code - 1)
        levels.append(symbols)
        size = half
    return levels


@given(st.integers(1, 5), st.floats(0.01, 1.0), st.integers(0, 1000))
def test_positions_come_back_and_match_the_recursive_twin(levels: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((1 << levels, 1 << levels)) < share
    mask[rng.integers(len(mask)), rng.integers(len(mask))] = True
    assert [level.tolist() for level in positions.patterns(mask)] == plain_patterns(mask)
    tables = positions.uniform_tables(*mask.shape)
    writer = SymbolWriter()
    positions.write(writer, mask, tables)
    data = writer.to_bytes()
    assert abs(8 * len(data) - positions.bits(mask, tables)) < 64
    reader = SymbolReader(data)
    assert (positions.read(reader, tables, *mask.shape) == mask).all()
    reader.finish()


def test_clustered_cells_cost_less_than_scattered_ones() -> None:
    tables = positions.uniform_tables(128, 128)
    clustered, scattered = np.zeros((2, 128, 128), bool)
    clustered[40:50, 60:70] = True
    scattered.reshape(-1)[np.random.default_rng(0).permutation(128 * 128)[:100]] = True
    assert positions.bits(clustered, tables) < 0.3 * positions.bits(scattered, tables)


def test_learnt_tables_cost_less_on_what_they_learnt() -> None:
    masks = []
    for seed in range(8):
        row, column = np.random.default_rng(seed).integers(0, 50, 2)
        mask = np.zeros((64, 64), bool)
        mask[row : row + 9, column : column + 7] = True
        masks.append(mask)
    learnt, uniform = positions.tables_from(masks), positions.uniform_tables(64, 64)
    assert sum(positions.bits(m, learnt) for m in masks) < 0.8 * sum(positions.bits(m, uniform) for m in masks)


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="no positions"):
        positions.write(SymbolWriter(), np.zeros((4, 4), bool), positions.uniform_tables(4, 4))


@given(st.binary(max_size=64))
def test_hostile_bytes_never_give_more_cells_than_the_grid_has(data: bytes) -> None:
    padded = data + b"\1" * (-len(data) % 4)
    if padded[-4:] == b"\0\0\0\0":
        padded += b"\1\0\0\0"
    mask = positions.read(SymbolReader(padded), positions.uniform_tables(32, 32), 32, 32)
    assert mask.shape == (32, 32) and mask.any()
