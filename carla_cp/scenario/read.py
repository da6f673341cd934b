"""A scenario file as a Scenario: XML in degrees, values in radians."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

from lxml import etree

from carla_cp.scenario.channel import channel_from
from carla_cp.scenario.compute import compute_from
from carla_cp.scenario.consistency import check_consistency
from carla_cp.scenario.errors import ScenarioError
from carla_cp.scenario.localization import localization_from
from carla_cp.scenario.schema import read_tree
from carla_cp.scenario.values import number, whole
from carla_cp.types import (
    ActorSpec,
    Arrival,
    ConnectedVehicleSpec,
    Draw,
    HazardSpec,
    LidarSpec,
    LightState,
    Pose,
    RsuSpec,
    Scenario,
    SignalSpec,
    TriggerSpec,
)

_ACROSS = ("RoadOption.CHANGELANELEFT", "RoadOption.CHANGELANERIGHT", "RoadOption.VOID")


def load_scenario(path: Path) -> Scenario:
    """The scenario of an XML file, checked: nominal values, and the half-widths of the seeds' draws.

    Raises ScenarioError, one line with file, line, value and mend.
    """
    root = read_tree(path)
    element = _only(root, "scenario")
    check_consistency(element, path)
    v2x = _only(element, "v2x")
    behaviors = {str(item.get("actor")): item for item in element.iterfind("behaviors/behavior")}
    ego = _actor(_only(element, "ego_vehicle"), behaviors)
    connected = [_connected(item) for item in v2x.iterfind("connected_vehicle")]
    return Scenario(
        name=str(element.get("name")),
        type=str(element.get("type")),
        source=path,
        map_file=(path.parent / str(v2x.get("map"))),
        ego=ego,
        actors=tuple(_actor(item, behaviors) for item in element.iterfind("other_actor")),
        route=_route(element),
        timeout_s=number(_only(element, "timeout"), "value"),
        connected=tuple(sorted(connected, key=lambda item: item.rolename != ego.rolename)),
        rsus=tuple(_rsu(item) for item in v2x.iterfind("rsu")),
        signals=tuple(_signal(item) for item in v2x.iterfind("signal")),
        hazards=tuple(_hazard(item) for item in element.iterfind("hazards/hazard")),
        channel=channel_from(_or_empty(v2x, "channel"), path.parent),
        localization=localization_from(_or_empty(v2x, "localization")),
        compute=compute_from(_or_empty(v2x, "compute")),
        seed=int(str(v2x.get("seed"))),
        crossovers=_crossovers(element),
    )


def _only(parent: etree._Element, tag: str) -> etree._Element:
    child = parent.find(tag)
    if child is None:
        raise ScenarioError(f"<{parent.tag}> in line {parent.sourceline} lacks <{tag}>; add it")
    return child


def _or_empty(parent: etree._Element, tag: str) -> etree._Element:
    child = parent.find(tag)
    return etree.Element(tag) if child is None else child


def _flag(element: etree._Element, name: str) -> bool:
    """True unless the attribute says otherwise."""
    return str(element.get(name, "true")).strip() in ("true", "1")


def _pose(element: etree._Element) -> Pose:
    return Pose(
        x=number(element, "x"),
        y=number(element, "y"),
        z=number(element, "z"),
        roll=math.radians(number(element, "roll")),
        pitch=math.radians(number(element, "pitch")),
        yaw=math.radians(number(element, "yaw")),
    )


def _actor(element: etree._Element, behaviors: dict[str, etree._Element]) -> ActorSpec:
    rolename = str(element.get("rolename"))
    spec = ActorSpec(rolename, str(element.get("model")), _pose(element), number(element, "speed"))
    behavior = behaviors.get(rolename)
    if behavior is None:
        return spec
    arrival, draw = behavior.find("arrival"), behavior.find("draw")
    return replace(
        spec,
        path=tuple((number(item, "x"), number(item, "y")) for item in behavior.iterfind("path/point")),
        obeys_lights=_flag(behavior, "obeys_lights"),
        yields=_flag(behavior, "yields"),
        arrival=None if arrival is None else _arrival(arrival),
        draw=Draw() if draw is None else _draw(draw),
    )


def _arrival(element: etree._Element) -> Arrival:
    waits = element.get("waits") in ("true", "1")
    return Arrival(number(element, "x"), number(element, "y"), number(element, "offset_s"), waits)


def _draw(element: etree._Element) -> Draw:
    return Draw(
        speed_fraction=number(element, "speed_fraction"),
        offset_s=number(element, "offset_s"),
        along_m=number(element, "along_m"),
        across_m=number(element, "across_m"),
    )


def _route(element: etree._Element) -> tuple[Pose, ...]:
    """Each waypoint heads for the next one, the last as the one before it."""
    points = [_pose(item) for item in element.iterfind("route/waypoint")]
    yaws = [math.atan2(b.y - a.y, b.x - a.x) for a, b in itertools.pairwise(points)]
    return tuple(replace(point, yaw=yaw) for point, yaw in zip(points, [*yaws, yaws[-1]], strict=True))


def _crossovers(element: etree._Element) -> frozenset[int]:
    """The waypoints whose connection is not along the lanes."""
    points = enumerate(element.iterfind("route/waypoint"))
    return frozenset(index for index, point in points if str(point.get("connection")) in _ACROSS)


def _lidar(element: etree._Element) -> LidarSpec:
    default = LidarSpec(_pose(element))
    return replace(
        default,
        channels=whole(element, "channels", default.channels),
        range_m=number(element, "range", default.range_m),
        points_per_second=whole(element, "points_per_second", default.points_per_second),
        rotation_frequency_hz=number(element, "rotation_frequency", default.rotation_frequency_hz),
        upper_fov_deg=number(element, "upper_fov", default.upper_fov_deg),
        lower_fov_deg=number(element, "lower_fov", default.lower_fov_deg),
        horizontal_fov_deg=number(element, "horizontal_fov", default.horizontal_fov_deg),
        atmosphere_attenuation_rate=number(element, "atmosphere_attenuation_rate", default.atmosphere_attenuation_rate),
        dropoff_general_rate=number(element, "dropoff_general_rate", default.dropoff_general_rate),
        dropoff_intensity_limit=number(element, "dropoff_intensity_limit", default.dropoff_intensity_limit),
        dropoff_zero_intensity=number(element, "dropoff_zero_intensity", default.dropoff_zero_intensity),
        noise_stddev_m=number(element, "noise_stddev", default.noise_stddev_m),
    )


def _connected(element: etree._Element) -> ConnectedVehicleSpec:
    return ConnectedVehicleSpec(str(element.get("actor")), _lidar(_only(element, "lidar")))


def _rsu(element: etree._Element) -> RsuSpec:
    return RsuSpec(str(element.get("id")), _pose(element), _lidar(_only(element, "lidar")))


def _signal(element: etree._Element) -> SignalSpec:
    return SignalSpec(str(element.get("id")), LightState[str(element.get("state")).upper()])


def _hazard(element: etree._Element) -> HazardSpec:
    triggers = tuple(
        TriggerSpec(str(item.get("condition")), number(item, "x"), number(item, "y"), number(item, "value"))
        for item in element.iterfind("trigger")
    )
    seen_by = tuple(element.get("seen_by", "").split())
    return HazardSpec(str(element.get("actor")), str(element.get("type")), triggers, seen_by)
