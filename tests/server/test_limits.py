"""Speed limits by signs and by roads."""

from __future__ import annotations

import carla
import numpy as np
import pytest

from carla_cp.server.limits import DEFAULT_KMH, SpeedLimits
from tests.server.conftest import PATIENCE_S
from tests.server.opendrive import Road, piece, world

SIGN = (
    '<signal s="{s}" t="-6" id="{id}" dynamic="no" orientation="-" zOffset="2" type="274" subtype="-1" value="{value}">'
    '<validity fromLane="-1" toLane="-1"/></signal>'
)
SIGNS = f"<signals>{SIGN.format(s=60, id=1, value=30)}{SIGN.format(s=120, id=2, value=90)}</signals>"


def kind(speed: str, unit: str = "km/h", s: float = 0.0) -> str:
    return f'<type s="{s}" type="town"><speed max="{speed}" unit="{unit}"/></type>'


def limits(*roads: Road) -> SpeedLimits:
    text = world(*roads)
    return SpeedLimits(carla.Map("m", text), text)


def drive(field: SpeedLimits, y: float, yaw: float, start: float) -> dict[float, float]:
    """What holds along x, for a car that goes from end to end by metres."""
    limit, seen = start, {}
    for x in np.arange(1.0, 199.0)[:: 1 if yaw == 0.0 else -1]:
        (limit,) = field.after(np.array([[x, y, yaw]]), [limit])
        seen[float(x)] = limit
    return seen


def test_a_sign_holds_from_where_it_stands_until_the_next_one_on_its_own_lane_only() -> None:
    field = limits(Road(kind=kind("50"), rest=SIGNS))
    seen = drive(field, 1.75, 0.0, field.at(1.0, 1.75, 0.0))
    assert (seen[50.0], seen[70.0], seen[110.0], seen[130.0], seen[198.0]) == (50.0, 30.0, 30.0, 90.0, 90.0)
    back = drive(field, -1.75, np.pi, 50.0)
    assert set(back.values()) == {50.0}


def test_without_signs_the_limit_is_that_of_the_road_and_of_its_part() -> None:
    slow = Road(kind=kind("25", "mph") + kind("20", "m/s", 100.0))
    fast = Road(2, plan=piece(0, 0, -50, 0, 200, "<line/>"), kind=kind("90"))
    field = limits(slow, fast)
    seen = drive(field, 1.75, 0.0, field.at(1.0, 1.75, 0.0))
    assert (seen[50.0], seen[150.0]) == (pytest.approx(40.23, abs=0.01), 72.0)
    assert set(drive(field, 51.75, 0.0, field.at(1.0, 51.75, 0.0)).values()) == {90.0}


@pytest.mark.parametrize("text", ["no limit", "undefined", "nan", "-3", ""])
def test_a_limit_that_is_no_number_is_the_default(text: str) -> None:
    field = limits(Road(kind=kind(text)))
    assert field.at(10.0, 1.75, 0.0) == DEFAULT_KMH
    assert field.after(np.array([[10.0, 1.75, 0.0]]), [DEFAULT_KMH]) == [DEFAULT_KMH]


def test_the_official_client_is_told_the_limit_that_holds(crossing_port: int) -> None:
    client = carla.Client("127.0.0.1", crossing_port)
    client.set_timeout(PATIENCE_S)
    place = client.generate_opendrive_world(world(Road(kind=kind("50"), rest=SIGNS)))
    settings = place.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
    place.apply_settings(settings)
    try:
        blueprint = place.get_blueprint_library().find("vehicle.audi.tt")
        car = place.spawn_actor(blueprint, carla.Transform(carla.Location(50.0, 1.75, 0.3)))
        car.enable_constant_velocity(carla.Vector3D(10.0, 0.0, 0.0))
        place.tick()
        assert car.get_speed_limit() == 50.0
        for _ in range(30):
            place.tick()
        assert car.get_speed_limit() == 30.0
    finally:
        settings.synchronous_mode, settings.fixed_delta_seconds = False, None
        place.apply_settings(settings)
