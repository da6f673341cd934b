"""Route completion, the Leaderboard's driving scores, red lights and long braking."""

from __future__ import annotations

import pytest

from carla_cp.metrics.driving import (
    driving_score,
    longest_braking_s,
    red_lights_run,
    route_completion,
)
from carla_cp.metrics.safety import Crash
from carla_cp.types import EpisodeEnd, LaneLight, LightState, ObjectClass

from .builders import record, state


def crash(label: ObjectClass | None = ObjectClass.VEHICLE, at_fault: bool = True) -> Crash:
    return Crash(1.0, "other", 5.0, at_fault, label)


def test_one_vehicle_hit_costs_what_the_leaderboards_say() -> None:
    score = driving_score(1.0, [crash()], 0)
    assert score.lb1 == pytest.approx(60.0)
    assert score.lb21 == pytest.approx(58.8235, abs=1e-3)


def test_three_vehicle_hits_multiply_in_one_and_add_in_two_point_one() -> None:
    score = driving_score(1.0, [crash()] * 3, 0)
    assert score.lb1 == pytest.approx(21.6)
    assert score.lb21 == pytest.approx(32.2581, abs=1e-3)


@pytest.mark.parametrize(
    ("label", "lb1", "lb21"),
    [
        (ObjectClass.PEDESTRIAN, 50.0, 50.0),
        (ObjectClass.CYCLIST, 60.0, 100 / 1.7),
        (None, 65.0, 62.5),
    ],
)
def test_each_kind_of_collision_has_its_penalty(label: ObjectClass | None, lb1: float, lb21: float) -> None:
    score = driving_score(1.0, [crash(label)], 0)
    assert [score.lb1, score.lb21] == pytest.approx([lb1, lb21])


def test_collisions_without_fault_are_free_and_completion_scales_the_score() -> None:
    assert driving_score(0.5, [crash(at_fault=False)], 0).lb1 == 50.0
    assert driving_score(0.5, [], 1).lb1 == pytest.approx(35.0)


def test_an_episode_that_ends_at_the_route_s_end_completed_it() -> None:
    records = [record(0, state(0), fraction=0.4), record(1, state(0), fraction=0.97)]
    assert route_completion(records, EpisodeEnd.TIMEOUT) == 0.97
    assert route_completion(records, EpisodeEnd.ROUTE) == 1.0


def red(distance: float, colour: LightState = LightState.RED) -> LaneLight:
    return LaneLight(colour, distance)


def test_passing_the_stop_line_at_red_is_counted_once() -> None:
    lights = [red(1.0), red(0.5), None, None]
    assert red_lights_run([record(i, state(0, speed=10), light=light) for i, light in enumerate(lights)]) == 1


def test_a_line_that_stays_in_sight_is_passed_where_its_distance_turns_negative() -> None:
    lights = [red(0.7), red(0.2), red(-0.3), red(-0.8)]
    assert red_lights_run([record(i, state(0, speed=10), light=light) for i, light in enumerate(lights)]) == 1


def test_stopping_at_red_or_passing_at_green_is_no_infraction() -> None:
    stopping = [red(1.0), red(0.8), red(0.8), red(0.8, LightState.GREEN)]
    assert red_lights_run([record(i, state(0, speed=1), light=light) for i, light in enumerate(stopping)]) == 0
    passing = [red(1.0, LightState.GREEN), red(0.5, LightState.GREEN), None]
    assert red_lights_run([record(i, state(0, speed=10), light=light) for i, light in enumerate(passing)]) == 0


def test_the_longest_hard_braking_is_one_unbroken_stretch() -> None:
    speeds = [10.0, 9.8, 9.6, 9.6, 9.4, 9.2, 9.0, 9.1]  # 4 m/s^2 for two steps, then for three
    records = [record(i, state(0, speed=speed)) for i, speed in enumerate(speeds)]
    assert longest_braking_s(records, 3.0) == pytest.approx(0.15)
    assert longest_braking_s(records, 5.0) == 0.0
