"""ReVQom's three kinds of packets."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from carla_cp.codecs.bitstream import PayloadError, Table
from carla_cp.codecs.positions import PositionModel
from carla_cp.codecs.revqom_packets import PACKED, SOME, WHOLE, RevqomPackets, RevqomTables
from carla_cp.codecs.rvq_budget import Plan
from carla_cp.codecs.rvq_coder import DEEP_CONTEXTS, LEVELS, IndexModel
from carla_cp.types import IntArray

ROWS, COLUMNS, STAGES, CODES, GROUPS = 12, 20, 8, 50, 3


def packets() -> RevqomPackets:
    rng = np.random.default_rng(5)
    tables = tuple(tuple(Table.from_counts(rng.uniform(0, 1, CODES)) for _ in range(GROUPS + 1)) for _ in range(STAGES))
    deep = tuple(tuple(Table.from_counts(rng.uniform(0.1, 1, 2)) for _ in range(DEEP_CONTEXTS)) for _ in range(LEVELS))
    groups = rng.integers(0, GROUPS, (STAGES, CODES))
    whole, some = (IndexModel(rng.integers(-90, 90, (STAGES, CODES, 5)), groups, tables, deep) for _ in range(2))
    where = PositionModel.uniform(ROWS, COLUMNS)
    return RevqomPackets((ROWS, COLUMNS), STAGES, CODES, RevqomTables(whole, some, where, np.ones((STAGES, CODES))))


def drawn() -> IntArray:
    return np.random.default_rng(6).integers(0, CODES, (STAGES, ROWS * COLUMNS))


def some_cells() -> tuple[bytes, IntArray, IntArray]:
    """A body of some cells, those cells, and their depths."""
    rng = np.random.default_rng(7)
    cells = np.flatnonzero(rng.random(ROWS * COLUMNS) < 0.3)
    depth = np.zeros(ROWS * COLUMNS, np.int64)
    depth[cells] = np.where(rng.random(len(cells)) < 0.4, 5, 2)
    return packets().some(cells, drawn(), depth, Plan(depth[cells], 2, 5, 1.0, 1.0)), cells, depth[cells]


def test_some_cells_come_back_as_deep_as_they_were_sent() -> None:
    body, cells, depth = some_cells()
    got = packets().read(body)
    assert np.flatnonzero(got.mask).tolist() == cells.tolist()
    expected = np.where(np.arange(STAGES)[:, None] < depth, drawn()[:, cells], CODES)
    np.testing.assert_array_equal(got.indices, expected)


def test_cells_that_are_all_deep_need_not_say_so() -> None:
    cells, depth = np.array([3, 40, 41]), np.full(ROWS * COLUMNS, 5)
    body = packets().some(cells, drawn(), depth, Plan(depth[cells], 2, 5, 1.0, 1.0))
    assert body[1] == 0x55
    assert (packets().read(body).indices[:5] == drawn()[:5, cells]).all()


@pytest.mark.parametrize(("first", "end"), [(0, ROWS * COLUMNS), (17, 18), (33, 150)])
def test_a_stretch_comes_back_whole_coded_or_not(first: int, end: int) -> None:
    coder, indices = packets(), drawn()
    for body, stages in ((coder.whole(indices, first, end), STAGES), (coder.packed(indices[:3], first, end), 3)):
        got = coder.read(body)
        assert np.flatnonzero(got.mask).tolist() == list(range(first, end))
        np.testing.assert_array_equal(got.indices[:stages], indices[:stages, first:end])
        assert (got.indices[stages:] == CODES).all()
    assert len(coder.packed(indices[:3], first, end)) == 10 + -(-3 * 6 * (end - first) // 8)


def test_an_index_beyond_all_codes_is_refused() -> None:
    with pytest.raises(PayloadError, match="beyond 50 codes"):
        packets().read(packets().packed(np.full((3, ROWS * COLUMNS), 63), 2, 9))


def test_bytes_of_given_symbols_never_change() -> None:
    coder, indices = packets(), drawn()
    bodies = some_cells()[0], coder.whole(indices, 9, 99), coder.packed(indices[:2], 9, 99)
    assert [(len(body), zlib.crc32(body)) for body in bodies] == GOLDEN


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        bytes([SOME << 4, 0x98]),  # low beyond high, high beyond all stages
        bytes([WHOLE << 4, 0x88, 0, 0, 0, 0, 0, 0x80, 0, 0]),  # more cells than there are
        bytes([WHOLE << 4, 0x88, 1, 0, 0, 0, 0, 0, 0, 0]),  # no cells
        bytes([PACKED << 4, 0x33, 0, 0, 0, 0, 9, 0, 0, 0, 1, 2]),  # too few bytes
        bytes([WHOLE << 4 | 9, 0x88, 0, 0, 0, 0, 9, 0, 0, 0]),  # no such level
        bytes([3 << 4, 0x88, 0, 0, 0, 0, 9, 0, 0, 0]),  # no such kind
    ],
)
def test_bodies_that_say_nonsense_are_refused(body: bytes) -> None:
    with pytest.raises(PayloadError):
        packets().read(body)


GOLDEN = [(222, 521186128), (566, 711215615), (145, 675501982)]
