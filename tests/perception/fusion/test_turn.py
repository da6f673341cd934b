"""Turning channels: the identity at first, what it can learn, and nobody to turn."""

from __future__ import annotations

import math

import pytest
import torch

from carla_cp.geometry import matrix_from_pose
from carla_cp.perception.fusion import plane_theta
from carla_cp.perception.fusion.turn import Turn
from carla_cp.types import GridSpec, Pose

GRID = GridSpec(half_length_m=51.2, half_width_m=25.6)


def theta(yaw: float) -> torch.Tensor:
    return plane_theta(matrix_from_pose(Pose(x=3.0, y=-5.0, yaw=yaw)), GRID)[None]


def test_it_begins_as_the_identity_at_every_angle() -> None:
    features = torch.rand((1, 6, 8, 16), generator=torch.Generator().manual_seed(0))
    for yaw in (0.0, 1.0, -2.5):
        torch.testing.assert_close(Turn(6)(features, theta(yaw)), features)


@pytest.mark.parametrize("yaw", [0.0, 0.7, math.pi / 2, -2.0])
def test_a_pair_of_channels_can_be_turned_like_a_vector_whatever_the_shape_of_the_grid(yaw: float) -> None:
    turn = Turn(2)
    with torch.no_grad():
        turn.weight.zero_()
        turn.weight[1] = torch.eye(2)
        turn.weight[2] = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    vector = torch.tensor([3.0, 1.0])
    turned = turn(vector[None, :, None, None].expand(1, 2, 4, 8), theta(yaw))[0, :, 0, 0]
    cos, sin = math.cos(yaw), math.sin(yaw)
    expected = torch.tensor([3 * cos - sin, 3 * sin + cos]).clamp(min=0.0)
    torch.testing.assert_close(turned, expected, atol=1e-5, rtol=1e-5)


def test_nobody_is_turned_to_nothing() -> None:
    assert Turn(6)(torch.zeros((0, 6, 8, 16)), torch.zeros((0, 2, 3))).shape == (0, 6, 8, 16)
