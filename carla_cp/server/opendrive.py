"""Reads OpenDRIVE before the wheel does, whose reader is C++ and ends the process, also the client's, on some faults.

A road that is broken is left out. A reference to what is not there (a lane, a road, a signal) is left out. Both are
named and counted. What neither helps is refused.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from statistics import median
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from carla_cp.server.road_faults import RoadError, check_road, lane_ids, number, whole

_TRIAL_S = 120.0
_MOST_LANES = 64
_BAD_SPEED = re.compile(r"[Ss]peed_(?!\s*\d)")  # an object by whose name the wheel fails to make a speed sign
_WIDEST_MAP_M = 50_000.0  # from the middle
# What the trial does first: it ends with the server, which may be killed while the wheel hangs.
_LEASH = """
import contextlib, ctypes, os, sys
with contextlib.suppress(OSError, AttributeError):
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
"""
# Run in a process of its own: the wheel's reader, and the queries that every client makes.
_TRIAL = """
import carla
world_map = carla.Map("trial", sys.stdin.buffer.read().decode())
waypoints = world_map.generate_waypoints(2.0)
middle = waypoints[len(waypoints) // 2].transform.location if waypoints else None
world_map.get_topology(), world_map.get_all_landmarks(), world_map.get_crosswalks()
for waypoint in waypoints:
    place = waypoint.transform.location
    if not place.distance(middle) < 100_000.0:
        print(waypoint.road_id, file=sys.stderr)
        sys.exit(3)
    waypoint.next(2.0), waypoint.previous(2.0)
"""


class OpenDriveError(Exception):
    """Why a text is no usable map, and the mend."""


@dataclass(frozen=True, slots=True)
class Mended:
    """A text that the wheel reads, and what was left out of it; the given text itself where nothing was."""

    text: str
    skipped: tuple[str, ...]  # roads
    dropped: tuple[str, ...]  # references and records


@dataclass(slots=True)
class _Network:
    """A map while it is mended."""

    root: Element
    roads: dict[int, Element] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    changed: bool = False

    def drop(self, parent: Element, child: Element, why: str) -> None:
        parent.remove(child)
        self.dropped.append(why)


def mend(text: str) -> Mended:
    """The text without its faults; raises OpenDriveError where too little is left."""
    text = text.lstrip("\ufeff")
    network = _Network(_parse(text))
    network.changed = _strip_namespace(network.root)
    _take_roads(network)
    for road_id, road in network.roads.items():
        _mend_starts(network, road)
        _mend_spirals(network, road)
        _mend_furniture(network, road_id, road)
    signals = {signal.get("id") for road in network.roads.values() for signal in road.findall("signals/signal")}
    for road_id, road in network.roads.items():
        _mend_references(network, road_id, road, signals)
        _mend_links(network, road_id, road)
    _mend_junctions(network)
    _mend_controllers(network, signals)
    if network.skipped or network.dropped or network.changed:
        text = ElementTree.tostring(network.root, "unicode")
    return Mended(text, tuple(network.skipped), tuple(network.dropped))


def try_out(text: str) -> None:
    """Raises OpenDriveError for a text on which the wheel fails, hangs, or ends, in a process of its own."""
    command = [sys.executable, "-c", _LEASH + _TRIAL, str(os.getpid())]
    try:
        trial = subprocess.run(command, input=text.encode(), capture_output=True, timeout=_TRIAL_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise OpenDriveError(f"the wheel's reader is not done after {_TRIAL_S:.0f} s; give a smaller map") from error
    if trial.returncode < 0:
        raise OpenDriveError(f"the wheel's reader ends on it by signal {-trial.returncode}; check it with a validator")
    said = trial.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    if trial.returncode == 3:
        raise OpenDriveError(f"road {said} has places that are no numbers or far away; mend its planView")
    if trial.returncode:
        raise OpenDriveError(f"the wheel's reader says: {said}; check it with a validator")


def _parse(text: str) -> Element:
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise OpenDriveError(f"it is no whole XML document ({error}); give a whole OpenDRIVE file") from error
    if root.tag.rpartition("}")[2] != "OpenDRIVE":
        raise OpenDriveError(f"its root is <{root.tag[:40]}>; give a file with the root <OpenDRIVE>")
    return root


def _strip_namespace(root: Element) -> bool:
    """Whether there was one, which the wheel does not know."""
    found = False
    for element in root.iter():
        if isinstance(element.tag, str) and element.tag.startswith("{"):
            element.tag, found = element.tag.rpartition("}")[2], True
    return found


def _take_roads(network: _Network) -> None:
    """Sorts the roads into the good and the broken."""
    for road in network.root.findall("road"):
        name = f"road {road.get('id')}"
        try:
            check_road(road)
            road_id = int(road.attrib["id"])
            if road_id in network.roads:
                raise RoadError("another road has its id; give each its own")
        except RoadError as error:
            network.root.remove(road)
            network.skipped.append(f"{name} is skipped: {error}")
            continue
        if whole(road.get("junction"), -1) is None:
            network.dropped.append(f"{name}: the junction {road.get('junction')!r} is no number, so it is in none")
            road.set("junction", "-1")
        network.roads[road_id] = road
    _leave_far_roads(network)
    if not network.roads:
        raise OpenDriveError("; ".join(network.skipped[:3]) or "it has no road; give a map with driving lanes")


def _leave_far_roads(network: _Network) -> None:
    """A road that begins far away from most others would make a map too large to build."""
    starts = {road_id: _start(road) for road_id, road in network.roads.items()}
    x, y = (median(start[axis] for start in starts.values()) if starts else 0.0 for axis in (0, 1))
    for road_id, start in starts.items():
        away = math.hypot(start[0] - x, start[1] - y)
        if away > _WIDEST_MAP_M:
            network.root.remove(network.roads.pop(road_id))
            where = f"begins at {start}, {away / 1000:.4g} km from the others"
            network.skipped.append(f"road {road_id} is skipped: it {where}; give one within 50 km")


def _start(road: Element) -> tuple[float, float]:
    piece = road.findall("planView/geometry")[0]
    return float(piece.attrib["x"]), float(piece.attrib["y"])


def _mend_starts(network: _Network, road: Element) -> None:
    """The first geometry, lane section and width begin at 0, not a rounding error later; so does the elevation."""
    lists = [(road.findall("planView/geometry"), "s"), (road.findall("lanes/laneSection"), "s")]
    for side in ("left", "right"):  # what the middle says of a width means nothing
        lanes = road.findall(f"lanes/laneSection/{side}/lane")
        lists += [(lane.findall("width"), "sOffset") for lane in lanes]
    for records, name in lists:
        if records and float(records[0].attrib[name]) != 0.0:
            records[0].set(name, "0")
            network.changed = True
    profile = road.find("elevationProfile")
    heights = road.findall("elevationProfile/elevation")
    if profile is not None and heights and float(heights[0].attrib["s"]) > 0.0:
        profile.insert(0, Element("elevation", {name: "0" for name in ("s", "a", "b", "c", "d")}))
        network.changed = True


def _mend_spirals(network: _Network, road: Element) -> None:
    """A spiral of constant curvature, of which the wheel makes no numbers, is an arc; an arc of none a line."""
    for piece in road.findall("planView/geometry"):
        for shape in piece:
            if shape.tag == "spiral" and float(shape.attrib["curvStart"]) == float(shape.attrib["curvEnd"]):
                shape.tag, shape.attrib = "arc", {"curvature": shape.attrib["curvEnd"]}
                network.changed = True
            if shape.tag == "arc" and abs(float(shape.attrib["curvature"])) < 1e-12:
                shape.tag, shape.attrib = "line", {}
                network.changed = True


def _mend_furniture(network: _Network, road_id: int, road: Element) -> None:
    """Signals, references to them, and objects stand somewhere along the road."""
    length = float(road.attrib["length"])
    for parent in [*road.findall("signals"), *road.findall("objects")]:
        for child in list(parent):
            s = number(child.get("s"))
            if child.tag in ("signal", "signalReference", "object") and (s is None or not -1.0 <= s <= length + 1.0):
                what = f"the {child.tag} {child.get('id')} at s={child.get('s')}"
                network.drop(parent, child, f"road {road_id}: {what} is not on the road's {length} m and is dropped")
            elif child.tag == "object" and _BAD_SPEED.match(child.get("name", "")):
                what = f"the object {child.get('id')}, {child.get('name')!r:.60}, tells no speed"
                network.drop(parent, child, f"road {road_id}: {what} and is dropped; name it like Speed_30")
            elif s is not None and not 0.0 <= s <= length:
                child.set("s", repr(min(max(s, 0.0), length)))
                network.changed = True


def _mend_references(network: _Network, road_id: int, road: Element, signals: set[str | None]) -> None:
    for parent in road.findall("signals"):
        for child in list(parent):
            if child.tag == "signalReference" and child.get("id") not in signals:
                why = f"road {road_id}: the signalReference {child.get('id')} names no signal and is dropped"
                network.drop(parent, child, why)
            for validity in child.findall("validity"):
                lanes = [whole(validity.get(name), -_MOST_LANES) for name in ("fromLane", "toLane")]
                if any(lane is None or lane > _MOST_LANES for lane in lanes):
                    span = f"{validity.get('fromLane')} to {validity.get('toLane')}"
                    network.drop(child, validity, f"road {road_id}: the validity {span} is dropped; name its lanes")


def _mend_links(network: _Network, road_id: int, road: Element) -> None:
    """Roads link to roads, and lanes to lanes, that exist."""
    for parent in road.findall("link"):
        for link in list(parent):
            target = whole(link.get("elementId"))
            if link.get("elementType") == "road" and target not in network.roads:
                why = f"road {road_id}: its {link.tag}, road {link.get('elementId')}, is nowhere; the link is dropped"
                network.drop(parent, link, why)
    sections = road.findall("lanes/laneSection")
    for index, section in enumerate(sections):
        before = sections[index - 1] if index else _neighbour(network, road, "predecessor")
        after = sections[index + 1] if index + 1 < len(sections) else _neighbour(network, road, "successor")
        for lane in section.iter("lane"):
            for tag, other in (("predecessor", before), ("successor", after)):
                _mend_lane_link(network, road_id, lane, tag, other)


def _neighbour(network: _Network, road: Element, tag: str) -> Element | None:
    """The lane section that a road's end meets; None where it meets no road."""
    link = road.find(f"link/{tag}")
    if link is None or link.get("elementType") != "road":
        return None
    sections = network.roads[int(link.attrib["elementId"])].findall("lanes/laneSection")
    return sections[-1 if link.get("contactPoint") == "end" else 0]


def _mend_lane_link(network: _Network, road_id: int, lane: Element, tag: str, other: Element | None) -> None:
    for parent in lane.findall("link"):
        for link in parent.findall(tag):
            target = whole(link.get("id"), -_MOST_LANES)
            if target is None or (other is not None and target not in lane_ids(other)):
                what = f"the {tag} {link.get('id')} of lane {lane.get('id')}"
                network.drop(parent, link, f"road {road_id}: {what} is no lane there; the link is dropped")


def _mend_junctions(network: _Network) -> None:
    for junction in network.root.findall("junction"):
        for connection in junction.findall("connection"):
            for name in ("incomingRoad", "connectingRoad"):
                if whole(connection.get(name)) not in network.roads:
                    where = f"junction {junction.get('id')}: the {name} {connection.get(name)}"
                    network.drop(
                        junction, connection, f"{where} is nowhere; connection {connection.get('id')} is dropped"
                    )
                    break


def _mend_controllers(network: _Network, signals: set[str | None]) -> None:
    for controller in network.root.findall("controller"):
        name = f"controller {controller.get('id')}"
        if whole(controller.get("sequence") or "0") is None:
            network.dropped.append(f"{name}: the sequence {controller.get('sequence')!r} is no number; it is dropped")
            del controller.attrib["sequence"]
        for control in controller.findall("control"):
            if control.get("signalId") not in signals:
                why = f"{name}: the signal {control.get('signalId')} is nowhere; the control is dropped"
                network.drop(controller, control, why)
        if controller.find("control") is None:
            network.root.remove(controller)
            network.changed = True
