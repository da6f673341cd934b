"""Boxes that move in the plane: when two touch, how far they are apart, and whether they overlap.

All of it is exact for rectangles, on their separating axes, for many pairs at a time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from carla_cp.geometry import bev_corners
from carla_cp.types import FloatArray, VehicleState


def box_of(body: VehicleState) -> FloatArray:
    """A body's box in the world frame, as a row (7,) of a box array."""
    pose = body.pose
    return np.array([pose.x, pose.y, pose.z + body.height / 2, body.length, body.width, body.height, pose.yaw])


def time_to_collision(first: FloatArray, second: FloatArray, velocity: FloatArray) -> FloatArray:
    """Seconds until paired boxes (P, 7) touch in the plane, inf if never: (P,).

    `velocity` (P, 2) [m/s] is the second's relative to the first's; headings stay. Overlapping boxes give 0.
    """
    offset, closing, reach = _projections(first, second, velocity)
    moving = np.abs(closing) > 1e-12
    speed = np.where(moving, np.abs(closing), 1.0)
    side = np.where(closing < 0, offset, -offset)
    apart = np.where(np.abs(offset) < reach, -np.inf, np.inf)
    enter = np.where(moving, (side - reach) / speed, apart).max(axis=1)
    leave = np.where(moving, (side + reach) / speed, np.inf).min(axis=1)
    return np.asarray(np.where((enter < leave) & (leave > 0), np.maximum(enter, 0.0), np.inf))


def overlapping(first: FloatArray, second: FloatArray) -> npt.NDArray[np.bool_]:
    """Whether paired boxes (P, 7) share a part of the plane: (P,)."""
    offset, _, reach = _projections(first, second, np.zeros((len(first), 2)))
    return np.asarray((np.abs(offset) < reach).all(axis=1))


def box_distance(first: FloatArray, second: FloatArray) -> FloatArray:
    """Distance in the plane [m] between paired boxes (P, 7), 0 where they overlap: (P,)."""
    shift = first[:, None, :2]  # small coordinates keep precision
    one, two = bev_corners(first) - shift, bev_corners(second) - shift
    distance = np.minimum(_corners_to_edges(one, two), _corners_to_edges(two, one))
    return np.asarray(np.where(overlapping(first, second), 0.0, distance))


def half_extent(boxes: FloatArray, yaw: FloatArray) -> FloatArray:
    """Half of what boxes (P, 7) measure along directions `yaw` (P, A) [rad] of the plane: (P, A) [m]."""
    angle = yaw - boxes[:, 6:7]
    return np.asarray((np.abs(np.cos(angle)) * boxes[:, 3:4] + np.abs(np.sin(angle)) * boxes[:, 4:5]) / 2)


def _projections(
    first: FloatArray, second: FloatArray, velocity: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Along each of the four separating axes of paired boxes: offset, relative velocity, summed half-extents (P, 4)."""
    yaw = np.stack([first[:, 6], first[:, 6] + np.pi / 2, second[:, 6], second[:, 6] + np.pi / 2], axis=1)
    axes = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    offset = np.einsum("pak,pk->pa", axes, second[:, :2] - first[:, :2])
    closing = np.einsum("pak,pk->pa", axes, velocity)
    reach = half_extent(first, yaw) + half_extent(second, yaw)
    return offset, closing, reach


def _corners_to_edges(corners: FloatArray, polygon: FloatArray) -> FloatArray:
    """Least distance from any of the corners (P, 4, 2) to any edge of the paired polygon (P, 4, 2): (P,)."""
    edge = np.roll(polygon, -1, axis=1) - polygon
    offset = corners[:, :, None] - polygon[:, None]
    along = (offset * edge[:, None]).sum(-1) / np.maximum((edge**2).sum(-1), 1e-12)[:, None]
    nearest = offset - np.clip(along, 0.0, 1.0)[..., None] * edge[:, None]
    return np.asarray(np.sqrt((nearest**2).sum(-1)).min(axis=(1, 2)))
