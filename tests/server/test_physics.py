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
    assert abs(car.yaw_rate * car.speed) <= 20.0 + 1e-9


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


CLASSES = {  # length and width [m] of the longest of each class
    "car": (6.27, 2.39),
    "van": (6.36, 2.35),
    "truck": (8.47, 2.89),
    "bus": (10.27, 3.94),
    "motorcycle": (2.36, 0.87),
    "bicycle": (1.84, 0.86),
}


def stopping_distance(kind: str, speed: float) -> float:
    vehicle, model = body(speed), model_of(kind, CLASSES[kind][0])
    while vehicle.speed > 0.0:
        drive(vehicle, VehicleControl(brake=1.0), model, 0.01)
    return vehicle.x


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [("car", 6.43, 9.0), ("van", 6.43, 9.0), ("truck", 5.0, 7.5), ("bus", 5.0, 7.5), ("motorcycle", 5.8, 9.0)],
)
def test_full_brakes_stop_each_class_as_its_regulation_asks(kind: str, least: float, most: float) -> None:
    mean = 15.0**2 / (2 * stopping_distance(kind, 15.0))
    assert least < mean < most


def test_a_cyclist_stops_within_the_limit_of_going_over_the_bars() -> None:
    assert 3.0 < 6.0**2 / (2 * stopping_distance("bicycle", 6.0)) < 6.0


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_turns_within_the_circle_of_its_kind(kind: str) -> None:
    (length, width), model = CLASSES[kind], model_of(kind, CLASSES[kind][0])
    vehicle, corners = body(), []
    for _ in range(3000):
        vehicle.speed = 1.5
        drive(vehicle, VehicleControl(steer=1.0), model, 0.02)
        cos, sin = math.cos(vehicle.yaw), math.sin(vehicle.yaw)
        corners.append((vehicle.x + length / 2 * cos + width / 2 * sin, vehicle.y + length / 2 * sin - width / 2 * cos))
    across = max(y for _, y in corners) - min(y for _, y in corners)
    assert length < across < 2 * (12.5 if kind in ("truck", "bus") else 9.0)


@pytest.mark.parametrize(("kind", "least", "most"), [("truck", 85, 91), ("bus", 85, 101), ("bicycle", 35, 45)])
def test_limiters_and_legs_end_acceleration(kind: str, least: float, most: float) -> None:
    speed, model = 0.0, model_of(kind, CLASSES[kind][0])
    for _ in range(3000):
        speed = next_speed(speed, VehicleControl(throttle=1.0), model, DT)
    assert least < 3.6 * speed < most


def test_classes_accelerate_in_the_order_of_their_power() -> None:
    def seconds(kind: str) -> float:
        speed, model, time_s = 0.0, model_of(kind, CLASSES[kind][0]), 0.0
        while speed < 8.0:
            speed, time_s = next_speed(speed, VehicleControl(throttle=1.0), model, DT), time_s + DT
        return time_s

    times = [seconds(kind) for kind in ("motorcycle", "car", "van", "truck", "bus")]
    assert times == sorted(times)
    assert times[1] < 2.0 and 3.0 < times[4] < 8.0


def test_a_slope_pulls_a_free_car_and_a_braked_one_stays() -> None:
    down, held, flat = 0.0, 0.0, 0.0
    for _ in range(40):
        down = next_speed(down, VehicleControl(), CAR, DT, pitch=-0.1)
        held = next_speed(held, VehicleControl(brake=0.3), CAR, DT, pitch=-0.1)
        flat = next_speed(flat, VehicleControl(), CAR, DT, pitch=-0.04)
    assert down == pytest.approx((9.81 * math.sin(0.1) * math.cos(0.1) - 0.5) * 2.0)
    assert (held, flat) == (0.0, 0.0)


def test_a_car_climbs_slower_and_rolls_back_when_it_is_let_go() -> None:
    throttle = VehicleControl(throttle=0.8)
    uphill, level = next_speed(8.0, throttle, CAR, DT, pitch=0.1), next_speed(8.0, throttle, CAR, DT)
    assert level - uphill == pytest.approx(9.81 * math.sin(0.1) * math.cos(0.1) * DT)
    assert next_speed(0.0, VehicleControl(), CAR, DT, pitch=0.1) < 0.0
