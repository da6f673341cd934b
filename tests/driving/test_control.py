import math
from dataclasses import replace

import numpy as np
import pytest

from carla_cp.driving.control import ControlConfig, LongitudinalControl, pure_pursuit
from carla_cp.driving.route import Route
from carla_cp.types import Control
from tests.driving.crossing import STEP_S, body, drive


@pytest.mark.parametrize("wanted", [-6.0, -3.0, -0.3, 0.0, 0.5, 1.5])
def test_the_server_model_gives_the_wanted_acceleration(wanted: float) -> None:
    car, control = body(0.0, 0.0, 0.0, 10.0), LongitudinalControl()
    for _ in range(20):
        before = car.speed
        throttle, brake = control.command(wanted, car)
        assert 0.0 <= throttle <= 1.0 and 0.0 <= brake <= 1.0 and min(throttle, brake) == 0.0
        car = drive(car, Control(throttle, brake))
    if car.speed > 0.5:
        assert (car.speed - before) / STEP_S == pytest.approx(wanted, abs=0.15)


def test_the_feedback_takes_up_a_heavier_car() -> None:
    car, control = body(0.0, 0.0, 0.0, 8.0), LongitudinalControl()
    for _ in range(160):
        before = car
        throttle, brake = control.command(0.4, car)
        car = drive(car, Control(throttle, brake))
        slowed = car.speed - 0.3 * STEP_S  # more drag than the model knows
        pull = (slowed - before.speed) / STEP_S
        car = replace(car, velocity=(slowed, 0.0, 0.0), acceleration=(pull, 0.0, 0.0))
    assert (car.speed - before.speed) / STEP_S == pytest.approx(0.4, abs=0.05)


def test_a_standing_car_is_held_and_starts_again() -> None:
    control, car = LongitudinalControl(), body(0.0, 0.0, 0.0, 0.0)
    assert control.command(-1.0, car) == (0.0, 0.6)
    throttle, brake = control.command(1.0, car)
    assert throttle > 0.0 and brake == 0.0


def test_pure_pursuit_steers_towards_the_route() -> None:
    route = Route(np.array([(-50.0, 0.0), (200.0, 0.0)]))
    config = ControlConfig()
    assert pure_pursuit(body(0.0, -1.0, 0.0, 8.0), route, 50.0, config) > 0.0
    assert pure_pursuit(body(0.0, 1.0, 0.0, 8.0), route, 50.0, config) < 0.0
    assert pure_pursuit(body(0.0, 0.0, 0.0, 8.0), route, 50.0, config) == pytest.approx(0.0)


def test_a_car_follows_a_bend_within_half_a_metre() -> None:
    angle = np.linspace(0.0, math.pi / 2, 100)
    bend = np.column_stack([30.0 + 12.0 * np.sin(angle), 12.0 * (1 - np.cos(angle))])
    route = Route(np.vstack([[(0.0, 0.0)], bend, [(42.0, 60.0)]]))
    car, s, offsets = body(2.0, 0.0, 0.0, 5.0), 2.0, []
    for _ in range(280):
        s, lateral = route.project(car.pose.x, car.pose.y, s)
        offsets.append(abs(lateral))
        car = drive(
            replace(car, velocity=(5.0, 0.0, 0.0)), Control(0.3, 0.0, pure_pursuit(car, route, s, ControlConfig()))
        )
    assert s > 60.0
    assert max(offsets) < 0.5 and offsets[-1] < 0.1
