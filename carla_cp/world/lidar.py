"""A LiDAR that listens, and its blueprint's attributes."""

from __future__ import annotations

import queue
import zlib
from dataclasses import dataclass, field

import carla
import numpy as np

from carla_cp.types import AgentName, LidarSpec, PointArray, Pose, Sweep
from carla_cp.world.convert import pose_of


@dataclass(slots=True)
class Lidar:
    """A listening LiDAR: its messages wait in `inbox` as (frame, world_from_lidar, points)."""

    agent: AgentName
    height_m: float
    actor: carla.Sensor
    frames: list[int] = field(default_factory=list)  # seen while the sensor's rhythm was sought
    inbox: queue.SimpleQueue[tuple[int, Pose, PointArray]] = field(default_factory=queue.SimpleQueue)

    def listen(self) -> None:
        """From the next tick on, sweeps arrive."""
        self.actor.listen(self._receive)

    def _receive(self, data: carla.LidarMeasurement) -> None:
        points = np.frombuffer(data.raw_data, np.float32).reshape(-1, 4).copy()
        self.inbox.put((data.frame, pose_of(data.transform), points))

    def phase(self, period: int) -> int | None:
        """The frame modulo `period` at which it fires, once two sweeps came that far apart; drops what has come."""
        while not self.inbox.empty():
            self.frames.append(self.inbox.get()[0])
        steady = len(self.frames) > 1 and self.frames[-1] - self.frames[-2] == period
        return self.frames[-1] % period if steady else None

    def take(self, frame: int, timeout_s: float) -> Sweep | None:
        """The sweep of `frame`, or None if none came in time; older ones are dropped."""
        while True:
            try:
                seen, pose, points = self.inbox.get(timeout=timeout_s)
            except queue.Empty:
                return None
            if seen == frame:
                return Sweep(self.agent, 0, points, pose, self.height_m)


def noise_seed(seed: int, agent: AgentName) -> int:
    """The seed of one agent's sensor noise in an episode."""
    return zlib.crc32(f"lidar {seed} {agent}".encode()) & 0x7FFFFFFF


def lidar_attributes(lidar: LidarSpec, period_us: int, seed: int) -> list[tuple[str, str]]:
    """The attributes of `sensor.lidar.ray_cast` and their values as CARLA writes them."""
    return [
        ("channels", str(lidar.channels)),
        ("range", str(lidar.range_m)),
        ("points_per_second", str(lidar.points_per_second)),
        ("rotation_frequency", str(lidar.rotation_frequency_hz)),
        ("upper_fov", str(lidar.upper_fov_deg)),
        ("lower_fov", str(lidar.lower_fov_deg)),
        ("horizontal_fov", str(lidar.horizontal_fov_deg)),
        ("atmosphere_attenuation_rate", str(lidar.atmosphere_attenuation_rate)),
        ("dropoff_general_rate", str(lidar.dropoff_general_rate)),
        ("dropoff_intensity_limit", str(lidar.dropoff_intensity_limit)),
        ("dropoff_zero_intensity", str(lidar.dropoff_zero_intensity)),
        ("noise_stddev", str(lidar.noise_stddev_m)),
        ("noise_seed", str(seed)),
        ("sensor_tick", str(period_us / 1e6)),
    ]
