"""Cells into packets."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import HEADER_BYTES
from carla_cp.codecs.cells import fill, morton
from carla_cp.types import IntArray

COLUMNS = 64


def two_bytes_each(cells: IntArray) -> bytes:
    return cells.astype("<u2").tobytes()


def bits(cells: IntArray) -> float:
    return 16.0 * len(cells)


@given(
    total=st.one_of(st.none(), st.integers(41, 6000)),
    packet=st.integers(60, 1400),
    count=st.integers(1, 3000),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_the_most_useful_cells_that_fit_travel_once_each(total: int | None, packet: int, count: int, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(COLUMNS * COLUMNS)[:count]
    room = Room(total, packet)
    bodies = fill(order, COLUMNS, room, bits, two_bytes_each)
    assert room.fits(bodies)
    sent = np.concatenate([np.frombuffer(body, "<u2") for body in bodies]) if bodies else np.zeros(0)
    assert sorted(sent) == sorted(order[: len(sent)])
    if total is None:
        assert len(sent) == count
    elif len(sent) < count:  # at most some three in a hundred of what would have fitted are left at home
        packets = -(-total // packet)
        assert 2 * len(sent) + HEADER_BYTES * (packets + 2) + 2 >= 0.96 * total


def test_neighbours_travel_together() -> None:
    order = np.random.default_rng(0).permutation(COLUMNS * COLUMNS)
    bodies = fill(order, COLUMNS, Room(None, 2 * 256 + HEADER_BYTES), bits, two_bytes_each)
    assert len(bodies) == 16
    for body in bodies:
        rows, columns = np.divmod(np.frombuffer(body, "<u2"), COLUMNS)
        assert np.ptp(rows) == np.ptp(columns) == 15


@given(st.lists(st.tuples(st.integers(0, 63), st.integers(0, 63)), unique=True, max_size=50))
def test_the_morton_curve_interleaves_the_bits_of_row_and_column(places: list[tuple[int, int]]) -> None:
    def key(cell: int) -> int:
        row, column = divmod(cell, COLUMNS)
        return sum((row >> bit & 1) << 2 * bit + 1 | (column >> bit & 1) << 2 * bit for bit in range(6))

    cells = np.array([row * COLUMNS + column for row, column in places], np.int64)
    assert morton(cells, COLUMNS).tolist() == sorted(cells.tolist(), key=key)


def test_cells_too_long_for_any_packet_stay_at_home() -> None:
    def long(cells: IntArray) -> bytes:
        return bytes(100 * len(cells))

    assert fill(np.arange(9), COLUMNS, Room(400, 120), lambda cells: 800.0 * len(cells), long) == []
