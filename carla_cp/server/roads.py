"""What the server asks of the map: its level, spawn points, and the zones before lights and junctions."""

from __future__ import annotations

import math

import carla
import numpy as np
import numpy.typing as npt

from carla_cp.server.signs import read_signs
from carla_cp.server.wire import Transform
from carla_cp.server.zones import Zones

Floats = npt.NDArray[np.float64]

_SPAWN_STEP_M = 20.0
_SPAWN_Z_M = 0.5
_STEP_M = 2.0


class RoadField:
    """The zones before lights and junctions, at any place; they never reach into a junction."""

    def __init__(self, world_map: carla.Map) -> None:
        self._map = world_map
        waypoints = world_map.generate_waypoints(_STEP_M)
        if not waypoints:
            raise ValueError("the map has no driving lanes")
        places = np.array([_place(waypoint) for waypoint in waypoints])
        # The one height of all roads, none where they rise and fall.
        self.level = float(places[0, 2]) if np.ptp(places[:, 2]) < 0.02 else None
        self._zones = Zones(world_map)
        self.lights = self._zones.lights
        self.signs = read_signs(world_map)

    def zones(self, places: Floats) -> list[int]:
        """For (N, 5) x, y, yaw, speed and length: the index of the light that each stands before, FREE, or YIELD."""
        return self._zones.at(places)

    def spawn_points(self) -> list[Transform]:
        """A place about every 20 m on every driving lane outside junctions, a little above the road, tilted as it."""
        ways = [way for way in self._map.generate_waypoints(_SPAWN_STEP_M) if not way.is_junction]
        rows = [(*_place(way), (way.transform.rotation.pitch + 180.0) % 360.0 - 180.0) for way in ways]
        ordered = sorted({tuple(round(value, 3) for value in row) for row in rows})
        return [Transform(x, y, z + _SPAWN_Z_M, pitch, math.degrees(yaw), 0.0) for x, y, z, yaw, pitch in ordered]


def _place(waypoint: carla.Waypoint) -> tuple[float, float, float, float]:
    location = waypoint.transform.location
    return location.x, location.y, location.z, math.radians(waypoint.transform.rotation.yaw)
