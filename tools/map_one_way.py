"""Layouts with one-way roads: a roundabout, and a motorway with an on-ramp."""

from __future__ import annotations

import math

from map_geometry import Geometry, Point
from map_plan import LANE_M, Approach, JunctionPlan, MapPlan, RoadPlan

ARMS = 4  # of the roundabout


def roundabout(name: str) -> MapPlan:
    """Four two-way arms on a ring of one lane, which is driven counter-clockwise and has priority."""
    radius, gap, mouth = 16.0, 31.0, math.radians(35.0)  # `mouth`: half of the ring that a junction takes up
    step = 2 * math.pi / ARMS
    arcs = [ring_road(1 + n, radius, n * step + mouth, (n + 1) * step - mouth) for n in range(ARMS)]
    arms = [arm_road(11 + n, gap, n * step) for n in range(ARMS)]
    junctions = [
        JunctionPlan(
            100 * (n + 1),
            (Approach(arms[n], True), Approach(arcs[n - 1], True), Approach(arcs[n], False)),
            signalised=False,
        )
        for n in range(ARMS)
    ]
    return MapPlan(name, (*arcs, *arms), tuple(junctions))


def ring_road(road_id: int, radius_m: float, begin_rad: float, end_rad: float) -> RoadPlan:
    """The part of a ring around the origin between two bearings; the radius is that of its inner edge."""
    start = Point(radius_m * math.cos(begin_rad), radius_m * math.sin(begin_rad), begin_rad + math.pi / 2)
    return RoadPlan(road_id, start, (Geometry(radius_m * (end_rad - begin_rad), 1 / radius_m),), 1, 30, one_way=True)


def arm_road(road_id: int, gap_m: float, bearing_rad: float) -> RoadPlan:
    """A straight two-way road that ends `gap_m` before the origin."""
    far = gap_m + 120.0
    start = Point(far * math.cos(bearing_rad), far * math.sin(bearing_rad), bearing_rad + math.pi)
    return RoadPlan(road_id, start, (Geometry(120.0),), 1, 50)


def motorway(name: str) -> MapPlan:
    """Two carriageways of two lanes, and an old on-ramp without an acceleration lane onto the eastbound one."""
    angle, tangent, median = math.radians(60.0), 11.0, 2.0
    end = Point(10.0, -median, 0.0)  # where the junction ends
    meet_x, meet_y = end.x - tangent, end.y - LANE_M  # of the ramp's left edge and that of the outer lane
    foot_x, foot_y = meet_x - tangent * math.cos(angle), meet_y - tangent * math.sin(angle)
    ramp_m = 110.0
    start = Point(foot_x - ramp_m * math.cos(angle), foot_y - ramp_m * math.sin(angle), angle)
    before = RoadPlan(1, Point(-220.0, -median, 0.0), (Geometry(205.0),), 2, 80, one_way=True)
    after = RoadPlan(2, end, (Geometry(200.0),), 2, 80, one_way=True)
    ramp = RoadPlan(3, start, (Geometry(ramp_m),), 1, 50, one_way=True)
    opposite = RoadPlan(4, Point(210.0, median, math.pi), (Geometry(430.0),), 2, 80, one_way=True)
    approaches = (Approach(before, True), Approach(after, False), Approach(ramp, True))
    return MapPlan(name, (before, after, ramp, opposite), (JunctionPlan(100, approaches, signalised=False),))
