"""Infractions, by hand."""

from __future__ import annotations

import pytest

from carla_cp.metrics.collisions import Crash
from carla_cp.metrics.infractions import Infractions, infractions, outside_lanes, red_lights_run, slow_percents
from carla_cp.types import EpisodeEnd, LaneLight, LightState, ObjectClass, TickRecord

from .builders import record, state, thing


def crash(label: ObjectClass | None, at_fault: bool = True) -> Crash:
    return Crash(1.0, "other", 5.0, 5.0, at_fault, label)


def test_collisions_count_by_kind_and_only_those_at_fault() -> None:
    kinds = [ObjectClass.PEDESTRIAN, ObjectClass.VEHICLE, ObjectClass.CYCLIST, None]
    crashes = [crash(kind) for kind in kinds] + [crash(kind, at_fault=False) for kind in kinds]
    found = infractions([record(0, state(0))], crashes, EpisodeEnd.COLLISION)
    assert found == Infractions(1, 2, 1, 0, 0.0, ())
    assert not found.none
    assert infractions([record(0, state(0))], crashes[4:], EpisodeEnd.COLLISION).none


@pytest.mark.parametrize(("red_lights", "outside", "slow"), [(1, 0.0, ()), (0, 0.1, ()), (0, 0.0, (50.0,))])
def test_slowness_alone_is_no_infraction_to_success(red_lights: int, outside: float, slow: tuple[float, ...]) -> None:
    assert Infractions(0, 0, 0, red_lights, outside, slow).none is bool(slow)


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


def test_the_share_outside_lanes_is_of_progress_and_not_of_time() -> None:
    places = [(0.0, 0.0), (0.1, 2.2), (0.2, -2.3), (0.2, 3.0), (0.5, 0.0), (0.45, 9.0), (0.6, 2.3)]
    records = [record(i, state(0), fraction=fraction, offset=offset) for i, (fraction, offset) in enumerate(places)]
    assert outside_lanes(records) == pytest.approx((0.1 + 0.1) / 0.6)
    assert outside_lanes(records[:1]) == 0.0


def quarters(speeds: list[float], traffic: float | None, ticks: int = 10) -> list[TickRecord]:
    """An ego with one speed per quarter of the route, and background traffic at another."""
    others = [] if traffic is None else [thing("background_1", state(50, speed=traffic)), thing("queue", state(70), 9)]
    return [
        record(index, state(0, speed=speeds[index // ticks]), others, fraction=index / (4 * ticks))
        for index in range(len(speeds) * ticks)
    ]


def test_each_quarter_slower_than_the_background_traffic_is_a_percentage() -> None:
    assert slow_percents(quarters([5.0, 10.0, 12.0, 2.0], 10.0), EpisodeEnd.ROUTE) == pytest.approx((50.0, 20.0))


def test_an_unfinished_quarter_and_one_without_traffic_ask_for_nothing() -> None:
    assert slow_percents(quarters([5.0, 4.0], 10.0), EpisodeEnd.TIMEOUT) == pytest.approx((50.0,))
    assert slow_percents(quarters([5.0, 4.0, 3.0, 2.0], None), EpisodeEnd.ROUTE) == ()
    assert slow_percents(quarters([5.0, 4.0, 3.0, 2.0], 0.0), EpisodeEnd.ROUTE) == ()
