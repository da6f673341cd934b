"""A car that only brakes, and fully."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from carla_cp.driving.brake_only import BrakeOnlyPlanner
from carla_cp.driving.route import Route
from carla_cp.types import LaneLight, LightState, Plan, Track
from tests.driving.crossing import body, drive
from tests.driving.test_planner import standing_car

ROUTE = Route(np.array([(0.0, 0.0), (300.0, 0.0)]))


def drive_up(tracks: list[Track], seconds: float = 12.0, gone_s: float = 99.0) -> tuple[list[Plan], list[float]]:
    """From 12 m/s at x = 10: the plans, and where the front was after each."""
    car, planner, plans, fronts = body(10.0, 0.0, 0.0, 12.0), BrakeOnlyPlanner.start(ROUTE, 12.0), [], []
    for tick in range(round(seconds * 20)):
        plans.append(planner.plan(car, None, tracks if tick < gone_s * 20 else [], tick * 50_000))
        car = drive(car, plans[-1].control)
        fronts.append(car.pose.x + car.length / 2)
    return plans, fronts


def test_it_keeps_its_speed_until_it_brakes_fully_and_stops_in_time() -> None:
    plans, fronts = drive_up([standing_car(90.0)])
    first = next(tick for tick, plan in enumerate(plans) if plan.control.brake > 0.0)
    stands = next(tick for tick, front in enumerate(fronts) if front == fronts[-1])
    assert all(plan.reason == "free" for plan in plans[:first])
    assert 12.0 < 90.0 - 2.3 - fronts[first] < 15.0, "where stopping takes 5 m/s^2"
    assert all(plan.control.brake == 1.0 and plan.conflict_track == 4 for plan in plans[first : stands - 5])
    assert all(plan.control.brake > 0.5 for plan in plans[stands:])
    assert 90.0 - 2.3 - 8.0 < fronts[-1] < 90.0 - 2.3


def test_somebody_faster_ahead_is_no_reason_to_brake() -> None:
    plans, _ = drive_up([replace(standing_car(40.0), vx=14.0)], seconds=1.0)
    assert {plan.reason for plan in plans} == {"free"}


def test_it_goes_on_when_nothing_is_in_the_way_any_more() -> None:
    plans, fronts = drive_up([standing_car(90.0)], seconds=16.0, gone_s=10.0)
    assert plans[-1].reason == "free" and fronts[-1] > 90.0


def test_its_light_it_takes_as_the_fixed_planner_does() -> None:
    planner, car = BrakeOnlyPlanner.start(ROUTE, 12.0), body(10.0, 0.0, 0.0, 12.0)
    plan = planner.plan(car, LaneLight(LightState.RED, 30.0), [], 0)
    assert plan.reason == "light" and 0.0 < plan.control.brake < 1.0
