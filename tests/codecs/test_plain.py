"""Cells with nothing coded."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import torch

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import HEADER_BYTES, PayloadError
from carla_cp.codecs.plain import PlainCells, PlainStage, Precision, join_plain, read_plain, rounded
from carla_cp.codecs.taps import TapShapes
from carla_cp.types import Stage

SHAPES = TapShapes((4, 8, 16), (2, 16, 32))
NO_LIMIT = Room(None, 1384)


def features(stage: Stage = Stage.BEV) -> torch.Tensor:
    return torch.rand(SHAPES.of(stage), generator=torch.Generator().manual_seed(2)) * 7


def joined(bodies: list[bytes]) -> PlainCells:
    return join_plain((read_plain(body, SHAPES) for body in bodies), SHAPES)


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("stage", [Stage.BEV, Stage.BLOCK1])
def test_all_cells_arrive_as_rounding_says(precision: Precision, stage: Stage) -> None:
    bodies = PlainStage(stage, precision, features(stage)).all(Room(None, 120))
    assert len(bodies) > 1 and max(map(len, bodies)) <= 120 - HEADER_BYTES
    found = joined(bodies)
    assert (found.stage, found.precision) == (stage, precision)
    wanted = rounded(features(stage), precision).permute(1, 2, 0).flatten(0, 1)
    assert np.array_equal(found.values, wanted.numpy())
    assert found.formula_bytes == wanted.numel() * precision.bytes


def test_eight_bits_err_by_half_a_step_of_each_channels_own_scale() -> None:
    given = features() * torch.tensor([1e-3, 1.0, 50.0, 0.0])[:, None, None]
    error = (rounded(given, Precision.INT8) - given).abs().amax((1, 2))
    step = given.amax((1, 2)) / 255 * 2 ** (1 / 8)
    assert bool((error <= step / 2 * 1.0001).all()) and error[3] == 0


def test_whole_is_refused_where_it_does_not_fit() -> None:
    stage = PlainStage(Stage.BEV, Precision.FP16, features())
    size = sum(HEADER_BYTES + len(body) for body in stage.all(NO_LIMIT))
    assert stage.all(Room(size, 1384)) == stage.all(NO_LIMIT)
    assert stage.all(Room(size - 1, 1384)) == []


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("packet", [70, 1384])
def test_a_budget_is_filled_with_the_first_cells_to_the_last_that_fits(precision: Precision, packet: int) -> None:
    stage = PlainStage(Stage.BEV, precision, features())
    order = np.random.default_rng(3).permutation(128)
    before = 0
    for total in range(40, 700, 7):
        bodies = stage.some(order, Room(total, packet))
        assert Room(total, packet).fits(bodies)
        count = sum(len(read_plain(body, SHAPES).cells) for body in bodies)
        assert count >= before
        before = count
        if count:
            assert set(joined(bodies).cells) == set(order[:count])
        size = sum(HEADER_BYTES + len(body) for body in bodies)
        assert total - size < HEADER_BYTES + stage.head + stage.size + 2


def test_a_missing_packet_costs_its_cells_and_a_repeated_one_nothing() -> None:
    bodies = PlainStage(Stage.BEV, Precision.INT8, features()).all(Room(None, 120))
    lost = set(read_plain(bodies[1], SHAPES).cells)
    found = joined([*bodies[2:], bodies[0], bodies[0]])
    assert set(found.cells) == set(range(128)) - lost


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "no features"),
        (struct.pack("<BI", 3, 0) + bytes(8), "no kind"),
        (struct.pack("<BI", 0x41, 0) + bytes(8), "no kind"),
        (struct.pack("<BI", 1, 0), "no bev cells"),
        (struct.pack("<BI", 1, 0) + bytes(9), "no bev cells"),
        (struct.pack("<BI", 1, 128) + bytes(8), "outside the grid"),
        (struct.pack("<BI", 1, 127) + bytes(16), "outside the grid"),
        (struct.pack("<BI", 0x21, 0) + b"\x80\0" + bytes(8), "outside the grid"),
        (struct.pack("<BI", 1, 0) + b"\0\x7c" * 4, "finite"),
    ],
)
def test_hostile_bodies_are_refused(body: bytes, complaint: str) -> None:
    with pytest.raises(PayloadError, match=complaint):
        read_plain(body, SHAPES)


def test_packets_of_two_precisions_are_refused() -> None:
    halves, bytes_ = (
        PlainStage(Stage.BEV, each, features()).all(NO_LIMIT) for each in (Precision.FP16, Precision.INT8)
    )
    with pytest.raises(PayloadError, match="two stages or precisions"):
        joined([*halves, *bytes_])
