"""How fast a vehicle may go: by the signs it passes or, on a map without signs, by the road it is on."""

from __future__ import annotations

import math
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import carla
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Floats = npt.NDArray[np.float64]

DEFAULT_KMH = 50.0  # where the map says nothing
_SIGN_TYPE = "274"
_STEP_M = 2.0
_REACH_M = 1.7  # around a sign's place on a lane; wider than what a fast car covers in a step
_AHEAD = 0.7  # least cosine between a car's and a lane's heading
_KMH = {"km/h": 1.0, "mph": 1.609344, "m/s": 3.6}


class SpeedLimits:
    """A map's limits [km/h].

    As in CARLA a sign holds from where it stands until the next one that is passed, and its number means km/h. What
    holds before the first sign, and all of it on a map without signs, is the speed in the type of the road.
    """

    def __init__(self, world_map: carla.Map, opendrive: str) -> None:
        self._map = world_map
        self._roads = {
            int(road.attrib["id"]): _types(road) for road in ElementTree.fromstring(opendrive).findall("road")
        }
        rows = _signs(world_map)
        if not rows and len({limit for parts in self._roads.values() for _, limit in parts}) > 1:
            rows = [(*_place(point), self._of(point)) for point in world_map.generate_waypoints(_STEP_M)]
        self._rows = np.array(rows, np.float64).reshape(-1, 4)
        self._tree = cKDTree(self._rows[:, :2]) if len(self._rows) else None

    def at(self, x: float, y: float, z: float) -> float:
        """What holds for a vehicle that is put there."""
        waypoint = self._map.get_waypoint(carla.Location(x, y, z))
        return DEFAULT_KMH if waypoint is None else self._of(waypoint)

    def after(self, places: Floats, before: list[float]) -> list[float]:
        """For (N, 3) x, y, yaw of vehicles and what held for each until now: what holds from now on."""
        if self._tree is None or not len(places):
            return before
        found = self._tree.query(places[:, :2], k=min(4, len(self._rows)))
        distance, nearest = (np.reshape(part, (len(places), -1)) for part in found)
        good = (np.cos(self._rows[nearest, 2] - places[:, 2:3]) > _AHEAD) & (distance < _REACH_M)
        first = np.argmax(good, axis=1)
        rows = np.arange(len(places))
        return [float(v) for v in np.where(good[rows, first], self._rows[nearest[rows, first], 3], before)]

    def _of(self, waypoint: carla.Waypoint) -> float:
        limit = DEFAULT_KMH
        for start, value in self._roads.get(waypoint.road_id, []):
            if start <= waypoint.s:
                limit = value
        return limit


def _place(waypoint: carla.Waypoint) -> tuple[float, float, float]:
    location = waypoint.transform.location
    return location.x, location.y, math.radians(waypoint.transform.rotation.yaw)


def _types(road: Element) -> list[tuple[float, float]]:
    """Where each of a road's types begins, and its limit; unlimited and unreadable ones are DEFAULT_KMH."""
    parts = []
    for kind in road.findall("type"):
        speed = kind.find("speed")
        text = "" if speed is None else speed.get("max", "")
        unit = _KMH.get("m/s" if speed is None else speed.get("unit", "m/s"))
        try:
            value = float(text) * (unit or math.nan)
            start = float(kind.get("s", "0"))
        except ValueError:
            value, start = math.nan, 0.0
        parts.append((start, value if 0.0 < value < math.inf else DEFAULT_KMH))
    return sorted(parts)


def _signs(world_map: carla.Map) -> list[tuple[float, float, float, float]]:
    """x, y, heading and number of each sign on each of its lanes."""
    rows = []
    for mark in sorted(world_map.get_all_landmarks_of_type(_SIGN_TYPE), key=lambda mark: (mark.road_id, mark.s)):
        if not mark.value > 0.0:
            continue
        for low, high in mark.get_lane_validities():
            for lane in range(min(low, high), max(low, high) + 1):
                point = world_map.get_waypoint_xodr(mark.road_id, lane, mark.s) if lane else None
                if point is not None and point.lane_type == carla.LaneType.Driving:
                    rows.append((*_place(point), float(mark.value)))
    return rows
