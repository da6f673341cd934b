"""Post-encroachment time, by hand and against areas that shapely sweeps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely

from carla_cp.geometry import bev_corners
from carla_cp.metrics.encroachment import (
    Course,
    course_of_ego,
    courses_of_others,
    least_time_apart,
    post_encroachment_time,
)
from carla_cp.types import Collision, TickRecord

from .builders import record, state, thing


def crossing(ahead_m: float, angle: float = math.pi / 2, ticks: int = 200) -> list[TickRecord]:
    """An ego along x and another at an angle, both at 10 m/s; the other is `ahead_m` further from where they cross."""
    records = []
    for tick in range(ticks):
        along = -40.0 + 0.5 * tick
        late = along - ahead_m
        other = state(late * math.cos(angle), late * math.sin(angle), angle, 10.0)
        records.append(record(tick, state(along, speed=10.0), [thing("other", other)]))
    return records


def test_two_that_cross_squarely_are_apart_by_their_distance_less_a_length_and_a_width() -> None:
    # The ego's rear leaves the other's strip 0.95 + 2.3 m behind the crossing, the other's front reaches the ego's
    # strip 0.95 + 2.3 m before it: 20 m apart at 10 m/s leave 2 - 0.65 s.
    assert post_encroachment_time(crossing(20.0)) == pytest.approx(1.35, abs=0.051)
    assert post_encroachment_time(crossing(-20.0)) == pytest.approx(1.35, abs=0.051)


@pytest.mark.parametrize("angle", [math.pi / 2, 1.1, -2.2])
def test_it_is_the_time_between_leaving_and_reaching_what_shapely_finds_both_swept(angle: float) -> None:
    records = crossing(22.0, angle)
    ego, other = course_of_ego(records), courses_of_others(records)[7]
    polygons = [[shapely.Polygon(corners) for corners in bev_corners(course.boxes)] for course in (ego, other)]
    shared = shapely.union_all(polygons[0]).intersection(shapely.union_all(polygons[1]))
    inside = [[part.intersection(shared).area > 0 for part in course] for course in polygons]
    left, reached = ego.times_s[inside[0]].max(), other.times_s[inside[1]].min()
    found = post_encroachment_time(records)
    assert found is not None
    slack = 0.101 if angle == math.pi / 2 else 0.5  # places within a slanted area are shared later than its corner
    assert found == pytest.approx(reached - left, abs=slack)
    assert found >= reached - left - 0.101


def test_a_leader_and_what_comes_the_other_way_cross_nobody() -> None:
    assert post_encroachment_time(crossing(8.0, 0.0)) is None
    assert post_encroachment_time(crossing(8.0, math.pi)) is None


def test_what_follows_a_contact_does_not_count_and_paths_may_never_cross() -> None:
    records = crossing(20.0)
    hit = record(70, state(0), records[70].truth.objects, [Collision("other", 7, 10.0)])
    assert post_encroachment_time([*records[:70], hit, *records[71:]]) is None
    assert post_encroachment_time(records[:60]) is None
    assert post_encroachment_time([]) is None
    assert post_encroachment_time([record(0, state(0))]) is None


def test_the_least_time_apart_is_that_of_a_loop_over_all_pairs() -> None:
    rng = np.random.default_rng(5)
    courses = []
    for _ in range(2):
        boxes = np.column_stack([rng.uniform(-6, 6, (30, 3)), rng.uniform(1, 4, (30, 3)), rng.uniform(-3, 3, 30)])
        courses.append(Course(np.sort(rng.uniform(0, 9, 30)), boxes))
    polygons = [[shapely.Polygon(corners) for corners in bev_corners(course.boxes)] for course in courses]
    slow = [
        abs(courses[0].times_s[i] - courses[1].times_s[j])
        for i in range(30)
        for j in range(30)
        if polygons[0][i].intersection(polygons[1][j]).area > 0
        and abs(math.sin(courses[0].boxes[i, 6] - courses[1].boxes[j, 6])) >= 0.5
    ]
    assert least_time_apart(*courses, math.pi / 6) == min(slow)
