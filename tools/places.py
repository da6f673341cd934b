"""Places for the road users of `random_scene.py`: along lanes and beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from carla_cp.types import FloatArray, Pose, StopLine

SPAWN_Z_M = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A way along the lanes, and the stop lines on it."""

    path: FloatArray  # (N, 2) about 1 m apart
    stops: tuple[StopLine, ...]

    def pose(self, s_m: float, right_m: float = 0.0) -> Pose:
        """The place at arc length s_m, moved to the right."""
        index = min(int(s_m), len(self.path) - 2)
        dx, dy = self.path[index + 1] - self.path[index]
        yaw = math.atan2(dy, dx)
        x, y = self.path[index] + (s_m - index) * np.array([dx, dy])
        return Pose(float(x) - right_m * math.sin(yaw), float(y) + right_m * math.cos(yaw), SPAWN_Z_M, 0.0, 0.0, yaw)


def beside(x: float, y: float, yaw: float, right_m: float, turn: float) -> Pose:
    """The place to the right of a place on a lane, turned against the lane's direction."""
    return Pose(
        float(x - right_m * math.sin(yaw)),
        float(y + right_m * math.cos(yaw)),
        SPAWN_Z_M,
        0.0,
        0.0,
        float(yaw + turn),
    )


def apart(first: Pose, second: Pose) -> float:
    """Their distance in the plane."""
    return math.hypot(first.x - second.x, first.y - second.y)
