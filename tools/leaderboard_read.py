"""Route files of CARLA's Leaderboard 1 and 2 and event files of Leaderboard 1, as values.

Leaderboard 2: `<routes><route id town>` with `<weathers>`, `<waypoints><position>` and `<scenarios><scenario>`.
Leaderboard 1: `<routes><route id town>` with `<waypoint>`, and a JSON of `available_scenarios` by town. Degrees.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lxml import etree


class RouteFileError(Exception):
    """A file cannot be read; one line with file, line, value and mend."""


@dataclass(frozen=True, slots=True)
class Place:
    """A point of the map, with a heading where the file gives one."""

    x: float
    y: float
    z: float
    yaw_deg: float | None


@dataclass(frozen=True, slots=True)
class Guest:
    """An actor that an event places on the map."""

    place: Place
    model: str  # as written; may be empty or a pattern
    speed_mps: float | None
    side: str  # of Leaderboard 1: left, right or front; else ""


@dataclass(frozen=True, slots=True)
class Event:
    """One `<scenario>` of a route, or one event configuration."""

    kind: str
    trigger: Place
    guests: tuple[Guest, ...]
    other_settings: tuple[str, ...]  # names of what only ScenarioRunner's code for this kind understands


@dataclass(frozen=True, slots=True)
class LeaderboardRoute:
    """One `<route>`."""

    id: str
    town: str
    line: int  # in the file
    role: str  # of MDrive's files: ego, npc, ...; else ego
    places: tuple[Place, ...]
    weathers: tuple[tuple[tuple[str, str], ...], ...]  # attributes of each, by route_percentage
    events: tuple[Event, ...]


def read_routes(path: Path) -> list[LeaderboardRoute]:
    """The routes of a file of either Leaderboard. Raises RouteFileError."""
    try:
        root = etree.fromstring(path.read_bytes(), etree.XMLParser(resolve_entities=False, no_network=True))
    except OSError as error:
        raise RouteFileError(f"{path}: cannot be read ({error.strerror}); give a route file") from error
    except etree.XMLSyntaxError as error:
        raise RouteFileError(f"{path}:{error.lineno or 1}: no well-formed XML: {error.msg}; mend it there") from error
    if root.tag != "routes":
        raise RouteFileError(f"{path}:{root.sourceline}: <{root.tag}> is not <routes>; give a Leaderboard route file")
    routes = [_route(path, item) for item in root.iterfind("route")]
    if not routes:
        raise RouteFileError(f"{path}: has no <route>; give a Leaderboard route file")
    return routes


def _route(path: Path, element: etree._Element) -> LeaderboardRoute:
    points = [*element.iterfind("waypoints/position"), *element.iterfind("waypoint")]
    name = element.get("id")
    if name is None:
        raise RouteFileError(f'{path}:{element.sourceline}: <route> lacks its id; add id="..."')
    if len(points) < 2:
        raise RouteFileError(
            f"{path}:{element.sourceline}: route '{name}' has {len(points)} places; give at least two <position> in "
            "<waypoints> (Leaderboard 2) or two <waypoint> (Leaderboard 1)"
        )
    weathers = sorted(
        element.iterfind("weathers/weather"), key=lambda item: _finite(item.get("route_percentage")) or 0.0
    )
    weathers = weathers or list(element.iterfind("weather"))
    return LeaderboardRoute(
        id=name,
        town=element.get("town") or element.get("map") or "",
        line=element.sourceline,
        role=element.get("role", "ego"),
        places=tuple(_place(path, item) for item in points),
        weathers=tuple(tuple((key, str(value)) for key, value in item.attrib.items()) for item in weathers),
        events=tuple(_event(path, item) for item in element.iterfind("scenarios/scenario")),
    )


def _event(path: Path, element: etree._Element) -> Event:
    trigger = element.find("trigger_point")
    kind = str(element.get("type", "?"))
    if trigger is None:
        raise RouteFileError(f"{path}:{element.sourceline}: scenario '{kind}' lacks its <trigger_point>; add it")
    guests = []
    for item in element.iterfind("other_actor"):
        speed = None if item.get("speed") is None else _number(path, item, "speed")
        guests.append(Guest(_place(path, item), item.get("model", ""), speed, ""))
    others = [str(item.tag) for item in element if item.tag not in ("trigger_point", "other_actor", etree.Comment)]
    return Event(kind, _place(path, trigger), tuple(guests), tuple(dict.fromkeys(others)))


def _place(path: Path, element: etree._Element) -> Place:
    yaw = None if element.get("yaw") is None else _number(path, element, "yaw")
    return Place(_number(path, element, "x"), _number(path, element, "y"), _number(path, element, "z"), yaw)


def _number(path: Path, element: etree._Element, name: str) -> float:
    text = element.get(name)
    value = _finite(text)
    if value is None:
        what = "lacks" if text is None else f"has {name}='{text}', which is no number, as"
        raise RouteFileError(f"{path}:{element.sourceline}: <{element.tag}> {what} {name}; give metres or degrees")
    return value


def _finite(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


# ------------------------------------------------------------------------------------------------ events in JSON


def read_events(path: Path, town: str) -> list[Event]:
    """The event configurations of a town in a Leaderboard 1 scenario file. Raises RouteFileError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RouteFileError(f"{path}: cannot be read ({error.strerror}); give a scenario JSON") from error
    except ValueError as error:
        raise RouteFileError(f"{path}: is no JSON ({error}); mend it") from error
    try:
        lists = [towns[town] for towns in content["available_scenarios"] if town in towns]
        return [event for kinds in lists for kind in kinds for event in _configurations(path, kind)]
    except (KeyError, TypeError, AttributeError) as error:
        wanted = "available_scenarios -> town -> scenario_type, available_event_configurations"
        raise RouteFileError(f"{path}: lacks {error} where it is due; write {wanted}") from error


def _configurations(path: Path, kind: Mapping[str, object]) -> Iterator[Event]:
    name, configurations = str(kind["scenario_type"]), kind["available_event_configurations"]
    if not isinstance(configurations, list):
        raise TypeError("the list available_event_configurations")
    for item in configurations:
        guests = [
            Guest(_json_place(path, actor), str(actor.get("model", "")), _finite(actor.get("speed")), side)
            for side, actors in sorted((item.get("other_actors") or {}).items())
            for actor in actors
        ]
        yield Event(name, _json_place(path, item["transform"]), tuple(guests), ())


def _json_place(path: Path, item: Mapping[str, object]) -> Place:
    values = [_finite(item[name]) for name in ("x", "y", "z")]
    if None in values:
        raise RouteFileError(f"{path}: a place {dict(item)} has no numbers for x, y and z; mend it")
    x, y, z = (value or 0.0 for value in values)
    return Place(x, y, z, _finite(item.get("yaw")))
