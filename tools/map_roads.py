"""How a road is built: its reference line, its lanes, and its links to the junctions at its ends."""

from __future__ import annotations

from collections.abc import Sequence

from map_geometry import PlanView, Point, follow
from map_plan import LANE_M, SIDEWALK_M, JunctionPlan, RoadPlan
from scenariogeneration import xodr


def reference_line(start: Point, plan_view: PlanView) -> xodr.PlanView:
    """OpenDRIVE's `<planView>`."""
    view = xodr.PlanView()
    s_m = 0.0
    at = start
    for piece in plan_view:
        length, curvature = piece.length_m, piece.curvature
        geometry = xodr.Line(length) if curvature == 0.0 else xodr.Arc(curvature, length=length)
        view.add_fixed_geometry(geometry, at.x, at.y, at.hdg, s=s_m)
        s_m, at = s_m + length, follow(at, (piece,))
    view.adjust_geometries()
    return view


def driving_lane(mark: xodr.RoadMarkType) -> xodr.Lane:
    """A driving lane with a mark on its outer edge."""
    lane = xodr.Lane(lane_type=xodr.LaneType.driving, a=LANE_M)
    return lane.add_roadmark(xodr.RoadMark(mark, width=0.15))


def sidewalk() -> xodr.Lane:
    """A sidewalk."""
    lane = xodr.Lane(lane_type=xodr.LaneType.sidewalk, a=SIDEWALK_M)
    return lane.add_roadmark(xodr.RoadMark(xodr.RoadMarkType.none, width=0.15))


def driving_and_sidewalk(lanes: int) -> list[xodr.Lane]:
    """One side of a road, from the middle outwards."""
    marks = [xodr.RoadMarkType.broken] * (lanes - 1) + [xodr.RoadMarkType.solid]
    return [*(driving_lane(mark) for mark in marks), sidewalk()]


def lane_section(left: Sequence[xodr.Lane], right: Sequence[xodr.Lane], centre: xodr.RoadMarkType) -> xodr.Lanes:
    """One lane section over the whole road."""
    section = xodr.LaneSection(0, xodr.Lane().add_roadmark(xodr.RoadMark(centre, width=0.15)))
    for lane in left:
        section.add_left_lane(lane)
    for lane in right:
        section.add_right_lane(lane)
    lanes = xodr.Lanes()
    lanes.add_lanesection(section)
    return lanes


def make_flat(road: xodr.Road, speed_kmh: float) -> None:
    """Give a road its speed limit and no slope."""
    road.add_type(xodr.RoadType.town, 0, speed=speed_kmh, speed_unit="km/h")
    road.add_elevation(0, 0, 0, 0, 0)


def road_outside(plan: RoadPlan, junctions: Sequence[JunctionPlan]) -> xodr.Road:
    """A road outside junctions, linked to those among `junctions` that it leads to."""
    left = [] if plan.one_way else driving_and_sidewalk(plan.lanes)
    mark = xodr.RoadMarkType.solid if plan.one_way else xodr.RoadMarkType.solid_solid
    lanes = lane_section(left, driving_and_sidewalk(plan.lanes), mark)
    road = xodr.Road(plan.id, reference_line(plan.start, plan.plan_view), lanes, name=f"road {plan.id}")
    make_flat(road, plan.speed_kmh)
    for junction in junctions:
        for approach in junction.approaches:
            if approach.road == plan:
                link = road.add_successor if approach.at_end else road.add_predecessor
                link(xodr.ElementType.junction, junction.id)
    return road
