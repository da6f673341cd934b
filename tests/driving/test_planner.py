import math

import numpy as np
import pytest

from carla_cp.driving.planner import Planner, PlannerConfig
from carla_cp.driving.route import Route
from carla_cp.types import LaneLight, LightState, ObjectClass, Plan, Track, VehicleState
from tests.driving.crossing import STEP_S, Crossing, body, drive, play

STRAIGHT = Route(np.array([(0.0, 0.0), (300.0, 0.0)]))
GRID = [(offset, ego, other) for offset in (-0.5, 0.0, 0.5) for ego, other in ((0.9, 1.1), (1.0, 1.0), (1.1, 0.9))]


def standing_car(x: float, y: float = 0.0) -> Track:
    return Track(4, ObjectClass.VEHICLE, x, y, 0.8, 0.0, 0.0, 0.0, 4.6, 1.9, 1.5, 9, 0, 0.9)


def truck_beside_the_lane(reach_m: float) -> Track:
    """Stands 30 m ahead and reaches so far into the strip that the ego wants for itself, 0.3 m wider than its body."""
    ego_half = body(0.0, 0.0, 0.0, 0.0).width / 2
    return Track(
        7, ObjectClass.VEHICLE, 50.0, ego_half + 0.3 + 1.5 - reach_m, 1.8, 0.0, 0.0, 0.0, 8.0, 3.0, 3.6, 50, 0, 0.9
    )


def approach(
    light: LightState | None, tracks: list[Track], line_x: float = 80.0, seconds: float = 20.0
) -> tuple[VehicleState, list[Plan], list[float]]:
    """Drive from 12 m/s at x = 10 with a light at `line_x`; the state reached, the plans, the decelerations."""
    car, planner = body(10.0, 0.0, 0.0, 12.0), Planner(PlannerConfig(), STRAIGHT)
    plans, braking = [], []
    for tick in range(round(seconds / STEP_S)):
        front = car.pose.x + car.length / 2
        told = LaneLight(light, line_x - front) if light is not None and front <= line_x else None
        plans.append(planner.plan(car, told, tracks, tick * 50_000))
        before = car.speed
        car = drive(car, plans[-1].control)
        braking.append((before - car.speed) / STEP_S)
    return car, plans, braking


@pytest.mark.parametrize(("offset", "ego", "other"), GRID)
def test_a_violator_known_three_seconds_ahead_is_never_hit(offset: float, ego: float, other: float) -> None:
    result = play(Crossing(ego_mps=12 * ego, other_mps=13 * other, offset_s=offset, known_s=3.0), 7.0)
    assert result.min_gap_m > 1.0


@pytest.mark.parametrize("offset", [0.0, 0.4])
def test_a_violator_known_only_one_second_ahead_is_hit(offset: float) -> None:
    late = [play(Crossing(offset_s=offset, known_s=1.0, seed=seed), 7.0).min_gap_m for seed in range(2)]
    assert max(late) == 0.0


def test_a_standing_truck_that_only_grazes_the_lane_is_passed_once_the_ego_is_slow() -> None:
    car, plans, _ = approach(None, [truck_beside_the_lane(0.35)])
    assert car.pose.x > 60.0
    assert any(plan.reason == "follow" for plan in plans), "it must slow down first"


def test_a_standing_truck_that_reaches_into_the_lane_is_waited_for() -> None:
    car, _, _ = approach(None, [truck_beside_the_lane(0.6)], seconds=30.0)
    assert 35.0 < car.pose.x < 45.0 and car.speed < 0.2


def test_after_the_violator_has_passed_the_ego_goes_on() -> None:
    result = play(Crossing(known_s=3.0), 14.0)
    assert {"free", "conflict"} <= {plan.reason for plan in result.plans}
    assert result.ego_end_x > 15.0


@pytest.mark.parametrize("line_m", [5.0, 6.5, 8.0])
@pytest.mark.parametrize("noise_m", [0.15, 0.3])
def test_a_cross_car_that_stops_at_its_line_does_not_stop_the_ego(line_m: float, noise_m: float) -> None:
    for offset in (-0.3, 1.0):
        case = Crossing(offset_s=offset, known_s=5.0, other_stop_mps2=2.5, other_line_m=line_m, noise_m=noise_m)
        result = play(case)
        assert result.hard_brake_s <= 0.6
        assert result.ego_end_x > 30.0


def test_false_tracks_off_the_road_never_brake() -> None:
    results = [play(Crossing(known_s=-99.0, ghost=True, seed=seed), 6.0) for seed in range(4)]
    assert max(result.hardest_brake_mps2 for result in results) < 0.3


def test_the_same_case_gives_the_same_plans() -> None:
    case = Crossing(known_s=2.5, ghost=True)
    assert play(case, 5.0) == play(case, 5.0)


def test_a_red_light_is_stopped_at_comfortably() -> None:
    car, plans, braking = approach(LightState.RED, [])
    assert 0.2 < 80.0 - (car.pose.x + car.length / 2) < 2.0
    assert car.speed < 0.1
    assert max(braking) < 4.0
    assert any(plan.reason == "light" for plan in plans)


@pytest.mark.parametrize("state", [LightState.GREEN, LightState.OFF, None])
def test_without_a_red_light_the_ego_drives_on(state: LightState | None) -> None:
    car, plans, _ = approach(state, [], seconds=10.0)
    assert car.pose.x > 120.0
    assert {plan.reason for plan in plans} == {"free"}


def test_yellow_is_run_when_it_is_too_late_to_stop() -> None:
    car, _, _ = approach(LightState.YELLOW, [], line_x=30.0, seconds=6.0)
    assert car.pose.x > 60.0
    car, _, _ = approach(LightState.YELLOW, [], line_x=80.0)
    assert car.speed < 0.1


def test_a_standing_car_is_stopped_behind_and_one_in_the_next_lane_is_passed() -> None:
    car, plans, braking = approach(None, [standing_car(90.0)])
    assert 1.0 < 90.0 - 2.3 - (car.pose.x + car.length / 2) < 3.5
    assert plans[-1].conflict_track == 4 and any(plan.reason == "follow" for plan in plans)
    assert max(braking) < 4.5
    car, plans, _ = approach(None, [standing_car(90.0, y=3.5)], seconds=10.0)
    assert {plan.reason for plan in plans} == {"free"}


def test_a_bend_is_taken_slowly_and_on_its_line() -> None:
    angle = np.linspace(0.0, math.pi / 2, 100)
    bend = np.column_stack([80.0 + 10.0 * np.sin(angle), 10.0 * (1 - np.cos(angle))])
    route = Route(np.vstack([[(0.0, 0.0)], bend, [(90.0, 100.0)]]))
    car, planner = body(10.0, 0.0, 0.0, 12.0), Planner(PlannerConfig(), route)
    offsets, speeds, s = [], [], 10.0
    for tick in range(340):
        car = drive(car, planner.plan(car, None, [], tick * 50_000).control)
        s, lateral = route.project(car.pose.x, car.pose.y, s)
        offsets.append(abs(lateral))
        if 82.0 < s < 94.0:
            speeds.append(car.speed)
    assert s > 110.0
    assert max(offsets) < 0.6
    assert speeds and max(speeds) < 6.5


def test_the_ego_stops_at_the_end_of_its_route() -> None:
    car, planner = body(290.0, 0.0, 0.0, 8.0), Planner(PlannerConfig(), STRAIGHT)
    for tick in range(120):
        plan = planner.plan(car, None, [], tick * 50_000)
        car = drive(car, plan.control)
    assert plan.reason == "arrived" and car.speed < 0.1


def test_a_plan_shows_the_path_ahead() -> None:
    plan = Planner(PlannerConfig(), STRAIGHT).plan(body(10.0, 0.4, 0.0, 12.0), None, [], 0)
    assert plan.path[0] == pytest.approx((10.0, 0.0), abs=0.51)
    assert plan.path[-1][0] == pytest.approx(50.0, abs=1.0)


def test_a_speed_must_be_positive() -> None:
    with pytest.raises(ValueError, match="cruise_mps"):
        PlannerConfig(cruise_mps=0.0)
