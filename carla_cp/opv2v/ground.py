"""How high a sensor hangs, for data sets that do not say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from carla_cp.geometry import matrix_from_pose, transform_points
from carla_cp.types import PointArray, Pose

NEAR_M = 30.0  # the road further off may lie higher or lower than the sensor's foot
LOWEST_M, HIGHEST_M = 1.0, 15.0  # sensors on cars and on poles
BAND_M = 0.2
ENOUGH = 50  # returns


def height_over_ground(points: PointArray, world_from_lidar: Pose) -> float | None:
    """How far below the sensor its points (N, 4) show the road, in metres: the band of height with the most returns.

    Levelled by the pose's roll and pitch. None where too few points tell.
    """
    level = matrix_from_pose(replace(world_from_lidar, x=0.0, y=0.0, z=0.0, yaw=0.0))
    local = transform_points(level, points[:, :3].astype(np.float64))
    below = -local[np.hypot(local[:, 0], local[:, 1]) < NEAR_M, 2]
    below = below[(below > LOWEST_M) & (below < HIGHEST_M)]
    if len(below) < ENOUGH:
        return None
    counts = np.bincount(((below - LOWEST_M) / BAND_M).astype(np.int64))
    middle = LOWEST_M + (int(np.argmax(counts)) + 0.5) * BAND_M
    return float(np.median(below[np.abs(below - middle) < BAND_M]))
