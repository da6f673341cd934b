"""Vehicles and pedestrians against closed forms and CARLA's published figures."""

from __future__ import annotations

import math

import pytest

from carla_cp.server.physics import MAX_WHEEL_ANGLE, Body, controlled, drive, model_of, next_speed, walk
from carla_cp.server.wire import AckermannControl, VehicleControl, WalkerControl

CAR = model_of("car", 4.8)
DT = 0.05


def body(speed: float = 0.0) -> Body:
    result = Body(0.0, 0.0, 0.0, 0.0, 4.8, 2.0, 1.5, 1 / 1600)
    result.set_velocity(speed, 0.0)
    return result


def test_full_throttle_reaches_sixty_miles_an_hour_in_about_eight_seconds() -> None:
    speed, seconds = 0.0, 0.0
    while speed < 26.82:
        speed, seconds = next_speed(speed, VehicleControl(throttle=1.0), CAR, DT), seconds + DT
    assert 6.5 < seconds < 8.5


def test_full_brake_stops_from_thirteen_metres_a_second_within_eleven_metres_and_never_goes_back() -> None:
    car = body(13.0)
    for _ in range(100):
        drive(car, VehicleControl(brake=1.0), CAR, DT)
    assert car.speed == 0.0
    assert car.x == pytest.approx(13.0**2 / (2 * 8.0), rel=0.05)


def test_a_parked_car_stays_where_it_is() -> None:
    car = body()
    for _ in range(100):
        drive(car, VehicleControl(), CAR, DT)
    assert (car.x, car.y, car.yaw, car.moving) == (0.0, 0.0, 0.0, False)


def test_reverse_goes_backwards_and_its_steering_turns_the_other_way() -> None:
    car = body()
    for _ in range(20):
        drive(car, VehicleControl(throttle=0.8, steer=0.5, reverse=True), CAR, DT)
    assert car.x < -0.5
    assert car.yaw < 0.0


def test_the_rear_axle_goes_round_a_circle_of_wheelbase_over_tangent() -> None:
    car = body(2.0)
    radius = CAR.wheelbase / math.tan(MAX_WHEEL_ANGLE)
    centre_x, centre_y = -CAR.rear, radius
    for _ in range(200):
        car.speed = 2.0
        drive(car, VehicleControl(steer=1.0), CAR, 0.01)
        rear_x = car.x - CAR.rear * math.cos(car.yaw)
        rear_y = car.y - CAR.rear * math.sin(car.yaw)
        assert math.hypot(rear_x - centre_x, rear_y - centre_y) == pytest.approx(radius, abs=2e-3)


def test_the_velocity_told_is_the_change_of_place() -> None:
    car = body(8.0)
    x, y = car.x, car.y
    for _ in range(50):
        drive(car, VehicleControl(throttle=0.5, steer=0.2), CAR, 1e-3)
        assert car.vx == pytest.approx((car.x - x) / 1e-3, abs=0.02)
        assert car.vy == pytest.approx((car.y - y) / 1e-3, abs=0.02)
        x, y = car.x, car.y


def test_a_turn_never_pulls_harder_than_the_tyres_grip() -> None:
    car = body(20.0)
    drive(car, VehicleControl(steer=1.0), CAR, DT)
    assert abs(car.yaw_rate * car.speed) <= 12.0 + 1e-9


def test_trucks_and_buses_are_weaker_and_turn_wider_than_cars() -> None:
    throttle = VehicleControl(throttle=1.0)
    bus = model_of("bus", 10.3)
    assert next_speed(5.0, throttle, bus, DT) < next_speed(5.0, throttle, CAR, DT)
    assert bus.wheelbase > CAR.wheelbase


def test_a_sideways_push_slides_to_a_stop() -> None:
    car = body()
    car.set_velocity(0.0, 4.0)
    for _ in range(20):
        drive(car, VehicleControl(), CAR, DT)
    assert car.y == pytest.approx(4.0**2 / (2 * 8.0), rel=0.15)
    assert not car.moving


def test_a_walker_turns_and_goes_at_once_and_stands_at_once() -> None:
    walker = Body(0.0, 0.0, 0.0, 0.0, 0.4, 0.4, 1.8, 1 / 75)
    walk(walker, WalkerControl((0.0, 2.0, 0.0), 1.5), DT)
    assert (walker.x, walker.y) == pytest.approx((0.0, 0.075))
    assert walker.yaw == pytest.approx(math.pi / 2)
    walk(walker, WalkerControl((0.0, 0.0, 0.0), 1.5), DT)
    assert not walker.moving


def test_ackermann_control_reaches_its_speed() -> None:
    car, wish = body(), AckermannControl(speed=8.0)
    for _ in range(200):
        drive(car, controlled(wish, car.speed, CAR, DT), CAR, DT)
    assert car.speed == pytest.approx(8.0, abs=0.2)
    for _ in range(100):
        drive(car, controlled(AckermannControl(), car.speed, CAR, DT), CAR, DT)
    assert car.speed == 0.0
