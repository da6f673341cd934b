"""Packets of as many cells as fit."""

from __future__ import annotations

import numpy as np
import pytest

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import HEADER_BYTES
from carla_cp.codecs.cells import morton
from carla_cp.codecs.closely import fill_closely
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
