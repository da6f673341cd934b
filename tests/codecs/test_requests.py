"""What a receiver asks for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from carla_cp.codecs.bitstream import HEADER_BYTES, PayloadError, pack
from carla_cp.codecs.raw import RawCodec
from carla_cp.codecs.requests import BLOCK, MOST_AGE_US, OUTSIDE, SURE, WANTED, Demand, ask, wanted
from carla_cp.geometry import compose, transform_points
from carla_cp.types import GridSpec, Pose
from tests.codecs.fake import POSE, FakeView, fake_view

GRID = GridSpec()


def receiver(*cells: tuple[int, int, float]) -> FakeView:
    """One that is sure of objects in these rows and columns, to this degree."""
    heat = torch.full((3, 128, 128), 0.01)
    for row, column, score in cells:
        heat[1, row, column] = score
    return replace(fake_view(), heat=heat)


def test_a_request_says_in_few_bytes_where_the_receiver_is_sure() -> None:
    view = fake_view(objects=30)
    request = ask(RawCodec(), view)
    assert HEADER_BYTES < len(request) <= 150
    demand = Demand.read(request, RawCodec())
    peaks = view.heat.amax(0).view(64, BLOCK, 64, BLOCK).amax((1, 3)).numpy()
    assert np.array_equal(demand.levels, sum((peaks >= least).astype(int) for least in SURE))
    assert demand.levels.any()
    assert (demand.header.sender, demand.header.time_us) == ("rsu_1", view.sweep.time_us)


def test_a_receiver_that_is_sure_of_nothing_wants_its_whole_grid() -> None:
    request = ask(RawCodec(), receiver())
    assert len(request) == HEADER_BYTES + 1
    assert (Demand.read(request, RawCodec()).at(POSE, GRID) == 1).all()


@pytest.mark.parametrize("offset", [Pose(), Pose(x=20.0, y=-7.0, yaw=2.0), Pose(x=-40.0, y=33.0, z=1.0, yaw=-0.4)])
def test_weights_are_those_of_the_receivers_block_at_each_cells_middle(offset: Pose) -> None:
    demand = Demand.read(ask(RawCodec(), receiver((20, 30, 0.4), (64, 64, 0.9), (100, 90, 0.9))), RawCodec())
    weights = demand.at(compose(POSE, offset), GRID)
    assert weights.shape == (128, 128) and weights.dtype == np.float32 and ((weights > 0) & (weights <= 1)).all()
    for row in range(0, 128, 5):
        for column in range(0, 128, 3):
            middle = np.array([[(column + 0.5) * 0.8 - 51.2, (row + 0.5) * 0.8 - 51.2, 0.0]])
            flat = Pose(x=offset.x, y=offset.y, yaw=offset.yaw)
            matrix = np.array(
                [
                    [math.cos(flat.yaw), -math.sin(flat.yaw), 0, flat.x],
                    [math.sin(flat.yaw), math.cos(flat.yaw), 0, flat.y],
                    [0, 0, 1, 0],
                    [0, 0, 0, 1],
                ]
            )
            x, y, _ = transform_points(matrix, middle)[0]
            place = (math.floor((y + 51.2) / 1.6), math.floor((x + 51.2) / 1.6))
            beside = abs((x + 51.2) / 1.6 % 1 - 0.5) > 0.49 or abs((y + 51.2) / 1.6 % 1 - 0.5) > 0.49
            if beside:  # the header's rounding decides
                continue
            inside = all(0 <= each < 64 for each in place)
            assert weights[row, column] == (WANTED[demand.levels[place]] if inside else np.float32(OUTSIDE))


def test_the_surer_a_receiver_the_less_it_wants() -> None:
    assert WANTED[0] == 1 and (np.diff(WANTED) <= 0).all() and (WANTED > OUTSIDE).all()


def test_a_request_of_no_use_is_none() -> None:
    codec, view = RawCodec(), fake_view()
    request = ask(codec, view)
    assert wanted(request, codec, view) is not None
    assert wanted(None, codec, view) is None and wanted(b"", codec, view) is None
    for late in (MOST_AGE_US + 1, -MOST_AGE_US - 1):
        assert wanted(request, codec, replace(view, sweep=replace(view.sweep, time_us=1_234_567 + late))) is None
    assert wanted(request, codec, replace(view, sweep=replace(view.sweep, time_us=1_234_567 + MOST_AGE_US))) is not None
    assert wanted(request, RawCodec(fingerprint=5), view) is None
    assert wanted(codec.encode(view, 500), codec, view) is None
    assert wanted(request[:-1], codec, view) is None


def test_hostile_requests_raise_payload_error_or_are_sound() -> None:
    codec, rng = RawCodec(), np.random.default_rng(4)
    request = ask(codec, fake_view())
    header = Demand.read(request, codec).header
    refused = 0
    for _ in range(500):
        body = bytearray(request[HEADER_BYTES:])
        for place in rng.integers(1, len(body), 3):
            body[place] = rng.integers(256)
        try:
            demand = Demand.read(pack(header, bytes(body[: rng.integers(len(body) + 1)])), codec)
        except PayloadError:
            refused += 1
            continue
        weights = demand.at(POSE, GRID)
        assert ((weights > 0) & (weights <= 1)).all()
    assert 0 < refused < 500
