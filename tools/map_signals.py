"""How a junction gets its traffic lights: a signal for each approach, and a controller for each phase.

Written as XML here because scenariogeneration keeps every signal id of the process unique, over all maps.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

from map_junctions import straight_on
from map_plan import LANE_M, Approach, JunctionPlan

STOP_LINE_M = 0.5  # before the junction


def element_of(root: ET.Element, tag: str, element_id: int) -> ET.Element:
    """The road or junction of that id."""
    return next(item for item in root.iter(tag) if item.get("id") == str(element_id))


def signal_element(signal_id: int, approach: Approach) -> ET.Element:
    """A light on the right-hand sidewalk at the stop line, valid for the lanes that lead in."""
    length = sum(piece.length_m for piece in approach.road.plan_view)
    sideways = approach.road.lanes * LANE_M + 0.5
    attributes = {
        "s": repr(length - STOP_LINE_M if approach.at_end else STOP_LINE_M),
        "t": repr(-sideways if approach.at_end else sideways),
        "id": str(signal_id),
        "name": f"light {signal_id}",
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
    signal = ET.Element("signal", attributes)
    first, last = sorted((approach.lane_in(1), approach.lane_in(approach.road.lanes)))
    ET.SubElement(signal, "validity", {"fromLane": str(first), "toLane": str(last)})
    return signal


def add_signals(root: ET.Element, plan: JunctionPlan) -> None:
    """Add a light to each road that leads in."""
    for index, approach in enumerate(plan.approaches, start=1):
        road = element_of(root, "road", approach.road.id)
        signals = road.find("signals")
        if signals is None:
            signals = ET.SubElement(road, "signals")
        signals.append(signal_element(plan.id + index, approach))


def phases(plan: JunctionPlan) -> list[list[int]]:
    """Signal ids that show green together: approaches that face each other."""
    groups: list[list[int]] = []
    heads: list[Approach] = []
    for index, approach in enumerate(plan.approaches, start=1):
        facing = [group for head, group in zip(heads, groups, strict=True) if straight_on(head, approach)]
        if facing:
            facing[0].append(plan.id + index)
        else:
            heads.append(approach)
            groups.append([plan.id + index])
    return groups


def add_controllers(root: ET.Element, plan: JunctionPlan) -> None:
    """Add one `<controller>` per phase before the junction, and the junction's list of them."""
    junction = element_of(root, "junction", plan.id)
    for sequence, signals in enumerate(phases(plan)):
        name = str(plan.id + 10 + sequence)
        controller = ET.Element("controller", {"name": f"phase {name}", "id": name, "sequence": str(sequence)})
        for signal in signals:
            ET.SubElement(controller, "control", {"signalId": str(signal), "type": ""})
        root.insert(list(root).index(junction), controller)
        ET.SubElement(junction, "controller", {"id": name, "type": "", "sequence": str(sequence)})
