"""The fixed rate of CodeFilling's paper."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import HEADER_BYTES, PayloadError
from carla_cp.codecs.codefilling_paper import PAPER, PaperPackets
from carla_cp.codecs.positions import PositionModel
from carla_cp.types import IntArray

ROWS, COLUMNS, LEVELS, GROUPS, CODES = 20, 30, 3, 2, 64
PACKETS = PaperPackets(PositionModel.uniform(ROWS, COLUMNS), (ROWS, COLUMNS), LEVELS, GROUPS, CODES)


def drawn(cells: int, seed: int = 2) -> tuple[IntArray, IntArray]:
    """Flat cells in any order, and the indices of all."""
    rng = np.random.default_rng([seed, 9])
    return rng.permutation(ROWS * COLUMNS)[:cells], rng.integers(0, CODES, (LEVELS, GROUPS, ROWS * COLUMNS))


@given(cells=st.integers(1, ROWS * COLUMNS), packet=st.integers(120, 1400), seed=st.integers(0, 99))
def test_every_cell_comes_back_once_with_all_its_indices(cells: int, packet: int, seed: int) -> None:
    chosen, indices = drawn(cells, seed)
    bodies = PACKETS.bodies(chosen, indices, Room(None, packet))
    assert max(map(len, bodies)) <= packet - HEADER_BYTES
    seen = np.zeros((ROWS, COLUMNS), np.int64)
    for body in bodies:
        mask, found = PACKETS.read(body)
        np.testing.assert_array_equal(found, indices[:, :, mask.ravel()])
        seen += mask
    assert np.flatnonzero(seen).tolist() == sorted(chosen.tolist()) and seen.max() == 1


def test_a_cell_takes_six_bits_an_index_beside_its_place() -> None:
    chosen, indices = drawn(400)
    body = PACKETS.bodies(chosen, indices, Room(None, 1 << 20))[0]
    mask, _ = PACKETS.read(body)
    assert 0 <= 8 * len(body) - PACKETS.where.bits(mask) - 400 * LEVELS * GROUPS * 6 <= 8 + 64


def test_bytes_of_given_indices_never_change() -> None:
    bodies = PACKETS.bodies(*drawn(150), Room(None, 500))
    assert bodies[0][0] == PAPER
    assert [(len(body), zlib.crc32(body)) for body in bodies] == GOLDEN


def test_bodies_that_end_too_early_or_too_late_are_refused() -> None:
    body = PACKETS.bodies(*drawn(50), Room(None, 500))[0]
    for bad in (body[:-4], body[:-1], body + bytes(4), body + b"\1\0\0\0"):
        with pytest.raises(PayloadError):
            PACKETS.read(bad)


GOLDEN = [(445, 3497315917), (321, 230003591)]
