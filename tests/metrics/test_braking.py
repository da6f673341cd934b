"""Braking, and braking for nobody."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from carla_cp.metrics.braking import decelerations, false_braking, max_brake
from carla_cp.types import Collision, LaneLight, LightState, TickRecord, TruthObject

from .builders import record, state, thing


def slowing(
    others: Callable[[int], Sequence[TruthObject]], light: LaneLight | None = None, ticks: int = 8
) -> list[TickRecord]:
    """An ego that goes at 10 m/s along x for 20 ticks, brakes with 4 m/s^2 for some, and rolls on until tick 100."""
    x, speed, records = 0.0, 10.0, []
    for tick in range(100):
        path = [(x + 0.5 * step, 0.0) for step in range(80)]
        records.append(record(tick, state(x, speed=speed), others(tick), light=light, path=path))
        speed -= 0.2 if 20 <= tick < 20 + ticks else 0.0
        x += speed * 0.05
    return records


def nobody(tick: int) -> Sequence[TruthObject]:
    return ()


def test_a_crash_does_not_count_as_braking() -> None:
    speeds = [10.0, 9.9, 9.7, 0.0]
    records = [
        record(tick, state(0, speed=speed), [], [Collision("x", 7, 9.7)] if tick == 3 else [])
        for tick, speed in enumerate(speeds)
    ]
    assert max_brake(records) == pytest.approx(4.0)
    assert decelerations(records) == pytest.approx([2.0, 4.0])
    assert max_brake(records[:1]) == 0.0


def test_hard_braking_for_nobody_is_false_for_as_long_as_it_lasts() -> None:
    assert false_braking(slowing(nobody)) == pytest.approx(0.4)
    assert false_braking(slowing(nobody, ticks=4)) == pytest.approx(0.2)
    assert false_braking(slowing(nobody, ticks=3)) == 0.0  # a twitch
    assert false_braking([]) == 0.0


def test_braking_as_softly_as_anyone_may_is_never_false() -> None:
    records = [record(tick, state(0, speed=10 - 0.16 * tick)) for tick in range(20)]
    assert false_braking(records) == 0.0


def test_a_car_that_really_stands_in_the_way_is_a_cause_and_one_beside_it_is_none() -> None:
    assert false_braking(slowing(lambda tick: [thing("other", state(35))])) == 0.0
    assert false_braking(slowing(lambda tick: [thing("other", state(35, 2.0))])) == pytest.approx(0.4)
    assert false_braking(slowing(lambda tick: [thing("other", state(60))])) == pytest.approx(0.4)  # beyond 5 s


def crossing_car(tick: int, late_s: float = 0.0, stops: bool = False) -> Sequence[TruthObject]:
    """A car from the left that is at x = 30 when the unbraked ego would be, after 3 s, or stops 8 m before."""
    y = 10.0 * (0.05 * tick - 3.0 - late_s)
    return [thing("other", state(30.0, min(y, -8.0) if stops else y, math.pi / 2, 10.0))]


def test_a_cross_car_is_a_cause_if_it_came_and_none_if_it_stopped() -> None:
    assert false_braking(slowing(crossing_car)) == 0.0
    assert false_braking(slowing(lambda tick: crossing_car(tick, stops=True))) == pytest.approx(0.4)


@pytest.mark.parametrize(("late_s", "false"), [(1.2, 0.0), (-1.2, 0.0), (2.0, 0.4), (-2.0, 0.4)])
def test_a_cross_car_that_came_within_a_second_of_the_ego_is_a_cause(late_s: float, false: float) -> None:
    # From 1.2 s the bodies' extents take 0.65 s; from 2 s they leave 1.35 s.
    assert false_braking(slowing(lambda tick: crossing_car(tick, late_s))) == pytest.approx(false)


def test_beyond_what_a_plan_shows_the_ego_would_have_gone_straight_on() -> None:
    standing = thing("other", state(45.0))
    shown = [record(item.tick, item.ego, [standing], path=item.plan.path[:20]) for item in slowing(nobody)]
    unplanned = [record(item.tick, item.ego, [standing]) for item in slowing(nobody)]
    assert false_braking(shown) == false_braking(unplanned) == 0.0


def test_who_is_behind_is_no_cause() -> None:
    follower = slowing(lambda tick: [thing("other", state(0.5 * tick - 6.0, speed=10))])
    assert false_braking(follower) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("colour", "metres", "false"),
    [
        (LightState.RED, 35.0, 0.0),
        (LightState.YELLOW, 35.0, 0.0),
        (LightState.GREEN, 35.0, 0.4),
        (LightState.RED, 51.0, 0.4),
    ],
)
def test_a_light_that_the_ego_would_pass_is_a_cause_unless_it_is_green(
    colour: LightState, metres: float, false: float
) -> None:
    assert false_braking(slowing(nobody, LaneLight(colour, metres))) == pytest.approx(false)


def test_the_ego_would_have_followed_its_path_round_a_bend() -> None:
    def bending(tick: int) -> list[tuple[float, float]]:
        return [(float(step), 0.0) for step in range(20)] + [(20.0, float(step)) for step in range(30)]

    standing = thing("other", state(20, 15, math.pi / 2))
    straight = slowing(lambda tick: [standing])
    bent = [
        record(item.tick, item.ego, [standing], path=[(x, y) for x, y in bending(0) if x >= item.ego.pose.x])
        for item in straight
    ]
    assert false_braking(straight) == pytest.approx(0.4)
    assert false_braking(bent) == 0.0
