"""Routes, stop lines and traffic's paths on a committed map, with no server."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from carla_cp.types import Pose
from carla_cp.world import Roads, WorldError

MAPS = Path(__file__).resolve().parents[2] / "scenarios" / "maps"


@pytest.fixture(scope="module")
def crossing() -> Roads:
    return Roads.of_file(MAPS / "crossing.xodr")


@pytest.fixture(scope="module")
def rural() -> Roads:
    return Roads.of_file(MAPS / "rural.xodr")


def test_a_route_follows_the_lane_without_gaps(crossing: Roads) -> None:
    line = crossing.trace([Pose(-75.0, 5.25), Pose(55.0, 5.25)])
    assert np.abs(line[:, 1] - 5.25).max() < 0.1
    assert np.hypot(*np.diff(line, axis=0).T).max() < 1.2
    assert math.isclose(line[0, 0], -75.0, abs_tol=0.5) and math.isclose(line[-1, 0], 55.0, abs_tol=1.6)


def test_a_route_against_the_lane_names_its_waypoint(crossing: Roads) -> None:
    with pytest.raises(WorldError, match="route waypoint 2 "):
        crossing.trace([Pose(55.0, 5.25), Pose(-75.0, 5.25)])


def test_a_waypoint_beside_the_road_is_named(crossing: Roads) -> None:
    with pytest.raises(WorldError, match="not on a driving lane"):
        crossing.trace([Pose(-75.0, 60.0), Pose(55.0, 5.25)])


def test_a_route_around_an_obstacle_leads_along_the_oncoming_lane_and_back(rural: Roads) -> None:
    places = [(40.0, 1.75), (60.0, 1.75), (70.0, -1.75), (85.0, -1.75), (95.0, 1.75), (99.0, 1.75)]
    ends = [Pose(x, y) for x, y in places]
    line = rural.trace(ends, crossovers={2, 3, 4})
    assert np.hypot(*np.diff(line, axis=0).T).max() < 1.3
    for x, y in ((50.0, 1.75), (65.0, 0.0), (78.0, -1.75), (90.0, 0.0), (98.0, 1.75)):
        assert np.hypot(*(line - (x, y)).T).min() < 0.6
    ((first, last),) = rural.against(line)
    assert first == pytest.approx(25.5, abs=1.0) and last == pytest.approx(51.0, abs=2.0)


def test_a_route_along_its_lanes_leads_against_nobody(rural: Roads, crossing: Roads) -> None:
    assert rural.against(rural.trace([Pose(40.0, 1.75), Pose(120.0, 1.75)])) == ()
    assert crossing.against(crossing.trace([Pose(-75.0, 5.25), Pose(55.0, 5.25)])) == ()


def test_the_ego_approach_has_one_stop_line_before_the_junction(crossing: Roads) -> None:
    (line,) = crossing.stop_lines(crossing.trace([Pose(-75.0, 5.25), Pose(55.0, 5.25)]))
    assert line.signal_id == "101" and 60.0 < line.s_m < 64.0


def test_a_path_that_leaves_the_junction_has_no_stop_line(crossing: Roads) -> None:
    assert crossing.stop_lines(np.array([[-30.0, -1.75], [-150.0, -1.75]])) == ()


def test_lane_points_lie_on_the_lanes_in_a_fixed_order(crossing: Roads) -> None:
    points = crossing.lane_points(5.0)
    assert len(points) > 300 and np.array_equal(points, crossing.lane_points(5.0))
    assert set(np.unique(points[:, 3])) == {0.0, 1.0}


def test_a_lane_path_ends_where_the_lane_does_and_repeats_with_its_draws(crossing: Roads) -> None:
    paths = [crossing.lane_path(-75.0, 5.25, 400.0, np.random.default_rng(3)) for _ in range(2)]
    assert np.array_equal(*paths) and 100 < len(paths[0]) < 400


def test_a_sidewalk_path_stays_off_the_road(crossing: Roads) -> None:
    path = crossing.sidewalk_path(-60.0, 8.0, 30.0)
    assert path is not None and np.all(np.abs(path[:, 1]) > 7.0)


def test_junction_centres_are_found(crossing: Roads) -> None:
    assert np.abs(crossing.junction_centres()).max() < 1.0
