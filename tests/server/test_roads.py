"""What the server reads from a map: heights, spawn points, zones before lights."""

from __future__ import annotations

import math

import carla
import numpy as np
import pytest

from carla_cp.server.roads import RoadField
from carla_cp.server.zones import FREE
from tests.server.conftest import CROSSING
from tests.server.opendrive import HILL, Road, world


@pytest.fixture(scope="module")
def crossing() -> carla.Map:
    return carla.Map("crossing", CROSSING.read_text(encoding="utf-8"))


def test_every_approach_has_a_zone_of_its_own_light_that_ends_before_the_junction(crossing: carla.Map) -> None:
    field = RoadField(crossing)
    assert [light.signal_id for light in field.lights] == ["101", "102", "103", "104"]
    for waypoint in crossing.generate_waypoints(3.0):
        place, yaw = waypoint.transform.location, math.radians(waypoint.transform.rotation.yaw)
        (zone,) = field.zones(np.array([[place.x, place.y, yaw, 14.0, 4.5]]))
        ahead = waypoint.next(15.0)
        if waypoint.is_junction:
            continue
        if any(point.is_junction for point in ahead) and zone != FREE:
            landmarks = waypoint.get_landmarks_of_type(25.0, "1000001", True)
            assert field.lights[zone].signal_id in {landmark.id for landmark in landmarks}
        elif not any(point.is_junction for point in waypoint.next(30.0)):
            assert zone == FREE


def test_spawn_points_lie_on_driving_lanes_above_the_road_and_apart(crossing: carla.Map) -> None:
    points = RoadField(crossing).spawn_points()
    assert len(points) > 50
    for point in points:
        waypoint = crossing.get_waypoint(carla.Location(point.x, point.y, point.z), False)
        assert waypoint is not None
        assert not waypoint.is_junction
        assert 0.2 < point.z < 1.0
    places = np.array([(point.x, point.y) for point in points])
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1)) + 100.0 * np.eye(len(places))
    assert apart.min() > 3.0


def test_spawn_points_on_a_hill_are_tilted_as_their_road() -> None:
    hill = carla.Map("hill", world(Road(elevation=HILL)))
    points = RoadField(hill).spawn_points()
    assert max(point.pitch for point in points) == pytest.approx(math.degrees(math.atan(0.1)), abs=0.1)
    for point in points:
        ahead = hill.get_waypoint(carla.Location(point.x, point.y, point.z)).transform.rotation
        assert math.cos(math.radians(ahead.pitch - point.pitch)) == pytest.approx(1.0, abs=1e-4)
