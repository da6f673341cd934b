"""The parts that `tools/make_maps.py` is made of, and a map that is not ours."""

from __future__ import annotations

import math
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import carla
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tools"))

from map_file import opendrive_bytes
from map_geometry import Geometry, Point, backwards, beside, fillet, follow
from map_junctions import Connection, connections
from map_layouts import Arm, grid, line, maps, star
from map_one_way import motorway, roundabout
from map_plan import MapPlan
from map_signals import phases


def near(point: Point, other: Point) -> bool:
    """The same place, and the same heading but for whole turns."""
    away = math.hypot(point.x - other.x, point.y - other.y)
    return away < 1e-9 and abs(math.remainder(point.hdg - other.hdg, 2 * math.pi)) < 1e-9


def test_a_quarter_circle_to_the_left_ends_one_radius_ahead_and_to_the_left() -> None:
    arc = Geometry(10 * math.pi / 2, 1 / 10)
    assert near(follow(Point(1, 2, 0), (Geometry(5), arc)), Point(16, 12, math.pi / 2))
    assert near(beside(Point(1, 2, math.pi / 2), 3), Point(-2, 2, math.pi / 2))


def test_a_line_travelled_there_and_back_ends_where_it_began() -> None:
    start, there = Point(3, -4, 0.7), (Geometry(20), Geometry(30, 1 / 40), Geometry(10, -1 / 25))
    assert near(follow(follow(start, there).reversed, backwards(there)), start.reversed)


@pytest.mark.parametrize("end", [Point(20, 12, 1.3), Point(15, -20, -1.3), Point(30, 0, 0)])
def test_a_fillet_joins_its_two_ends_without_a_kink(end: Point) -> None:
    begin = Point(0, 0, 0)
    assert near(follow(begin, fillet(begin, end, inside_m=3.5)), end)


def test_roads_that_are_parallel_but_not_in_line_are_not_joined() -> None:
    with pytest.raises(ValueError, match=r"1\.000 m and 0\.0000 rad off"):
        fillet(Point(0, 0, 0), Point(30, 1, 0), inside_m=3.5)


def test_a_road_that_is_too_near_to_its_junction_is_refused() -> None:
    tight = star("tight", 8, [Arm(bearing, line(50), 2, 50) for bearing in (180, 90, 0)], signalised=False)
    with pytest.raises(ValueError, match="too tight"):
        opendrive_bytes(tight)


def test_a_map_that_lacks_a_road_of_its_junction_is_refused() -> None:
    whole = grid("grid")
    with pytest.raises(ValueError, match="map grid: add road 1 of junction 100"):
        MapPlan("grid", whole.roads[1:], whole.junctions)


def test_inner_lanes_turn_left_outer_lanes_right_and_the_kerb_has_the_sidewalk() -> None:
    arms = [Arm(180, line(50), 2, 50), Arm(90, line(50), 1, 50), Arm(0, line(50), 3, 50), Arm(-90, line(50), 1, 50)]
    junction = star("four", 20, arms, signalised=False).junctions[0]
    west, north, east, south = junction.approaches
    assert [way for way in connections(junction) if way.incoming is west] == [
        Connection(west, 1, north, 1, sidewalk=False),
        Connection(west, 1, east, 1, sidewalk=False),
        Connection(west, 2, east, 2, sidewalk=False),
        Connection(west, 2, south, 1, sidewalk=True),
    ]


def test_no_two_approaches_show_green_together() -> None:
    arms = [Arm(bearing, line(50), 1, 50) for bearing in (180, 90, 0, -90)]
    assert phases(star("lights", 20, arms, signalised=True).junctions[0]) == [[101], [102], [103], [104]]


def test_a_junction_without_lights_has_a_stop_sign_a_metre_before_the_end_of_each_lane_that_leads_in() -> None:
    arms = [Arm(bearing, line(50), lanes, 50) for bearing, lanes in ((180, 2), (90, 1), (0, 2))]
    town = carla.Map("tee", opendrive_bytes(star("tee", 20, arms, signalised=False)).decode())
    signs = town.get_all_landmarks_of_type("206")
    assert sorted(sign.id for sign in signs) == ["101", "102", "103"]
    entries = {(start.road_id, start.lane_id) for start, end in town.get_topology() if end.is_junction}
    governed = {(s.road_id, lane) for s in signs for a, b in s.get_lane_validities() for lane in range(a, b + 1)}
    assert governed == {entry for entry in entries if entry[0] < 100}
    assert all(sign.s == pytest.approx(49.0) for sign in signs)
    assert all(sign.orientation == carla.LandmarkOrientation.Positive for sign in signs)


def test_the_bytes_do_not_depend_on_what_was_written_before() -> None:
    plan = maps()[0]
    assert opendrive_bytes(plan) == opendrive_bytes(plan)


def test_a_map_of_ones_own_has_its_roads_and_lights_and_can_be_driven() -> None:
    bend = (Geometry(40), Geometry(30, 1 / 60))
    plan = star(
        "own", 20, [Arm(200, bend, 2, 50), Arm(80, line(60), 1, 30), Arm(-40, line(90), 1, 30)], signalised=True
    )
    text = opendrive_bytes(plan).decode()
    roads = [road for road in ET.fromstring(text.partition("\n")[2]).iter("road") if road.get("junction") == "-1"]
    assert [float(road.get("length", "")) for road in roads] == [70, 60, 90]
    town = carla.Map("own", text)
    assert sorted(light.id for light in town.get_all_landmarks_of_type("1000001")) == ["101", "102", "103"]
    edges = town.get_topology()
    assert {start.road_id for start, end in edges if end.is_junction} == {1, 2, 3}
    assert {end.road_id for start, end in edges if start.is_junction} == {1, 2, 3}
    assert len({start.road_id for start, _ in edges if start.is_junction}) == 6


def test_a_ring_is_left_by_every_arm_and_only_the_arms_must_stop() -> None:
    plan = roundabout("ring")
    for junction in plan.junctions:
        arm, before, after = junction.approaches
        ways = {(way.incoming.road.id, way.outgoing.road.id) for way in connections(junction)}
        ring = {(before.road.id, after.road.id), (before.road.id, arm.road.id), (arm.road.id, after.road.id)}
        assert ways == ring
    town = carla.Map("ring", opendrive_bytes(plan).decode())
    assert sorted(sign.id for sign in town.get_all_landmarks_of_type("206")) == ["101", "201", "301", "401"]
    start = town.get_waypoint(carla.Location(0.0, -31.75, 0.0))
    assert start.transform.rotation.yaw % 360.0 == pytest.approx(180.0, abs=1.0), "counter-clockwise, seen from above"


def test_a_ramp_leads_onto_the_outer_lane_of_its_motorway() -> None:
    ramp = next(way for way in connections(motorway("way").junctions[0]) if way.incoming.road.id == 3)
    assert (ramp.outgoing.road.id, ramp.outgoing_lane) == (2, 2)
