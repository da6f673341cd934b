"""Collisions, time to collision, gaps, braking and awareness."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_cp.geometry import bev_corners
from carla_cp.metrics import safety
from carla_cp.types import Collision, FloatArray, ObjectClass

from .builders import record, state, thing, track


def random_pair(rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Two boxes far from the origin, some overlapping, and a relative velocity, sometimes along one axis or none."""
    boxes = [
        np.concatenate([rng.uniform(-8, 8, 3) + [300.0, -90.0, 0], rng.uniform(0.5, 5, 3), rng.uniform(-4, 4, 1)])
        for _ in range(2)
    ]
    velocity = rng.uniform(-6, 6, 2) * rng.integers(0, 2, 2)
    return boxes[0][None], boxes[1][None], velocity[None]


def polygon(box: FloatArray) -> shapely.Polygon:
    return shapely.Polygon(bev_corners(box)[0])


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**31))
def test_the_distance_of_boxes_is_that_of_their_polygons(seed: int) -> None:
    first, second, _ = random_pair(np.random.default_rng(seed))
    assert safety.box_distance(first, second)[0] == pytest.approx(polygon(first).distance(polygon(second)), abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**31))
def test_boxes_first_touch_at_their_time_to_collision(seed: int) -> None:
    first, second, velocity = random_pair(np.random.default_rng(seed))
    ttc = float(safety.time_to_collision(first, second, velocity)[0])

    def apart(time: float) -> float:
        moved = second.copy()
        moved[:, :2] += velocity * time
        return float(polygon(first).distance(polygon(moved)))

    before = np.linspace(0, min(ttc, 20.0), 50)[:-1]
    if ttc > 0:
        assert all(apart(time) > 0 for time in before)
    if np.isfinite(ttc):
        assert apart(ttc) == pytest.approx(0.0, abs=1e-9)


def test_a_head_on_approach_takes_the_gap_over_the_closing_speed() -> None:
    records = [record(0, state(0, speed=10), [thing("other", state(24.6, yaw=np.pi, speed=10))])]
    assert safety.min_time_to_collision(records) == pytest.approx(1.0)


def test_a_car_that_passes_behind_is_never_approached() -> None:
    records = [record(0, state(0, speed=10), [thing("other", state(-10, -10, np.pi / 2, 3))])]
    assert safety.min_time_to_collision(records) is None


def test_without_objects_there_is_neither_a_gap_nor_a_time_to_collision() -> None:
    records = [record(0, state(0, speed=10))]
    assert safety.min_time_to_collision(records) is None
    assert safety.min_gap(records) is None
    assert safety.gap_to_nearest(records[0]) is None


def test_the_least_gap_is_taken_over_all_ticks_and_objects() -> None:
    far, near = thing("far", state(30), 1), thing("near", state(14.6), 2)
    records = [record(0, state(0), [far, near]), record(1, state(5), [far, near])]
    assert safety.min_gap(records) == pytest.approx(5.0)
    assert safety.min_gap(records, "far") == pytest.approx(20.4)
    assert safety.min_gap(records, "nobody") is None
    assert safety.gap_to_nearest(records[0]) == pytest.approx(10.0)
    assert safety.gap_to_nearest(records[0], "far") == pytest.approx(25.4)


def test_contacts_with_one_actor_within_five_seconds_are_one_collision() -> None:
    hits = {0: 7, 1: 7, 20: 8, 60: 7, 161: 7}
    records = [
        record(tick, state(0), [thing("a", state(9), 7)], [Collision("x", hits[tick], 4.0)] if tick in hits else [])
        for tick in range(170)
    ]
    found = safety.collisions(records)
    assert [(item.t_s, item.label) for item in found] == [(0.0, 0), (1.0, None), (8.05, 0)]


@pytest.mark.parametrize(("speed", "fault"), [(0.09, False), (0.1, True), (9.0, True)])
def test_a_standing_ego_is_not_at_fault(speed: float, fault: bool) -> None:
    (found,) = safety.collisions([record(0, state(0), [], [Collision("x", 7, speed)])])
    assert found.at_fault is fault


def test_a_crash_does_not_count_as_braking() -> None:
    speeds = [10.0, 9.9, 9.7, 0.0]
    records = [
        record(tick, state(0, speed=speed), [], [Collision("x", 7, 9.7)] if tick == 3 else [])
        for tick, speed in enumerate(speeds)
    ]
    assert safety.max_brake(records) == pytest.approx(4.0)
    assert safety.max_brake(records[:1]) == 0.0


def test_awareness_counts_from_the_trigger_to_the_first_track_of_the_right_class_nearby() -> None:
    hazard = thing("walker", state(20), 3, ObjectClass.PEDESTRIAN)
    wrong, far = track(20, 0, ObjectClass.VEHICLE), track(23.1, 0, ObjectClass.PEDESTRIAN)
    right = track(22.9, 0, ObjectClass.PEDESTRIAN)
    seen = [(), (wrong,), (far,), (), (right,)]
    records = [record(i, state(0), [hazard], tracks=seen[i], hazard_active=i >= 1) for i in range(5)]
    assert safety.time_to_awareness(records, "walker") == pytest.approx(0.15)
    assert safety.time_to_awareness(records[:4], "walker") is None
    assert safety.time_to_awareness(records, "someone_else") is None
    assert safety.time_to_awareness(records, None) is None


def test_awareness_before_the_trigger_is_negative_and_without_a_trigger_undefined() -> None:
    hazard = thing("car", state(20), 3)
    records = [record(i, state(0), [hazard], tracks=[track(20, 0)], hazard_active=i >= 4) for i in range(6)]
    assert safety.time_to_awareness(records, "car") == pytest.approx(-0.2)
    assert safety.time_to_awareness(records[:4], "car") is None
