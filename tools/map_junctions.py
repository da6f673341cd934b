"""How a junction is built: which lanes it connects, and a one-lane connecting road for each connection.

One driving lane per connecting road gives each lane of an approach its own way out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from map_geometry import beside, fillet
from map_plan import LANE_M, SIDEWALK_M, Approach, JunctionPlan
from map_roads import driving_lane, lane_section, make_flat, reference_line, sidewalk
from scenariogeneration import xodr

STRAIGHT_ON_RAD = math.radians(35)


@dataclass(frozen=True)
class Connection:
    """One lane through a junction; lanes count from 1, the inner one."""

    incoming: Approach
    incoming_lane: int
    outgoing: Approach
    outgoing_lane: int
    sidewalk: bool  # it runs along the outer edge


def turn(incoming: Approach, outgoing: Approach) -> float:
    """The change of heading from one approach to another in (-pi, pi], positive to the left."""
    return -((incoming.inward.hdg - outgoing.inward.reversed.hdg + math.pi) % (2 * math.pi) - math.pi)


def straight_on(incoming: Approach, outgoing: Approach) -> bool:
    """Whether two approaches face each other."""
    return abs(turn(incoming, outgoing)) < STRAIGHT_ON_RAD


def lane_pairs(incoming: Approach, outgoing: Approach) -> list[tuple[int, int]]:
    """Straight on from every lane that goes on, left from the inner lane, right from the outer one."""
    lanes_in, lanes_out = incoming.road.lanes, outgoing.road.lanes
    if straight_on(incoming, outgoing):
        return [(lane, lane) for lane in range(1, min(lanes_in, lanes_out) + 1)]
    return [(1, 1)] if turn(incoming, outgoing) > 0 else [(lanes_in, lanes_out)]


def connections(junction: JunctionPlan) -> list[Connection]:
    """All lanes through a junction."""
    result = []
    for incoming in filter(lambda approach: approach.leads_in, junction.approaches):
        others = [other for other in junction.approaches if other is not incoming]
        rightmost = min(others, key=lambda other: turn(incoming, other))
        for outgoing in filter(lambda approach: approach.leads_out, others):
            outer = (incoming.road.lanes, outgoing.road.lanes)
            for pair in lane_pairs(incoming, outgoing):
                edge = outgoing is rightmost and pair == outer
                result.append(Connection(incoming, pair[0], outgoing, pair[1], edge))
    return result


def contact_point(approach: Approach) -> xodr.ContactPoint:
    """Which end of its road touches the junction."""
    return xodr.ContactPoint.end if approach.at_end else xodr.ContactPoint.start


def connecting_lanes(connection: Connection) -> list[xodr.Lane]:
    """The lane through the junction and its sidewalk, linked to the lanes before and after."""
    lanes = [driving_lane(xodr.RoadMarkType.none)]
    if connection.sidewalk:
        lanes.append(sidewalk())
    for offset, lane in enumerate(lanes):
        lane.add_link("predecessor", connection.incoming.lane_in(connection.incoming_lane + offset))
        lane.add_link("successor", connection.outgoing.lane_out(connection.outgoing_lane + offset))
    return lanes


def connecting_road(road_id: int, junction_id: int, connection: Connection) -> xodr.Road:
    """A one-lane road through a junction, its reference line on the lane's left edge."""
    incoming, outgoing = connection.incoming, connection.outgoing
    begin = beside(incoming.inward, -(connection.incoming_lane - 1) * LANE_M)
    end = beside(outgoing.inward.reversed, -(connection.outgoing_lane - 1) * LANE_M)
    width = LANE_M + (SIDEWALK_M if connection.sidewalk else 0.0)
    view = reference_line(begin, fillet(begin, end, width))
    lanes = lane_section([], connecting_lanes(connection), xodr.RoadMarkType.none)
    road = xodr.Road(road_id, view, lanes, road_type=junction_id, name=f"way {road_id}")
    make_flat(road, incoming.road.speed_kmh)
    road.add_predecessor(xodr.ElementType.road, incoming.road.id, contact_point(incoming))
    road.add_successor(xodr.ElementType.road, outgoing.road.id, contact_point(outgoing))
    return road


def add_junction(network: xodr.OpenDrive, plan: JunctionPlan) -> None:
    """Add the junction and its connecting roads."""
    junction = xodr.Junction(f"junction {plan.id}", plan.id)
    for index, connection in enumerate(connections(plan)):
        road_id = plan.id + 20 + index
        network.add_road(connecting_road(road_id, plan.id, connection))
        incoming, lane = connection.incoming, connection.incoming_lane
        element = xodr.Connection(incoming.road.id, road_id, xodr.ContactPoint.start, index)
        element.add_lanelink(incoming.lane_in(lane), -1)
        if connection.sidewalk:
            element.add_lanelink(incoming.lane_in(lane + 1), -2)
        junction.add_connection(element)
    network.add_junction(junction)
