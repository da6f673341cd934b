"""Points as bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carla_cp.codecs.bitstream import PayloadError
from carla_cp.codecs.early import STEP_M, EarlyCodec, lattice, read_bits, write_bits
from carla_cp.types import PointArray
from tests.codecs.fake import FakeView, fake_view


def decoded(view: FakeView, budget: int | None) -> PointArray:
    codec = EarlyCodec()
    points = codec.decode(codec.encode(view, budget)).points
    assert points is not None
    return points


def plain_bits(values: list[int]) -> str:
    return "".join(format(value, "b")[1:] for value in values if value)


@given(st.lists(st.integers(0, 2**28 - 1), max_size=50))
def test_bits_match_the_plain_twin_and_come_back(values: list[int]) -> None:
    array = np.array(values, np.int64)
    lengths = np.array([value.bit_length() for value in values], np.int64)
    data = write_bits(array, lengths)
    text = plain_bits(values)
    assert data == int((text + "0" * (-len(text) % 8)) or "0", 2).to_bytes((len(text) + 7) // 8, "big")
    assert read_bits(data, lengths).tolist() == values


def test_bits_of_another_length_are_refused() -> None:
    with pytest.raises(PayloadError):
        read_bits(b"abc", np.array([3]))


def test_every_point_in_range_has_its_lattice_point_and_intensity() -> None:
    view = fake_view()
    points = decoded(view, None)
    keys, first = lattice(view.points)
    assert len(points) == len(keys) == len({tuple(row) for row in points[:, :3].tolist()})
    assert np.abs(points[:, :3] - view.points[first, :3]).max() <= STEP_M / 2 + 1e-4
    assert np.abs(points[:, 3] - view.points[first, 3]).max() < 0.01


def test_points_out_of_the_lattice_are_left_out() -> None:
    far = np.array([[103.0, 0, 0, 1], [0, -103.0, 0, 1], [0, 0, 6.0, 1], [1, 2, 3, 1]], np.float32)
    assert lattice(far)[1].tolist() == [3]


def test_under_a_budget_what_stands_above_the_road_goes_first() -> None:
    view = fake_view()
    points = decoded(view, 1000)
    assert (points[:, 2] > 0.15).all()
    assert len(points) > 300
    everything = decoded(view, 6000)
    assert (everything[:, 2] < 0.15).any()


def test_a_budget_is_used_up() -> None:
    assert len(EarlyCodec().encode(fake_view(), 2000)) > 1960
