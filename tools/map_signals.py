"""How a junction gets a light for each approach and a controller for each phase; or a stop sign for each approach.

CARLA's TrafficManager drives safely over a junction without lights only where each approach has a stop sign.

Written as XML here because scenariogeneration keeps every signal id of the process unique, over all maps.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from map_plan import LANE_M, Approach, JunctionPlan

STOP_LINE_M = 0.5  # before the junction, of a light
STOP_SIGN_M = 1.0  # before the junction, of a stop sign


@dataclass(frozen=True)
class SignKind:
    """What an approach is shown: a light, or a stop sign."""

    name: str
    type: str  # in OpenDRIVE
    dynamic: str
    line_m: float  # before the junction
    height_m: float


LIGHT = SignKind("light", "1000001", "yes", STOP_LINE_M, 1.2)
STOP_SIGN = SignKind("stop", "206", "no", STOP_SIGN_M, 0.6)


def element_of(root: ET.Element, tag: str, element_id: int) -> ET.Element:
    """The road or junction of that id."""
    return next(item for item in root.iter(tag) if item.get("id") == str(element_id))


def signal_element(signal_id: int, approach: Approach, kind: SignKind) -> ET.Element:
    """A light or sign on the right-hand sidewalk at the stop line, valid for the lanes that lead in."""
    length = sum(piece.length_m for piece in approach.road.plan_view)
    sideways = approach.road.lanes * LANE_M + 0.5
    attributes = {
        "s": repr(length - kind.line_m if approach.at_end else kind.line_m),
        "t": repr(-sideways if approach.at_end else sideways),
        "id": str(signal_id),
        "name": f"{kind.name} {signal_id}",
        "dynamic": kind.dynamic,
        "orientation": "+" if approach.at_end else "-",
        "zOffset": "0.0",
        "country": "OpenDRIVE",
        "type": kind.type,
        "subtype": "-1",
        "value": "-1",
        "hOffset": "0.0" if approach.at_end else repr(math.pi),
        "pitch": "0.0",
        "roll": "0.0",
        "height": repr(kind.height_m),
        "width": "0.5",
    }
    signal = ET.Element("signal", attributes)
    first, last = sorted((approach.lane_in(1), approach.lane_in(approach.road.lanes)))
    ET.SubElement(signal, "validity", {"fromLane": str(first), "toLane": str(last)})
    return signal


def add_signals(root: ET.Element, plan: JunctionPlan) -> None:
    """Add a light to each road that leads in, or a stop sign where the junction has no lights.

    One-way roads into a junction without lights are a ring or a motorway, which have priority.
    """
    kind = LIGHT if plan.signalised else STOP_SIGN
    for index, approach in enumerate(plan.approaches, start=1):
        if approach.road.one_way:
            continue
        road = element_of(root, "road", approach.road.id)
        signals = road.find("signals")
        if signals is None:
            signals = ET.SubElement(road, "signals")
        signals.append(signal_element(plan.id + index, approach, kind))


def phases(plan: JunctionPlan) -> list[list[int]]:
    """Signal ids that show green together: each approach by itself, as in CARLA's towns.

    Cars that turn left across oncoming traffic are what CARLA's TrafficManager does not master.
    """
    return [[plan.id + index] for index in range(1, len(plan.approaches) + 1)]


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
