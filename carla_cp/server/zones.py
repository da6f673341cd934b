"""Where a vehicle stands before a traffic light or before a junction that has none, read from the map alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import carla
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from carla_cp.server.wire import Box, Transform

Floats = npt.NDArray[np.float64]

_LIGHT_ZONE_M = 30.0  # before a light's stop line, at most
_LIGHT_GAP_M = 4.0  # that a vehicle leaves before the stop line
_LIGHT_BRAKE_MPS2 = 4.5  # with which a vehicle can stop for a light that it has just met
_YIELD_ZONE_M = 15.0  # before a junction without lights
_LIGHT_TYPE = "1000001"
_BESIDE_M = 1.7  # how far from a lane's middle a vehicle is on it
_ALONG = 0.7  # the cosine of the angle to the lane up to which it goes the lane's way
FREE, YIELD = -1, -2  # zones; from 0 on the index of a light


@dataclass(frozen=True, slots=True)
class LightPlace:
    """A traffic light, or another sign, of the map."""

    signal_id: str
    junction: int  # OpenDRIVE's id, -1 when its road leads into none
    pose: Transform  # heading as the lanes it governs
    box: Box  # trigger volume at the stop line, in the light's frame


class Zones:
    """The stretches of lane before lights and unlit junctions. No zone reaches into a junction.

    A light's zone is as long as a vehicle needs to stop: CARLA's TrafficManager stops at once wherever it meets a red
    light, so a zone of one length would hold slow cars far from the line or let fast ones slip over it.
    """

    def __init__(self, world_map: carla.Map) -> None:
        self.lights: list[LightPlace] = []
        samples: list[tuple[float, ...]] = []
        lit: set[tuple[int, int]] = set()
        for signal_id, marks in _marks(world_map, _LIGHT_TYPE):
            stops = _stops(world_map, marks)
            if not stops:
                continue
            for stop in stops:
                zone = _before(stop, _LIGHT_ZONE_M)
                samples += [_sample(point, len(self.lights), away) for point, away in zone]
                lit.update((point.road_id, point.lane_id) for point, _ in zone[:2])
            self.lights.append(_light(signal_id, marks[0], stops))
        for end in _approaches(world_map):
            if (end.road_id, end.lane_id) not in lit:
                samples += [_sample(point, YIELD, -math.inf) for point, _ in _before(end, _YIELD_ZONE_M)]
        self._samples = np.array(samples, np.float64).reshape(-1, 5)
        self._tree = cKDTree(self._samples[:, :2]) if samples else None

    def at(self, places: Floats) -> list[int]:
        """For (N, 5) x, y, yaw, speed and length: the index of the light that each stands before, FREE, or YIELD."""
        if self._tree is None or not len(places):
            return [FREE] * len(places)
        found = self._tree.query(places[:, :2], k=min(4, len(self._samples)), distance_upper_bound=_BESIDE_M)
        distance, nearest = (np.reshape(part, (len(places), -1)) for part in found)
        near = distance < _BESIDE_M
        samples = self._samples[np.where(near, nearest, 0)]
        stopping = places[:, 3] ** 2 / (2.0 * _LIGHT_BRAKE_MPS2) + _LIGHT_GAP_M + places[:, 4] / 2
        good = near & (np.cos(samples[..., 2] - places[:, 2:3]) > _ALONG) & (samples[..., 4] <= stopping[:, None])
        zones = np.where(good.any(axis=1), samples[np.arange(len(places)), np.argmax(good, axis=1), 3], FREE)
        return [int(zone) for zone in zones]


def sign_places(world_map: carla.Map, kind: str) -> list[tuple[LightPlace, float]]:
    """Where each sign of one OpenDRIVE type stands and is in force, in the order of their ids, and its value."""
    found = []
    for signal_id, marks in _marks(world_map, kind):
        stops = _stops(world_map, marks)
        if stops:
            found.append((_light(signal_id, marks[0], stops), float(marks[0].value)))
    return found


def _marks(world_map: carla.Map, kind: str) -> list[tuple[str, list[carla.Landmark]]]:
    """Every signal's id with all the places where it is in force: its own, and those that refer to it."""
    marks: dict[str, list[carla.Landmark]] = defaultdict(list)
    for mark in world_map.get_all_landmarks_of_type(kind):
        marks[mark.id].append(mark)
    for places in marks.values():
        places.sort(key=lambda mark: (mark.road_id, mark.s))
    return sorted(marks.items())


def _stops(world_map: carla.Map, marks: Sequence[carla.Landmark]) -> list[carla.Waypoint]:
    """Where each lane that a light governs meets its stop line; the junction's edge if the line is inside."""
    found: dict[tuple[int, int], carla.Waypoint] = {}
    for mark in marks:
        for lane in _governed(mark):
            waypoint = world_map.get_waypoint_xodr(mark.road_id, lane, mark.s)
            if waypoint is None or waypoint.lane_type != carla.LaneType.Driving:
                continue
            stop = _out_of_junction(waypoint) if waypoint.is_junction else waypoint
            if stop is not None:
                found.setdefault((stop.road_id, stop.lane_id), stop)
    return [found[key] for key in sorted(found)]


def _governed(mark: carla.Landmark) -> list[int]:
    """The lanes that a sign's validity names. Where it names both directions, its orientation tells which."""
    lanes = {lane for low, high in mark.get_lane_validities() for lane in range(min(low, high), max(low, high) + 1)}
    lanes.discard(0)
    if min(lanes, default=0) < 0 < max(lanes, default=0):
        with_road = mark.orientation == carla.LandmarkOrientation.Positive
        lanes = {lane for lane in lanes if (lane < 0) == with_road}
    return sorted(lanes)


def _out_of_junction(waypoint: carla.Waypoint) -> carla.Waypoint | None:
    """The last place before the junction on the way to a place inside; none if no such way is short."""
    for step in range(1, 2 * int(_LIGHT_ZONE_M)):
        outside = [point for point in waypoint.previous(0.5 * step) if not point.is_junction]
        if outside:
            return outside[0]
    return None


def _approaches(world_map: carla.Map) -> list[carla.Waypoint]:
    """The last place of every lane that leads into a junction."""
    found: dict[tuple[int, int], carla.Waypoint] = {}
    for start, end in world_map.get_topology():
        if end.is_junction and not start.is_junction and (start.road_id, start.lane_id) not in found:
            ends = start.next_until_lane_end(1.0)
            found[start.road_id, start.lane_id] = ends[-1] if ends else start
    return [found[key] for key in sorted(found)]


def _before(stop: carla.Waypoint, reach: float) -> list[tuple[carla.Waypoint, float]]:
    """Waypoints on the way to a place and how far from it, every metre, as far as no junction lies between."""
    result = [] if stop.is_junction else [(stop, 0.0)]
    for metre in range(1, int(reach) + 1):
        behind = [(point, float(metre)) for point in stop.previous(float(metre)) if not point.is_junction]
        if not behind:
            break
        result += behind
    return result


def _sample(waypoint: carla.Waypoint, zone: int, away: float) -> tuple[float, ...]:
    pose = waypoint.transform
    return pose.location.x, pose.location.y, math.radians(pose.rotation.yaw), float(zone), away


def _light(signal_id: str, mark: carla.Landmark, stops: Sequence[carla.Waypoint]) -> LightPlace:
    yaw = math.radians(stops[0].transform.rotation.yaw)
    place = mark.transform.location
    corners = np.array([_sample(stop, FREE, 0.0)[:2] for stop in stops]) - (place.x, place.y)
    along = corners @ (math.cos(yaw), math.sin(yaw))
    across = corners @ (-math.sin(yaw), math.cos(yaw))
    half = (across.max() - across.min()) / 2 + stops[0].lane_width / 2
    box = Box((float(along.mean()), float((across.max() + across.min()) / 2), 1.0), (1.5, float(half), 1.5))
    pose = Transform(place.x, place.y, stops[0].transform.location.z, yaw=math.degrees(yaw) % 360.0)
    return LightPlace(signal_id, _junction_ahead(stops[0]), pose, box)


def _junction_ahead(stop: carla.Waypoint) -> int:
    """OpenDRIVE's id of the junction within 5 m of a stop line, or -1."""
    inside = [point for metre in range(1, 6) for point in stop.next(float(metre)) if point.is_junction]
    return int(inside[0].get_junction().id) if inside else -1
