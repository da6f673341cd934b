"""A ball that goes ahead, against boxes where it stops at a place that is known."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from carla_cp.server.obstacle import ObstacleSettings, Target, first_met
from carla_cp.server.wire import ActorInfo, Description

AHEAD = np.eye(4)
FAR = ObstacleSettings(distance=20.0, hit_radius=0.5)


def box(x: float, y: float = 0.0, yaw: float = 0.0, number: int = 5, moves: bool = True) -> Target:
    """Two metres long, wide and high."""
    pose = np.eye(4)
    pose[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    pose[:2, 3] = x, y
    return Target(ActorInfo(number, 0, Description(0, "box")), pose, np.ones(3), moves)


def gone(targets: list[Target], settings: ObstacleSettings = FAR, pose: npt.NDArray[np.float64] = AHEAD) -> float:
    """How far the ball goes; nan where it meets nothing."""
    met = first_met(settings, pose, targets)
    return math.nan if met is None else met[1]


def test_before_a_face_the_ball_stops_a_radius_away() -> None:
    assert gone([box(10.0)]) == pytest.approx(10.0 - 1.0 - 0.5, abs=1e-3)


def test_at_an_edge_it_stops_where_its_side_touches() -> None:
    beside = 1.0 + 0.3
    assert gone([box(10.0, beside)]) == pytest.approx(10.0 - 1.0 - math.sqrt(0.5**2 - 0.3**2), abs=2e-3)


def test_a_turned_box_is_met_at_its_corner() -> None:
    assert gone([box(10.0, yaw=math.pi / 4)]) == pytest.approx(10.0 - math.sqrt(2.0) - 0.5, abs=1e-3)


@pytest.mark.parametrize("beside", [-1.51, 1.51])
def test_it_passes_what_it_does_not_touch(beside: float) -> None:
    assert math.isnan(gone([box(10.0, beside)]))
    assert math.isnan(gone([]))


def test_it_goes_no_farther_than_the_distance_that_is_set() -> None:
    assert math.isnan(gone([box(10.0)], ObstacleSettings(distance=8.4)))
    assert gone([box(10.0)], ObstacleSettings(distance=8.6)) == pytest.approx(8.5, abs=1e-3)


def test_the_nearest_counts_and_the_town_only_where_it_is_asked_for() -> None:
    house, car = box(6.0, number=0, moves=False), box(12.0, number=7)
    met = first_met(FAR, AHEAD, [car, house])
    assert met is not None
    assert met[0] is house
    moving = first_met(ObstacleSettings(20.0, 0.5, only_dynamics=True), AHEAD, [car, house])
    assert moving is not None
    assert moving[0] is car


def test_it_goes_where_the_sensor_looks() -> None:
    left = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert gone([box(0.0, -10.0)], pose=left) == pytest.approx(8.5, abs=1e-3)
    assert math.isnan(gone([box(0.0, 10.0)], pose=left))


def test_a_ball_that_starts_inside_something_goes_nowhere() -> None:
    assert gone([box(0.5)]) == 0.0
