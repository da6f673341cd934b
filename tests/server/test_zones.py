"""The stretches before lights and before junctions without lights, on our maps and on one like CARLA's towns."""

from __future__ import annotations

import math
import re

import carla
import numpy as np
import pytest

from carla_cp.server.zones import FREE, YIELD, Zones
from tests.server.conftest import CROSSING, MAPS


def read(name: str) -> carla.Map:
    return carla.Map(name, (MAPS / f"{name}.xodr").read_text(encoding="utf-8"))


def row(waypoint: carla.Waypoint, speed: float) -> tuple[float, ...]:
    pose = waypoint.transform
    return pose.location.x, pose.location.y, math.radians(pose.rotation.yaw), speed, 4.5


def as_in_carlas_towns(text: str) -> str:
    """Lights without lanes of their own, named by references on the junction's connecting roads, whose sign of the
    orientation is not the lanes'."""
    signal = re.compile(r'(<signal [^>]*id="101".*?)<validity[^>]*>', re.DOTALL)
    text = signal.sub(r'\1<validity fromLane="0" toLane="0" />', text)
    reference = '<signals><signalReference id="101" s="1.5" t="0" orientation="-">'
    reference += '<validity fromLane="-1" toLane="-1"/></signalReference></signals></road>'
    parts = text.split("</road>")
    for index, part in enumerate(parts):
        if 'junction="100"' in part and 'predecessor elementType="road" elementId="1"' in part:
            parts[index] += "REFERENCE"
    return "</road>".join(parts).replace("REFERENCE</road>", reference)


@pytest.fixture(scope="module")
def crossing() -> carla.Map:
    return read("crossing")


def test_a_car_stands_before_a_light_as_soon_as_it_must_brake_for_it(crossing: carla.Map) -> None:
    zones = Zones(crossing)
    stop = crossing.get_waypoint(carla.Location(-12.6, 5.25, 0.0))
    for speed, near, far in ((0.0, 5.0, 8.0), (8.0, 12.0, 15.0), (13.9, 26.0, 29.0)):
        inside, outside = stop.previous(near)[0], stop.previous(far)[0]
        first, second = zones.at(np.array([row(inside, speed), row(outside, speed)]))
        assert zones.lights[first].signal_id == "101"
        assert second == FREE


def test_a_long_vehicle_stops_with_its_front_before_the_line(crossing: carla.Map) -> None:
    zones = Zones(crossing)
    place = [-12.5 - 8.0, 5.25, 0.0, 0.0]
    car, bus = zones.at(np.array([[*place, 4.5], [*place, 10.3]]))
    assert car == FREE
    assert bus >= 0


def test_lights_that_connecting_roads_refer_to_hold_the_lanes_before_the_junction(crossing: carla.Map) -> None:
    text = as_in_carlas_towns(CROSSING.read_text(encoding="utf-8"))
    assert text.count("signalReference id") > 1
    zones, usual = Zones(carla.Map("town", text)), Zones(crossing)
    assert [light.signal_id for light in zones.lights] == [light.signal_id for light in usual.lights]
    assert [light.junction for light in zones.lights] == [100] * 4
    places = np.array([row(w, 10.0) for w in crossing.generate_waypoints(1.5) if not w.is_junction])
    lit, wanted = zones.at(places), usual.at(places)
    assert sum(zone == 0 for zone in lit) > 10
    assert sum(a != b for a, b in zip(lit, wanted, strict=True)) <= 6  # the line is half a metre farther on


def test_every_approach_of_an_unlit_junction_yields_without_a_gap_whatever_the_road_s_other_end_has() -> None:
    for name in ("train_two", "train_grid", "test_stagger", "val_fork"):
        town = read(name)
        zones = Zones(town)
        lit = {light.junction for light in zones.lights}
        for start, end in town.get_topology():
            if start.is_junction or not end.is_junction:
                continue
            last = start.next_until_lane_end(0.5)[-1]
            before = [
                last,
                *(point for d in range(1, 14) for point in last.previous(float(d)) if not point.is_junction),
            ]
            seen = set(zones.at(np.array([row(point, 0.0) for point in before])))
            if end.get_junction().id in lit:
                assert YIELD not in seen
            else:
                assert seen == {YIELD}


def test_no_zone_reaches_into_a_junction_or_onto_the_lanes_that_lead_away() -> None:
    for name in ("crossing", "train_two", "test_stagger"):
        town = read(name)
        zones = Zones(town)
        leading = {(start.road_id, start.lane_id) for start, end in town.get_topology() if end.is_junction}
        away = [w for w in town.generate_waypoints(2.0) if not w.is_junction and (w.road_id, w.lane_id) not in leading]
        assert away
        assert set(zones.at(np.array([row(w, 14.0) for w in away]))) == {FREE}
        centres = {w.get_junction().id: w.get_junction().bounding_box.location for w in _inside(town)}
        rows = [(c.x, c.y, yaw, 14.0, 4.5) for c in centres.values() for yaw in np.linspace(-math.pi, math.pi, 9)]
        assert set(zones.at(np.array(rows))) == {FREE}


def _inside(town: carla.Map) -> list[carla.Waypoint]:
    return [waypoint for waypoint in town.generate_waypoints(2.0) if waypoint.is_junction]


def test_a_car_across_the_lane_or_going_the_other_way_is_in_no_zone(crossing: carla.Map) -> None:
    rows = np.array([[-20.0, 5.25, yaw, 9.0, 4.5] for yaw in (0.0, 1.6, math.pi)])
    here, across, back = Zones(crossing).at(rows)
    assert here >= 0
    assert (across, back) == (FREE, FREE)
