import math

import numpy as np
import pytest

from carla_cp.driving.route import Route
from carla_cp.types import FloatArray

CORNER = Route(np.array([(0.0, 0.0), (20.0, 0.0), (20.0, 30.0)]))


def circle(radius: float) -> Route:
    angle = np.linspace(0.0, math.pi / 2, 200)
    return Route(np.column_stack([radius * np.sin(angle), radius * (1 - np.cos(angle))]))


def test_arc_length_runs_along_the_corners() -> None:
    assert CORNER.length == pytest.approx(50.0)
    assert CORNER.pose(5.0) == pytest.approx((5.0, 0.0, 0.0))
    assert CORNER.pose(40.0) == pytest.approx((20.0, 20.0, math.pi / 2))


def test_a_route_goes_on_straight_beyond_its_ends() -> None:
    assert CORNER.pose(52.0) == pytest.approx((20.0, 32.0, math.pi / 2))
    assert CORNER.pose(-3.0) == pytest.approx((-3.0, 0.0, 0.0))


def test_projection_gives_arc_length_and_offset_to_the_right() -> None:
    assert CORNER.project(7.3, 1.5) == pytest.approx((7.3, 1.5))
    assert CORNER.project(7.3, -1.5) == pytest.approx((7.3, -1.5))
    assert CORNER.project(19.0, 20.0) == pytest.approx((40.0, 1.0))


def test_a_hint_keeps_the_projection_on_its_branch() -> None:
    bend = Route(np.array([(0.0, 0.0), (100.0, 0.0), (100.0, 4.0), (0.0, 4.0)]))
    assert bend.project(30.0, 2.1)[0] > 150.0
    assert bend.project(30.0, 2.1, hint_s=28.0)[0] == pytest.approx(30.0)


def test_what_lies_beyond_an_end_is_far_from_the_route() -> None:
    s, lateral = CORNER.project_many(np.array([(-10.0, 0.0)]), 0.0, CORNER.length)
    assert s[0] == pytest.approx(0.0)
    assert abs(lateral[0]) == pytest.approx(10.0)


def test_projection_equals_a_plain_loop() -> None:
    points = np.random.default_rng(1).uniform(-5.0, 35.0, (40, 2))
    s, lateral = CORNER.project_many(points, 0.0, CORNER.length)
    for index, point in enumerate(points):
        nearest = min(distance_to(CORNER, at, point) for at in np.arange(0.0, 50.01, 0.1))
        assert abs(lateral[index]) == pytest.approx(nearest, abs=0.06)
        assert distance_to(CORNER, float(s[index]), point) == pytest.approx(nearest, abs=0.06)


def test_one_point_projects_as_many_do() -> None:
    points = np.random.default_rng(2).uniform(-8.0, 40.0, (60, 2))
    s, lateral = CORNER.project_many(points, 0.0, CORNER.length)
    for index, (x, y) in enumerate(points):
        assert CORNER.project(x, y) == pytest.approx((s[index], lateral[index]))


def distance_to(route: Route, s: float, point: FloatArray) -> float:
    x, y, _ = route.pose(s)
    return math.hypot(point[0] - x, point[1] - y)


def test_curvature_of_a_circle_is_one_over_its_radius() -> None:
    assert circle(20.0).curvature(15.0) == pytest.approx(1 / 20, rel=0.05)
    assert Route(np.array([(0.0, 0.0), (40.0, 0.0)])).curvature(20.0) == pytest.approx(0.0)


def test_headings_are_continuous_through_a_full_turn() -> None:
    angle = np.linspace(0.0, 2 * math.pi, 400)
    ring = Route(20.0 * np.column_stack([np.cos(angle), np.sin(angle)]))
    headings = ring.headings(np.linspace(0.0, ring.length, 300))
    assert np.abs(np.diff(headings)).max() < 0.1


def test_repeated_points_are_skipped_and_one_point_is_no_route() -> None:
    assert Route(np.array([(0.0, 0.0), (0.0, 0.0), (3.0, 0.0)])).length == pytest.approx(3.0)
    with pytest.raises(ValueError, match="two distinct points"):
        Route(np.array([(1.0, 1.0), (1.0, 1.0)]))
