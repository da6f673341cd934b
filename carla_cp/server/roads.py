"""What the server asks of the map: heights, spawn points, and where a vehicle stands before a light."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import carla
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from carla_cp.server.wire import Box, Transform

Floats = npt.NDArray[np.float64]

_SPAWN_STEP_M = 20.0
_SPAWN_Z_M = 0.5
_STEP_M = 2.0
_ZONE_M = 20.0  # of a light, before its stop line
_YIELD_ZONE_M = 15.0  # before a junction without lights
_LIGHT_TYPE = "1000001"
FREE, YIELD = -1, -2  # rows of `zones`; from 0 on the index of a light


@dataclass(frozen=True, slots=True)
class LightPlace:
    """A traffic light of the map."""

    signal_id: str
    junction: int  # OpenDRIVE's id, -1 when its road leads into none
    pose: Transform  # heading as the lanes it governs
    box: Box  # trigger volume at the stop line, in the light's frame


class RoadField:
    """The road's height, and the zones before lights and junctions, at any place. Zones never reach into a junction."""

    def __init__(self, world_map: carla.Map) -> None:
        self._map = world_map
        waypoints = world_map.generate_waypoints(_STEP_M)
        if not waypoints:
            raise ValueError("the map has no driving lanes")
        places = np.array([_place(waypoint) for waypoint in waypoints])
        self._level = float(places[0, 2]) if np.ptp(places[:, 2]) < 0.02 else None
        self._heights = places[:, 2]
        self._tree = cKDTree(places[:, :2])
        self.lights, zones = _lights(world_map)
        zones += _yields(world_map)
        self._zones = np.array(zones, np.float64).reshape(-1, 4)
        self._zone_tree = cKDTree(self._zones[:, :2]) if len(self._zones) else None

    def height(self, x: float, y: float) -> float:
        """The height of the road nearest to a place."""
        if self._level is not None:
            return self._level
        return float(self._heights[self._tree.query((x, y))[1]])

    def zones(self, places: Floats) -> list[int]:
        """For (N, 3) x, y, yaw: the index of the light whose zone each stands in, FREE, or YIELD."""
        if self._zone_tree is None or not len(places):
            return [FREE] * len(places)
        found = self._zone_tree.query(places[:, :2], k=min(4, len(self._zones)))
        distance, nearest = (np.reshape(part, (len(places), -1)) for part in found)
        aligned = np.cos(self._zones[nearest, 2] - places[:, 2:3]) > 0.7
        good = aligned & (distance < 1.7)
        first = np.argmax(good, axis=1)
        rows = np.arange(len(places))
        return [int(z) for z in np.where(good[rows, first], self._zones[nearest[rows, first], 3], FREE)]

    def spawn_points(self) -> list[Transform]:
        """A place about every 20 m on every driving lane outside junctions, a little above the road."""
        rows = [
            _place(waypoint) for waypoint in self._map.generate_waypoints(_SPAWN_STEP_M) if not waypoint.is_junction
        ]
        ordered = sorted({tuple(round(value, 3) for value in row) for row in rows})
        return [Transform(x, y, z + _SPAWN_Z_M, 0.0, math.degrees(yaw), 0.0) for x, y, z, yaw in ordered]


def _place(waypoint: carla.Waypoint) -> tuple[float, float, float, float]:
    location = waypoint.transform.location
    return location.x, location.y, location.z, math.radians(waypoint.transform.rotation.yaw)


def _lights(world_map: carla.Map) -> tuple[list[LightPlace], list[tuple[float, ...]]]:
    """The lights in the order of their ids, and the samples of their zones: x, y, yaw, index."""
    marks = {mark.id: mark for mark in reversed(world_map.get_all_landmarks_of_type(_LIGHT_TYPE))}
    places: list[LightPlace] = []
    samples: list[tuple[float, ...]] = []
    for signal_id in sorted(marks):
        stops = _stops(world_map, marks[signal_id])
        if not stops:
            continue
        for stop in stops:
            samples += [(*_pick(point), float(len(places))) for point in _before(stop, _ZONE_M)]
        places.append(_light(signal_id, marks[signal_id], stops))
    return places, samples


def _pick(waypoint: carla.Waypoint) -> tuple[float, float, float]:
    x, y, _, yaw = _place(waypoint)
    return x, y, yaw


def _stops(world_map: carla.Map, mark: carla.Landmark) -> list[carla.Waypoint]:
    """Where each lane that a light governs meets its stop line."""
    lanes = sorted(
        {lane for low, high in mark.get_lane_validities() for lane in range(min(low, high), max(low, high) + 1)}
    )
    forward = mark.orientation == carla.LandmarkOrientation.Positive
    found = []
    for lane in lanes:
        if lane == 0 or (lane < 0) != forward:
            continue
        waypoint = world_map.get_waypoint_xodr(mark.road_id, lane, mark.s)
        if waypoint is not None and waypoint.lane_type == carla.LaneType.Driving:
            found.append(waypoint)
    return found


def _before(stop: carla.Waypoint, reach: float) -> list[carla.Waypoint]:
    """Waypoints on the way to a place, every metre, as far as no junction lies between."""
    result = [] if stop.is_junction else [stop]
    for metre in range(1, int(reach) + 1):
        behind = [point for point in stop.previous(float(metre)) if not point.is_junction]
        if not behind:
            break
        result += behind
    return result


def _light(signal_id: str, mark: carla.Landmark, stops: Sequence[carla.Waypoint]) -> LightPlace:
    yaw = math.radians(stops[0].transform.rotation.yaw)
    place = mark.transform.location
    corners = np.array([_place(stop)[:2] for stop in stops]) - (place.x, place.y)
    along = corners @ (math.cos(yaw), math.sin(yaw))
    across = corners @ (-math.sin(yaw), math.cos(yaw))
    half = (across.max() - across.min()) / 2 + stops[0].lane_width / 2
    box = Box((float(along.mean()), float((across.max() + across.min()) / 2), 1.0), (1.5, float(half), 1.5))
    ahead = stops[0].next(5.0)
    junction = int(ahead[0].get_junction().id) if ahead and ahead[0].is_junction else -1
    return LightPlace(
        signal_id,
        junction,
        Transform(place.x, place.y, stops[0].transform.location.z, yaw=math.degrees(yaw) % 360.0),
        box,
    )


def _yields(world_map: carla.Map) -> list[tuple[float, ...]]:
    """Samples of the last metres before junctions that have no lights."""
    lit = {mark.road_id for mark in world_map.get_all_landmarks_of_type(_LIGHT_TYPE)}
    samples: list[tuple[float, ...]] = []
    for start, end in world_map.get_topology():
        if end.is_junction and not start.is_junction and start.road_id not in lit:
            ends = start.next_until_lane_end(1.0)
            last = ends[-1] if ends else start
            samples += [(*_pick(point), float(YIELD)) for point in _before(last, _YIELD_ZONE_M)]
    return samples
