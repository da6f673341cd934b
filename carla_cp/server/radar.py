"""CARLA's radar (Radar.cpp of CARLA 0.9): rays at random in an elliptic cone, and how fast what they meet comes closer.

Kept: the number of rays, their distribution, the four numbers of a detection. Changed: random draws are keyed by
(seed, frame) instead of by the order of calls.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carla_cp.server.lidar import placed
from carla_cp.server.raycast import RayCaster
from carla_cp.server.wire import ZERO, Vector


@dataclass(frozen=True, slots=True)
class RadarSettings:
    """The attributes of CARLA's radar, with CARLA's names, units and defaults."""

    horizontal_fov: float = 30.0  # [deg]
    vertical_fov: float = 30.0
    range: float = 100.0  # [m]
    points_per_second: int = 1500

    def __post_init__(self) -> None:
        angles = 0.0 <= self.horizontal_fov < 180.0 and 0.0 <= self.vertical_fov < 180.0
        if not angles or not self.range > 0.0 or self.points_per_second < 0:
            raise ValueError(f"radar attributes {self}: give angles below 180 degrees, a range and a rate above 0")


class RadarModel:
    """One radar: its settings and its seed."""

    def __init__(self, settings: RadarSettings, seed: int) -> None:
        self.settings = settings
        self._seed = seed

    def scan(
        self,
        caster: RayCaster,
        world_from_sensor: npt.NDArray[np.float64],
        own: Vector,
        velocities: Mapping[int, Vector],
        dt: float,
        frame: int,
    ) -> npt.NDArray[np.float32]:
        """Detections (N, 4): velocity [m/s], positive away, azimuth, altitude [rad], depth [m].

        `own` and `velocities` (of actors, by id; what is not among them rests) are in the world frame [m/s].
        """
        rays = self.rays(dt, frame)
        origin, directions = placed(world_from_sensor, rays)
        hits = caster.cast(origin, directions, self.settings.range)
        met = np.flatnonzero(np.isfinite(hits.distance))
        speeds = [velocities.get(int(number), ZERO) for number in hits.actor_id[met]]
        relative = np.array(speeds, np.float64).reshape(-1, 3) - np.array(own)
        closing = np.einsum("ij,ij->i", relative, directions[met].astype(np.float64))
        x, y, z = rays[met].T
        azimuth, altitude = np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))
        return np.stack([closing, azimuth, altitude, hits.distance[met]], axis=-1).astype(np.float32)

    def rays(self, dt: float, frame: int) -> npt.NDArray[np.float32]:
        """Unit directions (N, 3) in the sensor's frame: of any angle about the axis, of any share of the aperture."""
        use = self.settings
        rng = np.random.default_rng([self._seed, zlib.crc32(b"radar"), frame])
        count = int(use.points_per_second * dt + 1e-6)
        angle, share = rng.uniform(0.0, 2.0 * math.pi, count), rng.random(count)
        wide, high = (math.tan(math.radians(fov) / 2.0) for fov in (use.horizontal_fov, use.vertical_fov))
        ends = np.stack([np.ones(count), wide * share * np.cos(angle), high * share * np.sin(angle)], axis=-1)
        return np.asarray(ends / np.linalg.norm(ends, axis=1, keepdims=True), np.float32)
