"""Layouts with one-way roads: a roundabout, and a motorway with an on-ramp."""

from __future__ import annotations

import math

from map_geometry import Geometry, Point
from map_plan import LANE_M, Approach, JunctionPlan, MapPlan, RoadPlan

ARMS = 4  # of the roundabout


def roundabout(name: str) -> MapPlan:
    """Four two-way arms on a square ring of one lane with round corners, driven counter-clockwise, with priority."""
    side, corner, mouth, gap = 30.0, 14.0, 10.0, 45.0  # all from the centre or the middle of a side
    arcs = [ring_road(1 + n, side, corner, mouth, n * math.pi / 2) for n in range(ARMS)]
    arms = [arm_road(11 + n, gap, n * math.pi / 2) for n in range(ARMS)]
    junctions = [
        JunctionPlan(
            100 * (n + 1),
            (Approach(arms[n], True), Approach(arcs[n - 1], True), Approach(arcs[n], False)),
            signalised=False,
        )
        for n in range(ARMS)
    ]
    return MapPlan(name, (*arcs, *arms), tuple(junctions))


def ring_road(road_id: int, side_m: float, corner_m: float, mouth_m: float, bearing_rad: float) -> RoadPlan:
    """The part of a square ring from `mouth_m` behind the middle of the side at a bearing to as far before the next.

    `side_m` is the distance of its inner edge from the origin, `corner_m` the radius of that edge in the corners.
    """
    cos, sin = math.cos(bearing_rad), math.sin(bearing_rad)
    start = Point(side_m * cos - mouth_m * sin, side_m * sin + mouth_m * cos, bearing_rad + math.pi / 2)
    straight = Geometry(side_m - corner_m - mouth_m)
    plan_view = (straight, Geometry(corner_m * math.pi / 2, 1 / corner_m), straight)
    return RoadPlan(road_id, start, plan_view, 1, 30, one_way=True)


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
