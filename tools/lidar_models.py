"""LiDARs that differ from agent to agent, as in a street where not everybody drives the same car."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np

from carla_cp.types import LidarSpec

SIZES = ((32, 1024), (32, 2048), (64, 1024), (64, 2048), (128, 1024))  # channels, columns of one revolution
STEPS_PER_S = 20  # one revolution in each world step
MEAN_RAYS = sum(channels * columns for channels, columns in SIZES) // len(SIZES)


def mixed_lidar(usual: LidarSpec, seed: int, agent: str) -> LidarSpec:
    """A LiDAR drawn for one agent of a scene, mounted where the `usual` one is.

    Drawn are channels and columns, the vertical field of view around the usual one, range, noise, drop-off, and the
    phase of the revolution: less than half a column, which turns the sensor, so that its pose tells.
    """
    draw = np.random.default_rng([seed, zlib.crc32(b"lidar model"), zlib.crc32(agent.encode())])
    channels, columns = SIZES[int(draw.integers(len(SIZES)))]
    return replace(
        usual,
        mount=replace(usual.mount, yaw=float(draw.uniform(-0.5, 0.5) * 2.0 * np.pi / columns)),
        channels=channels,
        points_per_second=channels * columns * STEPS_PER_S,
        upper_fov_deg=round(usual.upper_fov_deg + draw.uniform(0.0, 13.0), 2),
        lower_fov_deg=round(usual.lower_fov_deg + draw.uniform(-5.0, 9.0), 2),
        range_m=round(float(draw.uniform(80.0, 150.0)), 1),
        noise_stddev_m=round(float(draw.uniform(0.005, 0.05)), 4),
        dropoff_general_rate=round(float(draw.uniform(0.0, 0.3)), 3),
        dropoff_intensity_limit=round(float(draw.uniform(0.6, 0.8)), 3),
        dropoff_zero_intensity=round(float(draw.uniform(0.1, 0.4)), 3),
    )
