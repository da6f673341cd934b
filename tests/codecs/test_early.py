"""Points as messages."""

from __future__ import annotations

import numpy as np
import pytest

from carla_cp.codecs.base import PACKET_BYTES
from carla_cp.codecs.bitstream import PayloadError, cut
from carla_cp.codecs.early import STEP_M, EarlyCodec, EarlySymbols, lattice, write
from carla_cp.codecs.octree import codes_of
from carla_cp.types import PointArray
from tests.codecs.fake import FakeView, fake_view


def decoded(view: FakeView, budget: int | None) -> PointArray:
    codec = EarlyCodec()
    points = codec.decode(codec.encode(view, budget)).points
    assert points is not None
    return points


def test_every_point_in_range_has_its_lattice_point_and_intensity() -> None:
    view = fake_view()
    points = decoded(view, None)
    codes, first = lattice(view.points)
    assert len(points) == len(codes) == len({tuple(row) for row in points[:, :3].tolist()})
    assert np.abs(points[:, :3] - view.points[first, :3]).max() <= STEP_M / 2 + 1e-4
    assert np.abs(points[:, 3] - view.points[first, 3]).max() < 0.01


def test_points_out_of_the_lattice_are_left_out() -> None:
    far = np.array([[103.0, 0, 0, 1], [0, -103.0, 0, 1], [0, 0, 6.0, 1], [1, 2, 3, 1]], np.float32)
    assert lattice(far)[1].tolist() == [3]


def test_under_a_budget_what_stands_above_the_road_goes_first() -> None:
    view = fake_view()
    points = decoded(view, 700)
    assert (points[:, 2] > 0.15).all() and len(points) > 300
    assert (decoded(view, 6000)[:, 2] < 0.15).any()


def test_a_budget_is_used_up() -> None:
    assert len(EarlyCodec().encode(fake_view(), 2000)) > 1880


def test_a_lost_packet_costs_its_region_only() -> None:
    codec, view = EarlyCodec(), fake_view()
    packets = cut(codec.encode(view, None))
    assert len(packets) > 2 and max(map(len, packets)) <= PACKET_BYTES
    whole = {tuple(row) for row in decoded(view, None).tolist()}
    lost = 0
    for index in range(len(packets)):
        rest = codec.decode(b"".join(packets[:index] + packets[index + 1 :])).points
        assert rest is not None
        assert {tuple(row) for row in rest.tolist()} < whole
        lost += len(whole) - len(rest)
    assert lost == len(whole)


def test_the_formula_charges_sixteen_bytes_a_point() -> None:
    codec = EarlyCodec()
    _, symbols = codec.parse(codec.encode(fake_view(), None))
    assert codec.formula_bytes(symbols) == 16 * len(symbols.codes)


def test_packets_of_two_sweeps_are_refused() -> None:
    codes = codes_of(np.array([[1, 2, 3]]))
    with pytest.raises(PayloadError, match="several sweeps"):
        EarlyCodec().join(iter([EarlySymbols(codes, 19, 40), EarlySymbols(codes, 20, 40)]))


def test_a_flood_is_refused() -> None:
    codec, codes = EarlyCodec(), codes_of(np.array([[1, 2, 3]]))
    with pytest.raises(PayloadError, match="no sweep"):
        codec.join(EarlySymbols(codes, 19, 40) for _ in range(200))
    many = EarlySymbols(np.arange(1 << 15), 19, 40)
    with pytest.raises(PayloadError, match="no sweep"):
        codec.join(many for _ in range(5))


def test_unknown_tables_are_refused() -> None:
    body = write(EarlySymbols(codes_of(np.array([[1, 2, 3]])), 19, 40), 1)
    assert EarlyCodec().read(body).codes.tolist() == codes_of(np.array([[1, 2, 3]])).tolist()
    with pytest.raises(PayloadError, match="no tables 2"):
        EarlyCodec().read(body[:2] + b"\x02" + body[3:])
