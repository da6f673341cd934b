"""What wheels and feet stand on: the mesh of roads, sidewalks and terrain, felt by rays from above."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from carla_cp.server.mesh import Mesh, Tag
from carla_cp.server.physics import Body

_UNDERFOOT = (Tag.ROAD, Tag.SIDEWALK, Tag.TERRAIN)
_HEADROOM_M, _DEPTH_M = 1.0, 12.0  # above and below a body, between which its own ground lies; a bridge lies higher
_FAR_M = 500.0
_SMALL_M = 1.2  # a body shorter than this stands upright
_ALONG, _ACROSS = 0.3, 0.4  # where the wheels are, in parts of a body's length and width


class Ground:
    """The surface of a map. On a level one, everything stands at that level."""

    def __init__(self, mesh: Mesh, level: float | None) -> None:
        self._level = level
        self._scene: EmbreeScene | None = None
        if level is None:
            self._scene = EmbreeScene(robust=True)
            TriangleMesh(self._scene, mesh.vertices, mesh.triangles[np.isin(mesh.labels, _UNDERFOOT)])

    def stand(self, body: Body) -> None:
        """Puts a body on the ground under it: its height, and for one with wheels its pitch and roll.

        Of several levels it takes the highest that is less than a metre above it; where there is no ground, it stays.
        """
        if self._level is not None:
            body.z, body.pitch, body.roll, body.vz = self._level, 0.0, 0.0, 0.0
            return
        along, across = (_ALONG * body.length, _ACROSS * body.width) if body.length > _SMALL_M else (0.0, 0.0)
        cos, sin = math.cos(body.yaw), math.sin(body.yaw)
        wheels = [(ahead, right) for ahead in (along, -along) for right in (-across, across)] if along else [(0.0, 0.0)]
        places = np.array([(body.x + a * cos - r * sin, body.y + a * sin + r * cos) for a, r in wheels])
        heights = self.heights(places, body.z)
        if np.isnan(heights).any():
            return
        body.z = float(heights.mean())
        if along:
            front_left, front_right, rear_left, rear_right = heights.tolist()
            body.pitch = math.atan2(front_left + front_right - rear_left - rear_right, 4.0 * along)
            body.roll = math.atan2(front_left + rear_left - front_right - rear_right, 4.0 * across)
        ahead, right = body.vx * cos + body.vy * sin, body.vy * cos - body.vx * sin
        body.vz = ahead * math.tan(body.pitch) - right * math.tan(body.roll)

    def heights(self, places: npt.NDArray[np.float64], about: float) -> npt.NDArray[np.float64]:
        """The ground's height at (N, 2) x, y near a height: (N,), NaN where there is none."""
        if self._level is not None:
            return np.full(len(places), self._level)
        found = self._below(places, about + _HEADROOM_M, _HEADROOM_M + _DEPTH_M)
        if np.isnan(found).any():
            found = self._below(places, about + _FAR_M, 2.0 * _FAR_M)
        return found

    def _below(self, places: npt.NDArray[np.float64], top: float, reach: float) -> npt.NDArray[np.float64]:
        if self._scene is None:
            raise RuntimeError("a level ground casts no rays")
        origins = np.column_stack([places, np.full(len(places), top)]).astype(np.float32)
        down = np.tile(np.array([[0.0, 0.0, -1.0]], np.float32), (len(places), 1))
        far = np.asarray(
            self._scene.run(origins, down, dists=np.full(len(places), reach, np.float32), query="DISTANCE"), np.float64
        )
        return np.where(far < reach, origins[:, 2] - far, np.nan)
