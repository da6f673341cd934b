"""A team's LiDARs, which listen and fire together, and their blueprint's attributes."""

from __future__ import annotations

import queue
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import carla
import numpy as np

from carla_cp.geometry import compose
from carla_cp.types import AgentName, LidarSpec, PointArray, Pose, Sweep
from carla_cp.world.convert import carla_transform, pose_of
from carla_cp.world.errors import WorldError

STEP_US = 50_000  # 20 Hz
SENSOR_TIMEOUT_S = 60.0


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

    def take(self, frame: int, time_us: int) -> Sweep | None:
        """The sweep of `frame`, or None if none came in time; older ones are dropped."""
        while True:
            try:
                seen, pose, points = self.inbox.get(timeout=SENSOR_TIMEOUT_S)
            except queue.Empty:
                return None
            if seen == frame:
                return Sweep(self.agent, time_us, points, pose, self.height_m)


class Lidars:
    """The LiDARs of a team, the ego's first; all fire at every `period`-th frame."""

    def __init__(self, period: int = 2) -> None:
        self.period = period
        self._lidars: list[Lidar] = []

    @property
    def actors(self) -> list[carla.Sensor]:
        """The sensors that hang in the world."""
        return [lidar.actor for lidar in self._lidars]

    @property
    def warm_up_frames(self) -> int:
        """After so many, `phase` can be told."""
        return 2 * self.period + 4

    def hang(
        self,
        world: carla.World,
        blueprint: carla.ActorBlueprint,
        agent: AgentName,
        lidar: LidarSpec,
        seed: int,
        parent: carla.Actor | None = None,
        foot: Pose = Pose(),  # noqa: B008 - frozen
    ) -> None:
        """Spawns an agent's LiDAR on its vehicle `parent`, or where there is none over `foot`, and listens."""
        for name, value in lidar_attributes(lidar, self.period * STEP_US, noise_seed(seed, agent)):
            if blueprint.has_attribute(name):
                blueprint.set_attribute(name, value)
        actor = world.spawn_actor(blueprint, carla_transform(compose(foot, lidar.mount)), attach_to=parent)
        self._lidars.append(Lidar(agent, lidar.mount.z, actor))
        self._lidars[-1].listen()

    def phase(self) -> int:
        """The frame modulo the period at which all fire. Raises WorldError where they do not fire together."""
        deadline = time.monotonic() + SENSOR_TIMEOUT_S
        while time.monotonic() < deadline:
            phases = {lidar.phase(self.period) for lidar in self._lidars} or {0}
            if len(phases) == 1 and (phase := phases.pop()) is not None:
                return phase
            time.sleep(0.005)
        raise WorldError("the server's LiDARs do not fire together; is another client ticking this world?")

    def sweeps(self, frame: int, time_us: int) -> Iterator[Sweep]:
        """Every agent's sweep that was captured at a frame, as they arrive; while one is looked at, the next is cast.

        Raises WorldError for one that does not come.
        """
        for lidar in self._lidars:
            sweep = lidar.take(frame, time_us)
            if sweep is None:
                raise WorldError(f"no sweep of '{lidar.agent}' came for tick {frame}; the server hangs or was stopped")
            yield sweep


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
