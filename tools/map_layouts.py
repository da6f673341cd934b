"""Our maps, and the layouts they are made of. A map of your own is one entry of `maps()`.

`star` takes one junction with any roads, each bent as you like; for another layout write a function beside `grid` that
returns a `MapPlan`. Then run `tools/make_maps.py`. A name that begins with `train_`, `val_` or `test_` puts the map
into that split of generated data; the other maps are those of the scenarios and are never trained on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from map_geometry import Geometry, PlanView, Point, backwards, follow
from map_one_way import motorway, roundabout
from map_plan import LANE_M, Approach, JunctionPlan, MapPlan, RoadPlan


@dataclass(frozen=True)
class Arm:
    """A road that leads away from a junction; its bearing counts from the east, 90 is north (CARLA's -y)."""

    bearing_deg: float
    plan_view: PlanView  # outwards
    lanes: int  # per direction
    speed_kmh: float


def line(length_m: float) -> PlanView:
    """A straight road."""
    return (Geometry(length_m),)


LONG = line(170)
BEND_LEFT = (Geometry(60), Geometry(50, 1 / 90), Geometry(60))
BEND_RIGHT = (Geometry(60), Geometry(50, -1 / 90), Geometry(60))
S_BEND = (Geometry(40), Geometry(40, 1 / 70), Geometry(40, -1 / 70), Geometry(40))
FOUR = (180, 90, 0, -90)


def maps() -> list[MapPlan]:
    """All maps."""
    fourway = [Arm(bearing, line(140), 1, 50) for bearing in FOUR]
    tee = [Arm(180, LONG, 2, 50), Arm(0, LONG, 2, 50), Arm(-90, line(140), 1, 30)]
    curve = [Arm(180, BEND_LEFT, 1, 50), Arm(0, BEND_RIGHT, 1, 50), Arm(110, line(150), 1, 50)]
    wide = [Arm(180, LONG, 3, 60), Arm(0, LONG, 3, 60), Arm(90, LONG, 1, 50), Arm(-90, LONG, 1, 50)]
    fork = [Arm(180, S_BEND, 1, 50), Arm(60, line(140), 1, 50), Arm(-60, line(140), 1, 50)]
    bends = [
        Arm(180, BEND_LEFT, 2, 50),
        Arm(90, BEND_RIGHT, 1, 40),
        Arm(0, BEND_LEFT, 2, 50),
        Arm(-90, BEND_LEFT, 1, 40),
    ]
    return [
        star("crossing", 12, [Arm(bearing, LONG, 2, 50) for bearing in FOUR], signalised=True),
        two_junctions("town", 2, (90, -90), (-90,), signalised=True),
        rural("rural"),
        roundabout("roundabout"),
        motorway("motorway"),
        star("train_fourway", 11, fourway, signalised=True),
        star("train_tee", 14, tee, signalised=False),
        star("train_curve", 16, curve, signalised=False),
        star("train_wide", 18, wide, signalised=True),
        two_junctions("train_two", 1, (90, -90), (-90,), signalised=True),
        grid("train_grid"),
        star("val_skew", 18, [Arm(bearing, LONG, 2, 50) for bearing in (180, 75, 0, -105)], signalised=True),
        star("val_fork", 14, fork, signalised=False),
        star("test_bends", 15, bends, signalised=True),
        two_junctions("test_stagger", 2, (70,), (-70,), signalised=False),
    ]


def off(centre: Point, bearing_rad: float, gap_m: float) -> Point:
    """The place `gap_m` away from a junction's centre, heading away from it."""
    x, y = centre.x + gap_m * math.cos(bearing_rad), centre.y + gap_m * math.sin(bearing_rad)
    return Point(x, y, bearing_rad)


def approach(road_id: int, centre: Point, gap_m: float, arm: Arm) -> Approach:
    """The arm as a road that ends `gap_m` before the centre of its junction."""
    far = follow(off(centre, math.radians(arm.bearing_deg), gap_m), arm.plan_view)
    return Approach(RoadPlan(road_id, far.reversed, backwards(arm.plan_view), arm.lanes, arm.speed_kmh), at_end=True)


def link(road_id: int, start: Point, length_m: float, lanes: int, speed_kmh: float) -> tuple[Approach, Approach]:
    """A straight road between two junctions: its approach to the first, and to the second."""
    road = RoadPlan(road_id, start, line(length_m), lanes, speed_kmh)
    return Approach(road, at_end=False), Approach(road, at_end=True)


def star(name: str, gap_m: float, arms: Sequence[Arm], signalised: bool) -> MapPlan:
    """One junction at the origin, whose arms begin `gap_m` from it; a gap that leaves no room to turn is refused."""
    approaches = tuple(approach(index, Point(0.0, 0.0, 0.0), gap_m, arm) for index, arm in enumerate(arms, start=1))
    return MapPlan(name, tuple(item.road for item in approaches), (JunctionPlan(100, approaches, signalised),))


def two_junctions(name: str, lanes: int, side_a: Sequence[float], side_b: Sequence[float], signalised: bool) -> MapPlan:
    """Two junctions 110 m apart on one straight road; `side_a` and `side_b` are the bearings of the side roads."""
    gap = 8.0 + LANE_M * lanes
    left, right = Point(-55.0, 0.0, 0.0), Point(55.0, 0.0, 0.0)
    near, far = link(1, off(left, 0.0, gap), 110.0 - 2 * gap, lanes, 50)
    west = approach(2, left, gap, Arm(180, line(110), lanes, 50))
    east = approach(3, right, gap, Arm(0, line(110), lanes, 50))
    sides_a = [approach(10 + n, left, gap, Arm(bearing, line(110), 1, 30)) for n, bearing in enumerate(side_a)]
    sides_b = [approach(20 + n, right, gap, Arm(bearing, line(110), 1, 30)) for n, bearing in enumerate(side_b)]
    first = JunctionPlan(100, (west, near, *sides_a), signalised)
    second = JunctionPlan(200, (far, east, *sides_b), signalised=False)
    roads = tuple(item.road for item in (near, west, east, *sides_a, *sides_b))
    return MapPlan(name, roads, (first, second))


def grid(name: str) -> MapPlan:
    """Four four-way crossings on a square of 100 m, two of them signalised."""
    gap, side, kmh = 11.0, 100.0, 40.0
    half = side / 2
    centres = [Point(-half, -half, 0.0), Point(half, -half, 0.0), Point(half, half, 0.0), Point(-half, half, 0.0)]
    inner = [
        link(1 + index, off(centre, math.radians(90.0 * index), gap), side - 2 * gap, 1, kmh)
        for index, centre in enumerate(centres)
    ]
    roads = [begin.road for begin, _ in inner]
    junctions = []
    for index, centre in enumerate(centres):
        outer = [
            approach(10 * (index + 1) + n, centre, gap, Arm(90.0 * index + bearing, line(80), 1, kmh))
            for n, bearing in enumerate((180.0, 270.0))
        ]
        roads += [item.road for item in outer]
        approaches = (inner[index][0], inner[index - 1][1], *outer)
        junctions.append(JunctionPlan(100 * (index + 1), approaches, signalised=index % 2 == 0))
    return MapPlan(name, tuple(roads), tuple(junctions))


def rural(name: str) -> MapPlan:
    """A two-lane country road, to the west around a bend and to the east straight on, and a side road."""
    bend = (Geometry(30), Geometry(147, 1 / 168), Geometry(100))
    arms = [Arm(180, bend, 1, 80), Arm(0, line(200), 1, 80), Arm(-90, line(60), 1, 50)]
    return star(name, 14, arms, signalised=False)
