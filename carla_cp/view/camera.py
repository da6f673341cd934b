"""From the world to the screen: seen from above, the ego's heading up, so that its right is on the right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from carla_cp.types import FloatArray, Pose

MIN_SCALE, MAX_SCALE = 2.0, 40.0  # pixels per metre


@dataclass(frozen=True, slots=True)
class Camera:
    """A view of the world frame around one pose."""

    pose: Pose
    scale: float  # pixels per metre
    anchor: tuple[float, float]  # where the pose is on the screen [px]

    def to_screen(self, points: FloatArray) -> FloatArray:
        """World x, y (N, 2) in metres as screen x, y (N, 2) in pixels, y down."""
        turn, shift = self.affine()
        return np.asarray(points @ turn.T + shift)

    def affine(self) -> tuple[FloatArray, FloatArray]:
        """The 2 x 2 matrix and the offset (2,) with which `to_screen` maps."""
        cos, sin = math.cos(self.pose.yaw), math.sin(self.pose.yaw)
        turn = self.scale * np.array([[-sin, cos], [-cos, -sin]])
        return turn, np.array(self.anchor) - turn @ (self.pose.x, self.pose.y)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """One world point on the screen."""
        ((column, row),) = self.to_screen(np.array([[x, y]])).tolist()
        return column, row


def zoomed(scale: float, steps: float) -> float:
    """The scale after turning the wheel by `steps`, within its limits."""
    return float(min(MAX_SCALE, max(MIN_SCALE, scale * 1.15**steps)))
