"""A Leaderboard route as a scenario of ours, and in words what of it is lost."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from leaderboard_read import Event, Guest, LeaderboardRoute, Place
from lxml import etree

from carla_cp.driving.route import Route
from carla_cp.types import FloatArray, Pose
from carla_cp.world import Roads

TRIGGER_M, TRIGGER_RAD = 2.0, math.radians(10.0)  # from the route, beyond which Leaderboard 2 passes over an event
MIN_TIMEOUT_S, SLOW = 300.0, 0.1  # Leaderboard 2: so long, and what the route takes at a tenth of the speed
APART_M = 6.0  # a guest nearer to another one, or to the ego, is left out: event files repeat places
PATH_M = 60.0  # that a guest goes on
DRAWS = 12  # of the branches at a junction, of which it takes the way straight on
ABOVE_M = 0.3  # the road, at which bodies are spawned
EGO, CAR, WALKER = "vehicle.lincoln.mkz_2017", "vehicle.tesla.model3", "walker.pedestrian.0001"
LIDAR_Z_M = "1.9"
WEATHER = (
    *("cloudiness", "precipitation", "precipitation_deposits", "wetness", "wind_intensity"),
    *("sun_azimuth_angle", "sun_altitude_angle", "fog_density", "fog_distance", "fog_falloff"),
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a route file does not say."""

    roads: Roads
    map_file: Path
    folder: Path  # where the scenario will lie
    speed_mps: float  # of the ego, and of guests of whom only the place is known


@dataclass(frozen=True, slots=True)
class Imported:
    """A scenario's text, and what did not come along."""

    name: str
    text: str
    guests: int
    losses: tuple[str, ...]


def import_route(route: LeaderboardRoute, name: str, events: Sequence[Event], setting: Setting) -> Imported:
    """The scenario of one route, with the guests of its own events and of those among `events` that lie on it.

    Raises WorldError where the lanes lead no way through its places.
    """
    places = [route.places[0]]
    places += [place for place in route.places[1:] if (place.x, place.y) != (places[-1].x, places[-1].y)]
    line = setting.roads.trace([Pose(place.x, place.y, place.z) for place in places])
    way = Route(line)
    guests, losses = _guests(route.events, events, way, places[0])
    losses += _weather_losses(route)
    root = etree.Element("scenarios")
    scenario = etree.SubElement(root, "scenario", name=name, type="LeaderboardRoute", town=route.town or "unknown")
    yaw = places[0].yaw_deg
    start = _place(places[0], math.degrees(way.pose(0.0)[2]) if yaw is None else yaw)
    etree.SubElement(scenario, "ego_vehicle", rolename="hero", model=EGO, **start, speed=_text(setting.speed_mps))
    behaviors = etree.Element("behaviors")
    for rolename, guest in guests:
        losses += _add_guest(scenario, behaviors, rolename, guest, setting)
    if route.weathers:
        etree.SubElement(scenario, "weather", {key: text for key, text in route.weathers[0] if key in WEATHER})
    _add_way(scenario, places, way, setting.speed_mps)
    if len(behaviors):
        scenario.append(behaviors)
    map_name = Path(os.path.relpath(setting.map_file, setting.folder)).as_posix()
    v2x = etree.SubElement(scenario, "v2x", version="1", seed="1", map=map_name)
    etree.SubElement(etree.SubElement(v2x, "connected_vehicle", actor="hero"), "lidar", z=LIDAR_Z_M)
    return Imported(name, _document(root, route, losses), len(guests), tuple(losses))


def _document(root: etree._Element, route: LeaderboardRoute, losses: Sequence[str]) -> str:
    etree.indent(root, "  ")
    lost = "".join(f"\n     Not kept: {loss}." for loss in losses).replace("--", "- -")  # which no comment may hold
    comment = f"<!-- Route {route.id} of {route.town or 'no town'}, by tools/import_leaderboard.py.{lost} -->"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{comment}\n{etree.tostring(root, encoding="unicode")}\n'


def _add_way(scenario: etree._Element, places: Sequence[Place], way: Route, speed_mps: float) -> None:
    element = etree.SubElement(scenario, "route")
    for place in places:
        xyz = {"x": _text(place.x), "y": _text(place.y), "z": _text(place.z)}
        etree.SubElement(element, "waypoint", {**xyz, "connection": "RoadOption.LANEFOLLOW"})
    timeout_s = MIN_TIMEOUT_S + way.length / (SLOW * speed_mps)
    etree.SubElement(scenario, "timeout", value=str(round(timeout_s)))


def _text(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _place(place: Place, yaw_deg: float) -> dict[str, str]:
    """The attributes of an actor there."""
    turned = (yaw_deg + 180.0) % 360.0 - 180.0
    return {"x": _text(place.x), "y": _text(place.y), "z": _text(place.z + ABOVE_M), "yaw": _text(turned)}


# -------------------------------------------------------------------------------------------------------- guests


def _guests(
    own: Sequence[Event], others: Sequence[Event], way: Route, start: Place
) -> tuple[list[tuple[str, Guest]], list[str]]:
    """Those who come along, with their rolenames, and what does not."""
    kept: list[tuple[str, Guest]] = []
    losses = []
    away = sum(not _on_route(event, way) for event in others)
    if away:
        losses.append(f"{away} events of the JSON whose trigger is not on this route")
    for event in (*own, *(event for event in others if _on_route(event, way))):
        name = re.sub(r"[^A-Za-z0-9_.\-]", "_", event.kind)
        if event in own and not _on_route(event, way):
            losses.append(f"{name}: its trigger is more than {TRIGGER_M:g} m or 10 degrees off the route")
            continue
        if event.other_settings:
            losses.append(f"{name}: what ScenarioRunner's code makes of {', '.join(event.other_settings)}")
        if not event.guests:
            losses.append(f"{name}: its actors, which ScenarioRunner's code places at run time")
        for guest in event.guests:
            if any(_near(guest.place, other) for other in (start, *(item.place for _, item in kept))):
                losses.append(f"{name}: an actor at x={guest.place.x:.1f} y={guest.place.y:.1f}, where another stands")
            else:
                kept.append(("_".join(part for part in (name, guest.side, str(len(kept) + 1)) if part), guest))
    return kept, losses


def _near(one: Place, other: Place) -> bool:
    return math.hypot(one.x - other.x, one.y - other.y) < APART_M


def _on_route(event: Event, way: Route) -> bool:
    trigger = event.trigger
    s, beside = way.project(trigger.x, trigger.y)
    turn = 0.0 if trigger.yaw_deg is None else math.radians(trigger.yaw_deg) - way.pose(s)[2]
    return abs(beside) <= TRIGGER_M and abs(math.remainder(turn, 2.0 * math.pi)) <= TRIGGER_RAD


def _add_guest(
    scenario: etree._Element, behaviors: etree._Element, rolename: str, guest: Guest, setting: Setting
) -> list[str]:
    """Adds an actor, and where it has a speed, its way: a car's along its lane, a walker's straight on."""
    losses = []
    model = _model(guest.model)
    if guest.model and model != guest.model:
        losses.append(f"{rolename}: its model '{guest.model}', which is {model} here")
    speed = guest.speed_mps
    if speed is None and guest.side:
        speed = setting.speed_mps  # an event of Leaderboard 1 gives the places from which cars come
    attributes = {"rolename": rolename, "model": model, **_place(guest.place, guest.place.yaw_deg or 0.0)}
    path = _path(guest.place, model, setting.roads) if speed and not model.startswith("static.") else None
    if path is not None and speed:
        attributes["speed"] = _text(speed)
        behavior = etree.SubElement(behaviors, "behavior", actor=rolename)
        points = etree.SubElement(behavior, "path")
        for x, y in path:
            etree.SubElement(points, "point", x=_text(x), y=_text(y))
    elif speed:
        losses.append(f"{rolename}: its speed, as it is on no lane that goes on")
    etree.SubElement(scenario, "other_actor", attributes)
    return losses


def _model(written: str) -> str:
    if re.fullmatch(r"(vehicle|walker|static)\.[a-z0-9_.]+", written):
        return written
    return WALKER if written.startswith("walker") else CAR


def _path(place: Place, model: str, roads: Roads) -> FloatArray | None:
    """Points some metres apart; None where there is no way on."""
    if model.startswith("walker."):
        yaw = math.radians(place.yaw_deg or 0.0)
        return np.array([[place.x + s * math.cos(yaw), place.y + s * math.sin(yaw)] for s in (0.0, PATH_M / 3)])
    lanes = [roads.lane_path(place.x, place.y, PATH_M, np.random.default_rng(draw)) for draw in range(DRAWS)]
    straightest = max(lanes, key=lambda lane: float(np.hypot(*(lane[-1] - lane[0]))))
    return straightest[::4] if len(straightest) > 8 else None


# ------------------------------------------------------------------------------------------------------- weather


def _weather_losses(route: LeaderboardRoute) -> list[str]:
    losses = []
    if len(route.weathers) > 1:
        losses.append(f"the {len(route.weathers) - 1} weathers that come later on the route")
    for key, _ in route.weathers[0] if route.weathers else ():
        if key not in (*WEATHER, "route_percentage"):
            losses.append(f"the weather's {key}")
    return losses
