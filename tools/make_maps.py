"""Writes the OpenDRIVE maps of `scenarios/maps`: flat road networks with sidewalks and signalised junctions.

    python tools/make_maps.py [--out scenarios/maps]

Running it again gives the same bytes. `crossing` is the map of the scenarios and is never trained on; `train_*`,
`val_*` and `test_*` differ in layout. Every connecting road inside a junction carries one driving lane, so that each
lane of an approach has its own way out, made of straight lines and arcs only.

OpenDRIVE's frame has y to the left; CARLA mirrors it. Headings here are OpenDRIVE's, counter-clockwise.
"""

from __future__ import annotations

import argparse
import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scenariogeneration import xodr

LANE_M = 3.5
SIDEWALK_M = 2.0
STOP_LINE_M = 0.5  # before the junction
GEO_REFERENCE = "+proj=tmerc +lat_0=48.0 +lon_0=11.0 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"
STRAIGHT_RAD = math.radians(3.0)  # below this a connection counts as one straight line

Point = tuple[float, float, float]  # x, y, heading
Shape = Sequence[tuple[float, float]]  # (length, curvature) pieces


@dataclass(frozen=True)
class RoadPlan:
    """A two-way road: where it starts, its pieces, and its driving lanes per direction."""

    id: int
    start: Point
    shape: Shape
    lanes: int
    speed_kmh: float


@dataclass(frozen=True)
class Approach:
    """One road at a junction; `at_end` says which of its ends touches it."""

    road: RoadPlan
    at_end: bool

    @property
    def inward(self) -> Point:
        """The reference line's end, heading into the junction."""
        x, y, heading = follow(self.road.start, self.road.shape) if self.at_end else self.road.start
        return x, y, heading if self.at_end else heading + math.pi

    def lane_in(self, index: int) -> int:
        """The OpenDRIVE id of the index-th lane (1 is the inner one) that leads into the junction."""
        return -index if self.at_end else index

    def lane_out(self, index: int) -> int:
        """The id of the index-th lane that leads out of it."""
        return -self.lane_in(index)


@dataclass(frozen=True)
class JunctionPlan:
    """A junction and its approaches in any order; its id is the base of its signals' and connecting roads' ids."""

    id: int
    approaches: tuple[Approach, ...]
    signalised: bool


@dataclass(frozen=True)
class MapPlan:
    """A whole map."""

    name: str
    roads: tuple[RoadPlan, ...]
    junctions: tuple[JunctionPlan, ...]


# ------------------------------------------------------------------------------------------------------- geometry


def follow(start: Point, shape: Shape) -> Point:
    """Where a reference line of straight and circular pieces ends."""
    x, y, heading = start
    for length, curvature in shape:
        turn = length * curvature
        if curvature == 0.0:
            x, y = x + length * math.cos(heading), y + length * math.sin(heading)
        else:
            x += (math.sin(heading + turn) - math.sin(heading)) / curvature
            y -= (math.cos(heading + turn) - math.cos(heading)) / curvature
        heading += turn
    return x, y, heading


def beside(point: Point, left_m: float) -> Point:
    """The point moved to the left of its heading."""
    x, y, heading = point
    return x - left_m * math.sin(heading), y + left_m * math.cos(heading), heading


def backwards(start: Point, shape: Shape) -> tuple[Point, Shape]:
    """The same line, travelled the other way."""
    x, y, heading = follow(start, shape)
    return (x, y, heading + math.pi), [(length, -curvature) for length, curvature in reversed(shape)]


def fillet(begin: Point, end: Point, inside_m: float) -> Shape:
    """Line, arc, line from one tangent to another, with the widest arc that fits.

    Raises ValueError if the arc is too tight for `inside_m` metres of lanes on its right.
    """
    turn = (end[2] - begin[2] + math.pi) % (2 * math.pi) - math.pi
    dx, dy = end[0] - begin[0], end[1] - begin[1]
    along = dx * math.cos(begin[2]) + dy * math.sin(begin[2])
    across = dy * math.cos(begin[2]) - dx * math.sin(begin[2])
    if abs(turn) < STRAIGHT_RAD:
        if abs(across) > 1e-6 or abs(turn) > 1e-9:
            raise ValueError(f"a straight connection is {across:.3f} m and {turn:.4f} rad off")
        return [(along, 0.0)]
    last = across / math.sin(turn)  # tangent lengths up to and from their intersection
    first = along - last * math.cos(turn)
    tangent = min(first, last)
    radius = tangent / math.tan(abs(turn) / 2)
    if turn < 0 and radius < inside_m + 1.0:
        raise ValueError(f"a right turn of radius {radius:.1f} m is too tight: move the roads away from the junction")
    arc = (radius * abs(turn), math.copysign(1 / radius, turn))
    pieces = [(first - tangent, 0.0), arc, (last - tangent, 0.0)]
    return [piece for piece in pieces if piece[0] > 1e-6]


# ---------------------------------------------------------------------------------------------------------- roads


def plan_view(start: Point, shape: Shape) -> xodr.PlanView:
    """OpenDRIVE's reference line."""
    view = xodr.PlanView()
    s_m = 0.0
    at = start
    for length, curvature in shape:
        piece = xodr.Line(length) if curvature == 0.0 else xodr.Arc(curvature, length=length)
        view.add_fixed_geometry(piece, *at, s=s_m)
        s_m, at = s_m + length, follow(at, [(length, curvature)])
    view.adjust_geometries()
    return view


def lane(kind: xodr.LaneType, mark: xodr.RoadMarkType) -> xodr.Lane:
    """One lane of constant width."""
    result = xodr.Lane(lane_type=kind, a=SIDEWALK_M if kind is xodr.LaneType.sidewalk else LANE_M)
    return result.add_roadmark(xodr.RoadMark(mark, width=0.15))


def driving_and_sidewalk(lanes: int) -> list[xodr.Lane]:
    """One side of a road, from the middle outwards."""
    marks = [xodr.RoadMarkType.broken] * (lanes - 1) + [xodr.RoadMarkType.solid]
    side = [lane(xodr.LaneType.driving, mark) for mark in marks]
    return [*side, lane(xodr.LaneType.sidewalk, xodr.RoadMarkType.none)]


def cross_section(left: list[xodr.Lane], right: list[xodr.Lane], centre: xodr.RoadMarkType) -> xodr.Lanes:
    """One lane section over the whole road."""
    middle = xodr.Lane().add_roadmark(xodr.RoadMark(centre, width=0.15))
    section = xodr.LaneSection(0, middle)
    for item in left:
        section.add_left_lane(item)
    for item in right:
        section.add_right_lane(item)
    lanes = xodr.Lanes()
    lanes.add_lanesection(section)
    return lanes


def two_way_road(plan: RoadPlan) -> xodr.Road:
    """A road outside junctions."""
    lanes = cross_section(
        driving_and_sidewalk(plan.lanes), driving_and_sidewalk(plan.lanes), xodr.RoadMarkType.solid_solid
    )
    road = xodr.Road(plan.id, plan_view(plan.start, plan.shape), lanes, name=f"road {plan.id}")
    road.add_type(xodr.RoadType.town, 0, speed=plan.speed_kmh, speed_unit="km/h")
    road.add_elevation(0, 0, 0, 0, 0)
    return road


# ------------------------------------------------------------------------------------------------------ junctions


@dataclass(frozen=True)
class Way:
    """One lane through a junction; lanes count from 1, the inner one."""

    source: Approach
    source_lane: int
    target: Approach
    target_lane: int
    sidewalk: bool  # it runs along the outer edge


def turn_of(source: Approach, target: Approach) -> float:
    """The change of heading from one approach to another in (-pi, pi], positive to the left."""
    return -((source.inward[2] - (target.inward[2] + math.pi) + math.pi) % (2 * math.pi) - math.pi)


def ways(junction: JunctionPlan) -> list[Way]:
    """Straight on from every lane that goes on, left from the inner lane, right from the outer one."""
    result = []
    for source in junction.approaches:
        others = [other for other in junction.approaches if other is not source]
        rightmost = min(others, key=lambda other: turn_of(source, other))
        for target in others:
            turn, lanes_in, lanes_out = turn_of(source, target), source.road.lanes, target.road.lanes
            if abs(turn) < math.radians(35):
                pairs = [(index, index) for index in range(1, min(lanes_in, lanes_out) + 1)]
            else:
                pairs = [(1, 1)] if turn > 0 else [(lanes_in, lanes_out)]
            for lane_in, lane_out in pairs:
                edge = target is rightmost and lane_in == lanes_in and lane_out == lanes_out
                result.append(Way(source, lane_in, target, lane_out, edge))
    return result


def contact(at_end: bool) -> xodr.ContactPoint:
    """Which end of a road."""
    return xodr.ContactPoint.end if at_end else xodr.ContactPoint.start


def connecting_road(road_id: int, junction_id: int, way: Way) -> xodr.Road:
    """A one-lane road through a junction, its reference line on the lane's left edge."""
    begin = beside(way.source.inward, -(way.source_lane - 1) * LANE_M)
    x, y, heading = way.target.inward
    end = beside((x, y, heading + math.pi), -(way.target_lane - 1) * LANE_M)
    lanes = [lane(xodr.LaneType.driving, xodr.RoadMarkType.none)]
    if way.sidewalk:
        lanes.append(lane(xodr.LaneType.sidewalk, xodr.RoadMarkType.none))
    for offset, item in enumerate(lanes):
        item.add_link("predecessor", way.source.lane_in(way.source_lane + offset))
        item.add_link("successor", way.target.lane_out(way.target_lane + offset))
    width = LANE_M + (SIDEWALK_M if way.sidewalk else 0.0)
    view = plan_view(begin, fillet(begin, end, width))
    road = xodr.Road(
        road_id, view, cross_section([], lanes, xodr.RoadMarkType.none), road_type=junction_id, name=f"way {road_id}"
    )
    road.add_type(xodr.RoadType.town, 0, speed=way.source.road.speed_kmh, speed_unit="km/h")
    road.add_elevation(0, 0, 0, 0, 0)
    road.add_predecessor(xodr.ElementType.road, way.source.road.id, contact(way.source.at_end))
    road.add_successor(xodr.ElementType.road, way.target.road.id, contact(way.target.at_end))
    return road


def add_junction(network: xodr.OpenDrive, roads: dict[int, xodr.Road], plan: JunctionPlan) -> None:
    """The junction and its connecting roads."""
    junction = xodr.Junction(f"junction {plan.id}", plan.id)
    for index, way in enumerate(ways(plan)):
        road_id = plan.id + 20 + index
        network.add_road(connecting_road(road_id, plan.id, way))
        link = xodr.Connection(way.source.road.id, road_id, xodr.ContactPoint.start, index)
        link.add_lanelink(way.source.lane_in(way.source_lane), -1)
        if way.sidewalk:
            link.add_lanelink(way.source.lane_in(way.source_lane + 1), -2)
        junction.add_connection(link)
    for approach in plan.approaches:
        if approach.at_end:
            roads[approach.road.id].add_successor(xodr.ElementType.junction, plan.id)
        else:
            roads[approach.road.id].add_predecessor(xodr.ElementType.junction, plan.id)
    network.add_junction(junction)


# ------------------------------------------------------------------------------------------------------------ XML


def add_lights(root: ET.Element, plan: JunctionPlan) -> None:
    """A light on the right-hand sidewalk at each stop line, valid for the lanes that lead in.

    Written here because scenariogeneration keeps every signal id of the process unique, over all maps.
    """
    for index, approach in enumerate(plan.approaches, start=1):
        length = sum(piece[0] for piece in approach.road.shape)
        sideways = approach.road.lanes * LANE_M + 0.5
        lanes = sorted((approach.lane_in(1), approach.lane_in(approach.road.lanes)))
        road = next(item for item in root.iter("road") if item.get("id") == str(approach.road.id))
        signals = road.find("signals")
        if signals is None:
            signals = ET.SubElement(road, "signals")
        attributes = {
            "s": repr(length - STOP_LINE_M if approach.at_end else STOP_LINE_M),
            "t": repr(-sideways if approach.at_end else sideways),
            "id": str(plan.id + index),
            "name": f"light {plan.id + index}",
            "dynamic": "yes",
            "orientation": "+" if approach.at_end else "-",
            "zOffset": "0.0",
            "country": "OpenDRIVE",
            "type": "1000001",
            "subtype": "-1",
            "value": "-1",
            "hOffset": "0.0" if approach.at_end else repr(math.pi),
            "pitch": "0.0",
            "roll": "0.0",
            "height": "1.2",
            "width": "0.5",
        }
        signal = ET.SubElement(signals, "signal", attributes)
        ET.SubElement(signal, "validity", {"fromLane": str(lanes[0]), "toLane": str(lanes[1])})


def phases(plan: JunctionPlan) -> list[list[int]]:
    """Signal ids that show green together: approaches that face each other."""
    groups: list[list[int]] = []
    heads: list[Approach] = []
    for index, approach in enumerate(plan.approaches, start=1):
        facing = [n for n, head in enumerate(heads) if abs(turn_of(head, approach)) < math.radians(35)]
        if facing:
            groups[facing[0]].append(plan.id + index)
        else:
            heads.append(approach)
            groups.append([plan.id + index])
    return groups


def add_controllers(root: ET.Element, plan: MapPlan) -> None:
    """One `<controller>` per phase, before the junctions, and each junction's list of them."""
    for junction in (item for item in plan.junctions if item.signalised):
        element = next(item for item in root.iter("junction") if item.get("id") == str(junction.id))
        for sequence, signals in enumerate(phases(junction)):
            name = str(junction.id + 10 + sequence)
            controller = ET.Element("controller", {"name": f"phase {name}", "id": name, "sequence": str(sequence)})
            for signal in signals:
                ET.SubElement(controller, "control", {"signalId": str(signal), "type": ""})
            root.insert(list(root).index(element), controller)
            ET.SubElement(element, "controller", {"id": name, "type": "", "sequence": str(sequence)})


def tidy(root: ET.Element) -> None:
    """No date, and every number rounded to a nanometre, so that the bytes are the same on every machine."""
    header = root.find("header")
    if header is None:
        raise ValueError("the OpenDRIVE header is missing")
    header.attrib.pop("date", None)
    for element in root.iter():
        for key, value in element.attrib.items():
            if "." in value or "e-" in value:
                try:
                    number = round(float(value), 9) + 0.0
                except ValueError:
                    continue
                element.set(key, repr(number))


def to_xml(plan: MapPlan) -> bytes:
    """The OpenDRIVE file of a map."""
    network = xodr.OpenDrive(plan.name, geo_reference=GEO_REFERENCE)
    roads = {item.id: two_way_road(item) for item in plan.roads}
    for road in roads.values():
        network.add_road(road)
    for junction in plan.junctions:
        add_junction(network, roads, junction)
    root = network.get_element()
    for junction in (item for item in plan.junctions if item.signalised):
        add_lights(root, junction)
    add_controllers(root, plan)
    tidy(root)
    ET.indent(root, " ")
    text: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


# -------------------------------------------------------------------------------------------------------- layouts


def arm(
    road_id: int, centre: tuple[float, float], bearing_deg: float, gap_m: float, shape: Shape, lanes: int, kmh: float
) -> Approach:
    """A road that ends at a junction: `shape` describes it outwards, from `gap_m` off the centre."""
    bearing = math.radians(bearing_deg)
    start = (centre[0] + gap_m * math.cos(bearing), centre[1] + gap_m * math.sin(bearing), bearing)
    inward = backwards(start, shape)
    return Approach(RoadPlan(road_id, inward[0], inward[1], lanes, kmh), at_end=True)


def star(name: str, gap_m: float, arms: Sequence[tuple[float, Shape, int, float]], signalised: bool) -> MapPlan:
    """One junction at the origin; each arm is (bearing in degrees, shape outwards, lanes, km/h)."""
    approaches = tuple(
        arm(index, (0.0, 0.0), bearing, gap_m, shape, lanes, kmh)
        for index, (bearing, shape, lanes, kmh) in enumerate(arms, start=1)
    )
    roads = tuple(item.road for item in approaches)
    return MapPlan(name, roads, (JunctionPlan(100, approaches, signalised),))


def link(road_id: int, a: Point, length: float, lanes: int, kmh: float) -> tuple[Approach, Approach]:
    """A straight road between two junctions: its approach to the first, and to the second."""
    road = RoadPlan(road_id, a, [(length, 0.0)], lanes, kmh)
    return Approach(road, at_end=False), Approach(road, at_end=True)


def straight(length: float) -> Shape:
    """A straight road outwards."""
    return [(length, 0.0)]


def two_junctions(name: str, lanes: int, side_a: Sequence[float], side_b: Sequence[float], signalised: bool) -> MapPlan:
    """Two junctions 110 m apart on one straight road; `side_a` and `side_b` are the bearings of the side roads."""
    gap = 8.0 + LANE_M * lanes
    left, right = (-55.0, 0.0), (55.0, 0.0)
    near, far = link(1, (left[0] + gap, 0.0, 0.0), 110.0 - 2 * gap, lanes, 50)
    west = arm(2, left, 180, gap, straight(110), lanes, 50)
    east = arm(3, right, 0, gap, straight(110), lanes, 50)
    sides_a = [arm(10 + n, left, bearing, gap, straight(110), 1, 30) for n, bearing in enumerate(side_a)]
    sides_b = [arm(20 + n, right, bearing, gap, straight(110), 1, 30) for n, bearing in enumerate(side_b)]
    first = JunctionPlan(100, (west, near, *sides_a), signalised)
    second = JunctionPlan(200, (far, east, *sides_b), False)
    roads = (near.road, west.road, east.road, *(item.road for item in (*sides_a, *sides_b)))
    return MapPlan(name, roads, (first, second))


def grid(name: str) -> MapPlan:
    """Four four-way crossings on a square of 100 m, two of them signalised."""
    gap, half, kmh = 11.0, 50.0, 40.0
    centres = [(-half, -half), (half, -half), (half, half), (-half, half)]
    inner = []
    for index, (x, y) in enumerate(centres):
        bearing = math.radians(90.0 * index)
        start = (x + gap * math.cos(bearing), y + gap * math.sin(bearing), bearing)
        inner.append(link(1 + index, start, 2 * half - 2 * gap, 1, kmh))
    roads = [pair[0].road for pair in inner]
    junctions = []
    for index, centre in enumerate(centres):
        outer = [
            arm(10 * (index + 1) + n, centre, 90.0 * index + bearing, gap, straight(80), 1, kmh)
            for n, bearing in enumerate((180.0, 270.0))
        ]
        roads += [item.road for item in outer]
        approaches = (inner[index][0], inner[index - 1][1], *outer)
        junctions.append(JunctionPlan(100 * (index + 1), approaches, signalised=index % 2 == 0))
    return MapPlan(name, tuple(roads), tuple(junctions))


def layouts() -> list[MapPlan]:
    """All maps; the arms of `crossing` are west, north, east and south as CARLA sees them (y to the south)."""
    long, bend = straight(170), [(60, 0.0), (50, 1 / 90), (60, 0.0)]
    bend_back = [(60, 0.0), (50, -1 / 90), (60, 0.0)]
    s_bend = [(40, 0.0), (40, 1 / 70), (40, -1 / 70), (40, 0.0)]
    crossing = [(180, long, 2, 50), (90, long, 2, 50), (0, long, 2, 50), (-90, long, 2, 50)]
    return [
        star("crossing", 12, crossing, True),
        star("train_fourway", 11, [(angle, straight(140), 1, 50) for angle in (180, 90, 0, -90)], True),
        star("train_tee", 14, [(180, long, 2, 50), (0, long, 2, 50), (-90, straight(140), 1, 30)], False),
        star("train_curve", 16, [(180, bend, 1, 50), (0, bend_back, 1, 50), (110, straight(150), 1, 50)], False),
        star("train_wide", 18, [(180, long, 3, 60), (0, long, 3, 60), (90, long, 1, 50), (-90, long, 1, 50)], True),
        two_junctions("train_two", 1, (90, -90), (-90,), True),
        grid("train_grid"),
        star("val_skew", 18, [(180, long, 2, 50), (75, long, 2, 50), (0, long, 2, 50), (-105, long, 2, 50)], True),
        star("val_fork", 14, [(180, s_bend, 1, 50), (60, straight(140), 1, 50), (-60, straight(140), 1, 50)], False),
        star(
            "test_bends", 15, [(180, bend, 2, 50), (90, bend_back, 1, 40), (0, bend, 2, 50), (-90, bend, 1, 40)], True
        ),
        two_junctions("test_stagger", 2, (70,), (-70,), False),
    ]


def main() -> None:
    """Write every map."""
    parser = argparse.ArgumentParser(description="Write the OpenDRIVE maps.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "scenarios" / "maps")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for plan in layouts():
        (folder / f"{plan.name}.xodr").write_bytes(to_xml(plan))
        print(folder / f"{plan.name}.xodr")


if __name__ == "__main__":
    main()
