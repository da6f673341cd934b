"""What the schema cannot say: names that must agree, files that must exist, motions that must be possible."""

from __future__ import annotations

import itertools
from pathlib import Path

from lxml import etree

from carla_cp.scenario.channel import check_trace_file
from carla_cp.scenario.errors import ScenarioError, near


def check_consistency(scenario: etree._Element, path: Path) -> None:
    """Raises ScenarioError if the parts of a schema-valid `<scenario>` contradict each other."""
    if scenario.get("name") != path.stem:
        _fail(path, scenario, f"name '{scenario.get('name')}' differs from the file's; write name=\"{path.stem}\"")
    _check_names(scenario, path)
    _check_references(scenario, path)
    for behavior in scenario.iterfind("behaviors/behavior"):
        _check_behavior(scenario, behavior, path)
    _check_motion(scenario, path)
    _check_lidars(scenario, path)
    _check_map(scenario, path)
    for channel in scenario.iterfind("v2x/channel"):
        check_trace_file(channel, path.parent, f"{path}:{channel.sourceline}")


def _fail(path: Path, element: etree._Element, text: str) -> None:
    raise ScenarioError(f"{path}:{element.sourceline}: <{element.tag}> {text}")


def _ego(scenario: etree._Element) -> str:
    return str(scenario.xpath("string(ego_vehicle/@rolename)"))


def _actors(scenario: etree._Element) -> list[etree._Element]:
    return [*scenario.iterfind("ego_vehicle"), *scenario.iterfind("other_actor")]


def _check_names(scenario: etree._Element, path: Path) -> None:
    """Rolenames and RSU ids name agents alike, so they share one set; references occur once."""
    _once(path, [(item, str(item.get("rolename") or item.get("id"))) for item in _agents(scenario)], "name")
    for kind in ("behaviors/behavior", "hazards/hazard", "v2x/connected_vehicle"):
        _once(path, [(item, str(item.get("actor"))) for item in scenario.iterfind(kind)], "actor")
    _once(path, [(item, str(item.get("id"))) for item in scenario.iterfind("v2x/signal")], "id")


def _agents(scenario: etree._Element) -> list[etree._Element]:
    return [*_actors(scenario), *scenario.iterfind("v2x/rsu")]


def _once(path: Path, named: list[tuple[etree._Element, str]], what: str) -> None:
    seen: dict[str, etree._Element] = {}
    for element, name in named:
        if name in seen:
            _fail(path, element, f"has the {what} '{name}' of line {seen[name].sourceline} again; keep one of them")
        seen[name] = element


def _check_references(scenario: etree._Element, path: Path) -> None:
    ego = _ego(scenario)
    known = {str(item.get("rolename")): item for item in _actors(scenario)}
    connected = list(scenario.iterfind("v2x/connected_vehicle"))
    references = [*scenario.iterfind("behaviors/behavior"), *scenario.iterfind("hazards/hazard"), *connected]
    for element in references:
        name = str(element.get("actor"))
        if name not in known:
            _fail(path, element, f"refers to the unknown actor '{name}'; {near(name, known)}")
    for element in connected:
        model = str(known[str(element.get("actor"))].get("model"))
        if not model.startswith("vehicle."):
            _fail(path, element, f"is a '{model}', which carries no LiDAR; choose a vehicle")
    if ego not in {str(item.get("actor")) for item in connected}:
        _fail(path, next(scenario.iterfind("v2x")), f'lacks the ego; add <connected_vehicle actor="{ego}">')
    for element in scenario.iterfind("hazards/hazard"):
        _check_hazard(scenario, element, path)


def _check_hazard(scenario: etree._Element, hazard: etree._Element, path: Path) -> None:
    """It is not the ego, whoever sees it can tell the ego, and whoever leaves with it is an actor."""
    ego, name = _ego(scenario), hazard.get("actor")
    if name == ego:
        _fail(path, hazard, f"names the ego '{ego}' as its own hazard; choose another actor")
    senders = {str(item.get("actor")) for item in scenario.iterfind("v2x/connected_vehicle")} - {ego}
    senders |= {str(item.get("id")) for item in scenario.iterfind("v2x/rsu")}
    others = {str(item.get("rolename")) for item in scenario.iterfind("other_actor")} - {name}
    for attribute, known in (("seen_by", senders), ("companions", others)):
        for word in str(hazard.get(attribute, "")).split():
            if word not in known:
                _fail(path, hazard, f"{attribute} names '{word}', which cannot be; {near(word, known)}")


def _check_behavior(scenario: etree._Element, behavior: etree._Element, path: Path) -> None:
    ego = behavior.get("actor") == _ego(scenario)
    route, arrival, draw = behavior.find("path"), behavior.find("arrival"), behavior.find("draw")
    if ego and (route is not None or arrival is not None):
        _fail(path, behavior, f"gives the ego '{behavior.get('actor')}' a path or an arrival; it follows <route>")
    if arrival is not None and route is None:
        _fail(path, behavior, f"of '{behavior.get('actor')}' has an <arrival> but no <path>; add one")
    if arrival is None and draw is not None and float(draw.get("offset_s", "0")) > 0:
        _fail(path, draw, f"has offset_s={draw.get('offset_s')} without an <arrival>; add one, or remove offset_s")
    if arrival is not None and draw is not None and (draw.get("along_m") or draw.get("across_m")):
        _fail(path, draw, "has along_m or across_m, but the <arrival> decides the start; remove them")
    points = [] if route is None else list(route)
    for first, second in itertools.pairwise(points):
        if all(float(str(first.get(axis))) == float(str(second.get(axis))) for axis in "xy"):
            _fail(path, second, f"x={second.get('x')} y={second.get('y')} repeats the point before it; remove one")


def _check_motion(scenario: etree._Element, path: Path) -> None:
    """Whoever has a speed knows where to go, and the other way round."""
    ego = _ego(scenario)
    behaviors = scenario.iterfind("behaviors/behavior")
    moving = {str(item.get("actor")) for item in behaviors if item.find("path") is not None}
    for element in _actors(scenario):
        name, speed = str(element.get("rolename")), float(element.get("speed", "0"))
        if name == ego and speed <= 0:
            _fail(path, element, f"'{name}' has speed {speed:g}; give the ego a speed above 0 m/s")
        if name != ego and speed > 0 and name not in moving:
            _fail(path, element, f"'{name}' has speed {speed:g} but no path; add it to <behaviors>, or remove speed")
        if name in moving and speed <= 0:
            _fail(path, element, f"'{name}' has a path but no speed; add speed in m/s, or remove the path")
    points = list(scenario.iterfind("route/waypoint"))
    for first, second in itertools.pairwise(points):
        if all(float(str(first.get(axis))) == float(str(second.get(axis))) for axis in "xy"):
            _fail(path, second, f"x={second.get('x')} y={second.get('y')} repeats the waypoint before it; remove one")


def _check_lidars(scenario: etree._Element, path: Path) -> None:
    for lidar in scenario.iter("lidar"):
        upper, lower = float(lidar.get("upper_fov", "2")), float(lidar.get("lower_fov", "-25"))
        if upper <= lower:
            _fail(path, lidar, f"has upper_fov {upper:g} not above lower_fov {lower:g}; swap or mend them")
        parent = lidar.getparent()
        if parent is None or lidar.get("z") is None:
            _fail(path, lidar, 'lacks z; add the mounting height in metres, as z="1.9"')
        elif parent.tag == "rsu" and (float(lidar.get("x", "0")) or float(lidar.get("y", "0"))):
            _fail(path, lidar, f"of '{parent.get('id')}' has an x or y; move the <rsu> itself")


def _check_map(scenario: etree._Element, path: Path) -> None:
    v2x = next(scenario.iterfind("v2x"))
    file = path.parent / str(v2x.get("map"))
    if not file.is_file():
        others = [item.name for item in file.parent.glob("*.xodr")]
        _fail(path, v2x, f"map '{v2x.get('map')}' is no file beside the scenario; {near(file.name, others)}")
    try:
        signals = etree.parse(str(file)).iter("signal")
        lights = {str(item.get("id")) for item in signals if item.get("type") == "1000001"}
    except etree.XMLSyntaxError as error:
        raise ScenarioError(f"{file}:{error.lineno}: not well-formed OpenDRIVE: {error.msg}; mend the map") from error
    for signal in scenario.iterfind("v2x/signal"):
        name = str(signal.get("id"))
        if name not in lights:
            _fail(path, signal, f"id '{name}' is no traffic light of {file.name}; {near(name, lights)}")
