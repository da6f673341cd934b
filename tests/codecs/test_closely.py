"""Packets of as many cells as fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import HEADER_BYTES
from carla_cp.codecs.cells import morton
from carla_cp.codecs.closely import even_stretches, fill_closely, fullest, stretches
from carla_cp.types import IntArray

COLUMNS = 64
ORDER = np.random.default_rng(3).permutation(COLUMNS * COLUMNS)


def write(cells: IntArray) -> bytes:
    """Cells on the right take five bytes, those on the left one, and a packet three."""
    return b"\1" * (3 + int((1 + 4 * (cells % COLUMNS > COLUMNS // 2)).sum()))


@pytest.mark.parametrize("guessed", [1.0, 8.0, 40.0])
@pytest.mark.parametrize("total", [60, 300, 2000, 5000])
def test_a_wrong_guess_is_mended_until_the_room_is_used(guessed: float, total: int) -> None:
    room = Room(total, 700)
    bodies = fill_closely(ORDER, COLUMNS, room, lambda cells: guessed * len(cells), write)
    assert room.fits(bodies)
    assert sum(HEADER_BYTES + len(body) for body in bodies) > 0.9 * total - 8


def test_without_a_budget_every_cell_is_sent_once_along_the_curve() -> None:
    sent: list[IntArray] = []

    def note(cells: IntArray) -> bytes:
        sent.append(cells)
        return write(cells)

    bodies = fill_closely(ORDER, COLUMNS, Room(None, 500), lambda cells: 8.0 * len(cells), note)
    assert max(map(len, bodies)) <= 500 - HEADER_BYTES
    assert sum(map(len, bodies)) == 3 * len(bodies) + int((1 + 4 * (ORDER % COLUMNS > COLUMNS // 2)).sum())
    assert np.array_equal(sent[-1], morton(ORDER, COLUMNS)[-len(sent[-1]) :])
    assert len(bodies) < 1.25 * sum(map(len, bodies)) / (500 - HEADER_BYTES)


def test_nothing_is_sent_where_no_cell_fits() -> None:
    for room in (Room(HEADER_BYTES + 2, 700), Room(None, HEADER_BYTES + 3), Room(500, HEADER_BYTES + 3)):
        assert fill_closely(ORDER, COLUMNS, room, lambda cells: 8.0 * len(cells), write) == []


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=300),
    limit=st.integers(70, 500),
    scale=st.floats(0.2, 5.0),
)
def test_stretches_hold_every_item_once_in_order_and_are_full(sizes: list[int], limit: int, scale: float) -> None:
    def bytes_of(start: int, stop: int) -> bytes:
        return b"".join(bytes([place % 256]) * sizes[place] for place in range(start, stop)) + b"head"

    bodies = stretches(np.array(sizes) * scale, limit, bytes_of)
    assert max(map(len, bodies)) <= limit
    assert b"".join(body[:-4] for body in bodies) == bytes_of(0, len(sizes))[:-4]
    if scale == 1.0:
        assert all(len(body) > 0.9 * limit - 64 for body in bodies[:-1])


def test_there_are_no_stretches_where_an_item_is_longer_than_a_packet() -> None:
    assert stretches(np.ones(5), 30, lambda start, stop: bytes(20 * (stop - start) + (20 if stop == 3 else 0))) == []


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=300),
    limit=st.integers(90, 500),
    scale=st.floats(0.2, 5.0),
)
def test_even_stretches_hold_every_item_once_in_order_and_are_of_like_length(
    sizes: list[int], limit: int, scale: float
) -> None:
    def bytes_of(start: int, stop: int) -> bytes:
        return b"".join(bytes([place % 256]) * sizes[place] for place in range(start, stop)) + b"head"

    costs = np.array(sizes) * scale
    bodies = even_stretches(costs, limit, bytes_of)
    assert max(map(len, bodies)) <= limit
    assert b"".join(body[:-4] for body in bodies) == bytes_of(0, len(sizes))[:-4]
    assert max(map(len, bodies)) - min(map(len, bodies)) <= 2 * 60
    assert costs.tolist() == (np.array(sizes) * scale).tolist()


def test_an_item_that_is_longer_than_a_packet_has_an_even_stretch_of_its_own() -> None:
    assert even_stretches(np.ones(3), 9, lambda start, stop: bytes(10 * (stop - start))) == [bytes(10)] * 3


@given(total=st.integers(60, 4000), guess=st.integers(0, 900))
def test_the_fullest_fits_and_little_is_left_whatever_the_guess(total: int, guess: int) -> None:
    room = Room(total, 500)

    def some(count: int) -> list[bytes]:
        return [bytes(4 * len(part) + 2) for part in np.array_split(np.arange(count), 1 + count // 100)]

    bodies = fullest(900, guess, room, some)
    assert room.fits(bodies)
    assert bodies or guess == 0
    if 0.8 * total < 4 * guess < 1.2 * total and bodies != some(900):
        assert sum(HEADER_BYTES + len(body) for body in bodies) > 0.9 * total - 50


def test_fewer_are_tried_where_packets_cannot_hold_them() -> None:
    assert fullest(90, 90, Room(1000, 500), lambda count: [bytes(count)] if count < 20 else []) == [bytes(19)]
    assert fullest(90, 90, Room(1000, 500), lambda count: []) == []
