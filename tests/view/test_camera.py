"""From the world to the screen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from carla_cp.types import Pose
from carla_cp.view.camera import MAX_SCALE, MIN_SCALE, Camera, zoomed


def test_ahead_is_up_and_right_is_right_whatever_the_heading() -> None:
    for yaw in (0.0, 1.0, math.pi, -2.5):
        camera = Camera(Pose(x=300.0, y=-80.0, yaw=yaw), 5.0, (400.0, 500.0))
        ahead = camera.at(300.0 + 10 * math.cos(yaw), -80.0 + 10 * math.sin(yaw))
        right = camera.at(300.0 - 10 * math.sin(yaw), -80.0 + 10 * math.cos(yaw))
        assert ahead == pytest.approx((400.0, 450.0))
        assert right == pytest.approx((450.0, 500.0))


def test_many_points_map_as_each_of_them() -> None:
    camera = Camera(Pose(x=3.0, y=4.0, yaw=0.7), 7.0, (10.0, 20.0))
    points = np.random.default_rng(0).uniform(-50, 50, (20, 2))
    assert camera.to_screen(points).tolist() == [pytest.approx(camera.at(x, y)) for x, y in points.tolist()]


def test_zooming_in_and_out_returns_and_has_limits() -> None:
    assert zoomed(zoomed(7.0, 3), -3) == pytest.approx(7.0)
    assert zoomed(7.0, 100) == MAX_SCALE
    assert zoomed(7.0, -100) == MIN_SCALE
