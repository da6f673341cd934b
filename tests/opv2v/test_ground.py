"""The height of a sensor from its cloud."""

from __future__ import annotations

import numpy as np
import pytest

from carla_cp.geometry import inverse, matrix_from_pose, transform_points
from carla_cp.opv2v.ground import height_over_ground
from carla_cp.types import PointArray, Pose


def cloud(pose: Pose, road: int, wall: int = 400) -> PointArray:
    """Returns of a road at z = 0 and of a wall, in the frame of a sensor."""
    rng = np.random.default_rng(4)
    flat = np.column_stack([rng.uniform(-20, 20, (road, 2)) + [pose.x, pose.y], rng.normal(0, 0.02, road)])
    high = np.column_stack([rng.uniform(-20, 20, wall), np.full(wall, 8.0), rng.uniform(0, 6, wall)])
    local = transform_points(matrix_from_pose(inverse(pose)), np.concatenate([flat, high + [pose.x, pose.y, 0]]))
    return np.column_stack([local, np.ones(len(local))]).astype(np.float32)


@pytest.mark.parametrize("height", [1.4, 1.9, 5.0, 9.0])
@pytest.mark.parametrize(("roll", "pitch"), [(0.0, 0.0), (0.05, -0.15)])
def test_the_road_is_found_under_a_tilted_sensor(height: float, roll: float, pitch: float) -> None:
    pose = Pose(300.0, -20.0, height, roll, pitch, 1.0)
    assert height_over_ground(cloud(pose, 500), pose) == pytest.approx(height, abs=0.02)


def test_too_few_returns_tell_nothing() -> None:
    assert height_over_ground(cloud(Pose(z=2.0), 10, 0), Pose(z=2.0)) is None
    assert height_over_ground(np.zeros((0, 4), np.float32), Pose()) is None
