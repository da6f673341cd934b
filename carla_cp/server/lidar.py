"""CARLA's ray-cast LiDARs (RayCastLidar.cpp, RayCastSemanticLidar.cpp of CARLA 0.9).

Kept: the layout of channels and azimuths, partial sweeps that go on where the last one ended, drop-off before tracing,
attenuation without material or incidence, drop-off by intensity, noise along the ray, one instant per tick.
Changed: random draws are keyed by (seed, frame) instead of by the order of calls.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from carla_cp.server.raycast import RayCaster

Floats = npt.NDArray[np.float32]

SEMANTIC_POINT = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("cos", "<f4"), ("actor_id", "<u4"), ("label", "<u4")]
)


@dataclass(frozen=True, slots=True)
class LidarSettings:
    """The attributes of CARLA's LiDAR blueprints, with CARLA's names, units and defaults."""

    channels: int = 32
    range: float = 10.0  # [m]
    points_per_second: int = 56000
    rotation_frequency: float = 10.0  # [Hz]
    upper_fov: float = 10.0  # [deg]
    lower_fov: float = -30.0  # [deg]
    horizontal_fov: float = 360.0  # [deg]
    atmosphere_attenuation_rate: float = 0.004  # [1/m]
    dropoff_general_rate: float = 0.45
    dropoff_intensity_limit: float = 0.8
    dropoff_zero_intensity: float = 0.4
    noise_stddev: float = 0.0  # [m]

    def __post_init__(self) -> None:
        for name, value, good in (
            ("channels", self.channels, self.channels >= 1),
            ("range", self.range, self.range > 0),
            ("points_per_second", self.points_per_second, self.points_per_second >= 0),
            ("rotation_frequency", self.rotation_frequency, self.rotation_frequency >= 0),
            ("horizontal_fov", self.horizontal_fov, 0 < self.horizontal_fov <= 360),
            ("dropoff_general_rate", self.dropoff_general_rate, 0 <= self.dropoff_general_rate <= 1),
            ("noise_stddev", self.noise_stddev, self.noise_stddev >= 0),
        ):
            if not good:
                raise ValueError(f"lidar attribute {name}={value} is out of its range")


@dataclass(frozen=True, slots=True, eq=False)
class LidarReturn:
    """What `sensor.lidar.ray_cast` sends after one tick."""

    horizontal_angle: float  # [rad] where the next sweep starts, counted from the start of the first
    counts: npt.NDArray[np.int64]  # (C,) points of each channel
    points: Floats  # (N, 4) x, y, z, intensity in the sensor frame [m], channel by channel


@dataclass(frozen=True, slots=True, eq=False)
class SemanticReturn:
    """What `sensor.lidar.ray_cast_semantic` sends after one tick."""

    horizontal_angle: float  # [rad]
    counts: npt.NDArray[np.int64]  # (C,)
    points: npt.NDArray[np.void]  # (N,) SEMANTIC_POINT


class LidarModel:
    """One LiDAR: its settings, its seed, and the azimuth it has reached."""

    def __init__(self, settings: LidarSettings, seed: int) -> None:
        self.settings = settings
        self._seed = seed
        self._angle = 0.0  # [deg] in [0, horizontal_fov)

    def sweep(
        self, caster: RayCaster, world_from_sensor: npt.NDArray[np.float64], dt: float, frame: int
    ) -> LidarReturn:
        """The points scanned in `dt` seconds, all seen from one pose; draws are keyed by the seed and `frame`."""
        use = self.settings
        directions, channel = self._advance(dt)
        rng = np.random.default_rng([self._seed, zlib.crc32(b"lidar"), frame])
        if use.dropoff_general_rate > 0:
            kept = np.flatnonzero(rng.random(len(directions), np.float32) >= use.dropoff_general_rate)
            directions, channel = directions.take(kept, axis=0), channel.take(kept)
        distance = caster.distances(*placed(world_from_sensor, directions), use.range)
        hit = np.flatnonzero(np.isfinite(distance))
        directions, channel, distance = directions.take(hit, axis=0), channel.take(hit), distance.take(hit)
        intensity = np.exp(np.float32(-use.atmosphere_attenuation_rate) * distance)
        if use.noise_stddev > 0:
            distance = distance + np.float32(use.noise_stddev) * rng.standard_normal(len(distance), np.float32)
        if use.dropoff_intensity_limit > 0 and use.dropoff_zero_intensity > 0:
            seen = np.flatnonzero(self._seen(intensity, rng))
            directions, channel = directions.take(seen, axis=0), channel.take(seen)
            distance, intensity = distance.take(seen), intensity.take(seen)
        points = np.empty((len(distance), 4), np.float32)
        np.multiply(directions, distance[:, None], out=points[:, :3])
        points[:, 3] = intensity
        return LidarReturn(math.radians(self._angle), np.bincount(channel, minlength=use.channels), points)

    def semantic_sweep(
        self, caster: RayCaster, world_from_sensor: npt.NDArray[np.float64], dt: float
    ) -> SemanticReturn:
        """The labelled points scanned in `dt` seconds; nothing is dropped and nothing is noisy."""
        directions, channel = self._advance(dt)
        hits = caster.cast(*placed(world_from_sensor, directions), self.settings.range)
        hit = np.flatnonzero(np.isfinite(hits.distance))
        points = np.empty(len(hit), SEMANTIC_POINT)
        xyz = directions[hit] * hits.distance[hit, None]
        points["x"], points["y"], points["z"] = xyz.T
        points["cos"], points["actor_id"], points["label"] = hits.cos[hit], hits.actor_id[hit], hits.label[hit]
        counts = np.bincount(channel[hit], minlength=self.settings.channels)
        return SemanticReturn(math.radians(self._angle), counts, points)

    def _seen(self, intensity: Floats, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
        use = self.settings
        slope = use.dropoff_zero_intensity / use.dropoff_intensity_limit
        probability = np.float32(slope) * intensity + np.float32(1.0 - use.dropoff_zero_intensity)
        return np.asarray(
            (intensity > use.dropoff_intensity_limit) | (rng.random(len(intensity), np.float32) < probability)
        )

    def _advance(self, dt: float) -> tuple[Floats, npt.NDArray[np.int64]]:
        use = self.settings
        turn = use.rotation_frequency * use.horizontal_fov * dt
        count = round(use.points_per_second * dt / use.channels)
        start = self._angle
        self._angle = math.fmod(start + turn, use.horizontal_fov)
        # A turn of a whole number of rounds ends where it began; without the snap rounding would creep in.
        if min(self._angle, use.horizontal_fov - self._angle) < 1e-9:
            self._angle = 0.0
        return _rays(use.channels, use.upper_fov, use.lower_fov, use.horizontal_fov, count, round(start, 9), turn)


def placed(world_from_sensor: npt.NDArray[np.float64], directions: Floats) -> tuple[npt.NDArray[np.float64], Floats]:
    """The origin and directions of the rays in the world frame.

    Without a matrix product: its threads would spin beside those of the rays, and its sums depend on the processor.
    """
    x, y, z = world_from_sensor[:3, :3].T.astype(np.float32)
    placed = directions[:, :1] * x
    placed += directions[:, 1:2] * y
    placed += directions[:, 2:] * z
    return world_from_sensor[:3, 3], placed


@lru_cache(maxsize=32)
def _rays(
    channels: int, upper: float, lower: float, horizontal: float, count: int, start: float, turn: float
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Unit directions (channels * count, 3) in the sensor frame, channel-major, and the channel of each."""
    step = (upper - lower) / (channels - 1) if channels > 1 else 0.0
    elevation = np.radians(upper - step * np.arange(channels))[:, None]
    azimuth = np.radians(np.fmod(start + np.arange(count) * (turn / max(count, 1)), horizontal) - horizontal / 2)
    directions = np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation) + 0.0 * azimuth,
        ],
        axis=-1,
    )
    return directions.reshape(-1, 3).astype(np.float32), np.repeat(np.arange(channels), count)
