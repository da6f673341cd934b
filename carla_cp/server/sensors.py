"""What each sensor reads. Noise is keyed by the sensor's seed and its age in frames, never by the order of calls."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, dataclass, field, fields
from typing import Any, Protocol, TypeVar

import carla
import numpy as np
import numpy.typing as npt

from carla_cp.server.camera import CameraModel, CameraSettings, Paint, colours, depth, instances, labels
from carla_cp.server.lidar import LidarModel, LidarSettings
from carla_cp.server.obstacle import ObstacleSettings, Target, first_met
from carla_cp.server.radar import RadarModel, RadarSettings
from carla_cp.server.raycast import RayCaster
from carla_cp.server.snapshot import (
    CAMERA,
    DEPTH,
    GNSS,
    IMU,
    INSTANCE_CAMERA,
    LIDAR,
    OBSTACLE,
    RADAR,
    SEMANTIC_CAMERA,
    SEMANTIC_LIDAR,
    Motion,
    gnss_payload,
    imu_payload,
    lidar_payload,
    obstacle_payload,
)
from carla_cp.server.wire import ActorInfo, Description, Vector, WireError

GRAVITY = 9.81  # [m/s^2]
_MAX_CHANNELS = 1024
_MAX_POINTS_PER_SECOND = 20_000_000
_MAX_PIXELS = 8_000_000
_Settings = TypeVar("_Settings", CameraSettings, RadarSettings, ObstacleSettings)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a sensor is given when it fires."""

    age: int  # frames since it was spawned
    dt: float  # [s] of the world's step
    motion: Motion
    matrix: npt.NDArray[np.float64]  # world_from_sensor
    carla_map: carla.Map
    caster: RayCaster  # with the actors placed, if `needs_rays`
    gravity: float = GRAVITY  # [m/s^2]
    velocities: Mapping[int, Vector] = field(default_factory=dict)  # of actors by id, in the world frame [m/s]
    own: ActorInfo | None = None  # of the actor that the sensor is attached to
    targets: Callable[[], list[Target]] = list  # the boxes around all others


class Reader(Protocol):
    """One kind of sensor."""

    kind: int  # sensor type index of the protocol
    needs_rays: bool

    def read(self, reading: Reading) -> bytes | None:
        """The payload of one message; None where there is nothing to tell."""


@dataclass(slots=True, eq=False)
class Lidar:
    """sensor.lidar.ray_cast"""

    model: LidarModel
    kind: int = LIDAR
    needs_rays: bool = True

    def read(self, reading: Reading) -> bytes:
        """One sweep."""
        return lidar_payload(self.model.sweep(reading.caster, reading.matrix, reading.dt, reading.age))


@dataclass(slots=True, eq=False)
class SemanticLidar:
    """sensor.lidar.ray_cast_semantic"""

    model: LidarModel
    kind: int = SEMANTIC_LIDAR
    needs_rays: bool = True

    def read(self, reading: Reading) -> bytes:
        """One labelled sweep."""
        return lidar_payload(self.model.semantic_sweep(reading.caster, reading.matrix, reading.dt))


@dataclass(frozen=True, slots=True)
class Noise:
    """Bias and spread of several axes."""

    seed: int
    bias: tuple[float, ...]
    stddev: tuple[float, ...]

    def draw(self, what: str, age: int) -> npt.NDArray[np.float64]:
        """The error of each axis at one frame."""
        if not any(self.stddev):
            return np.array(self.bias)
        rng = np.random.default_rng([self.seed, zlib.crc32(what.encode()), age])
        return np.asarray(self.bias + rng.standard_normal(len(self.bias)) * self.stddev)


@dataclass(slots=True, eq=False)
class Gnss:
    """sensor.other.gnss, by the wheel's own conversion."""

    noise: Noise  # latitude, longitude, altitude
    kind: int = GNSS
    needs_rays: bool = False

    def read(self, reading: Reading) -> bytes:
        """One fix."""
        pose = reading.motion.pose
        place = reading.carla_map.transform_to_geolocation(carla.Location(pose.x, pose.y, pose.z))
        fix = np.array([place.latitude, place.longitude, place.altitude]) + self.noise.draw("gnss", reading.age)
        return gnss_payload(*fix.tolist())


@dataclass(slots=True, eq=False)
class Imu:
    """sensor.other.imu"""

    accel: Noise
    gyro: Noise
    kind: int = IMU
    needs_rays: bool = False

    def read(self, reading: Reading) -> bytes:
        """Specific force and rate in the sensor's frame; north is -y, so that the compass grows clockwise from it."""
        motion, turn = reading.motion, reading.matrix[:3, :3].T
        force = turn @ (np.array(motion.acceleration) + (0.0, 0.0, reading.gravity)) + self.accel.draw(
            "accel", reading.age
        )
        rate = turn @ np.radians(motion.angular) + self.gyro.draw("gyro", reading.age)
        compass = (math.radians(motion.pose.yaw) + math.pi / 2) % (2.0 * math.pi)
        return imu_payload(_three(force), _three(rate), compass)


@dataclass(slots=True, eq=False)
class Camera:
    """sensor.camera.depth, .rgb, .semantic_segmentation or .instance_segmentation"""

    model: CameraModel
    kind: int
    needs_rays: bool = True

    def read(self, reading: Reading) -> bytes:
        """One image."""
        return self.model.image(reading.caster, reading.matrix)


@dataclass(slots=True, eq=False)
class Radar:
    """sensor.other.radar"""

    model: RadarModel
    kind: int = RADAR
    needs_rays: bool = True

    def read(self, reading: Reading) -> bytes:
        """One scan."""
        own = reading.motion.velocity
        return self.model.scan(
            reading.caster, reading.matrix, own, reading.velocities, reading.dt, reading.age
        ).tobytes()


@dataclass(slots=True, eq=False)
class Obstacle:
    """sensor.other.obstacle"""

    settings: ObstacleSettings
    kind: int = OBSTACLE
    needs_rays: bool = False

    def read(self, reading: Reading) -> bytes | None:
        """What is ahead; on no actor a sensor of this kind is silent."""
        met = first_met(self.settings, reading.matrix, reading.targets())
        if met is None or reading.own is None:
            return None
        return obstacle_payload(reading.own, met[0].info, met[1])


def _three(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z


def _number(description: Description, name: str, default: float = 0.0) -> float:
    text = description.value(name) or str(default)
    try:
        value = float(text)
    except ValueError as error:
        raise WireError(f"{description.id}: {name}={text!r} is not a number") from error
    if not math.isfinite(value):
        raise WireError(f"{description.id}: {name}={text!r} is not finite")
    return value


def _seed(description: Description, actor_id: int) -> int:
    return abs(int(_number(description, "noise_seed"))) or actor_id


def _lidar_model(description: Description, actor_id: int) -> LidarModel:
    names = [field.name for field in fields(LidarSettings)]
    defaults = astuple(LidarSettings())
    given = {name: _number(description, name, value) for name, value in zip(names, defaults, strict=True)}
    whole = {name: int(given.pop(name)) for name in ("channels", "points_per_second")}
    if whole["channels"] > _MAX_CHANNELS or whole["points_per_second"] > _MAX_POINTS_PER_SECOND:
        raise WireError(f"{description.id}: more than {_MAX_CHANNELS} channels or {_MAX_POINTS_PER_SECOND} points/s")
    try:
        settings = LidarSettings(channels=whole["channels"], points_per_second=whole["points_per_second"], **given)
    except ValueError as error:
        raise WireError(f"{description.id}: {error}") from error
    return LidarModel(settings, _seed(description, actor_id))


def _noise(description: Description, actor_id: int, bias: tuple[str, ...], stddev: tuple[str, ...]) -> Noise:
    biases = tuple(_number(description, name) for name in bias)
    return Noise(_seed(description, actor_id), biases, tuple(_number(description, name) for name in stddev))


def _lidar(description: Description, actor_id: int) -> Reader:
    return Lidar(_lidar_model(description, actor_id))


def _semantic(description: Description, actor_id: int) -> Reader:
    return SemanticLidar(_lidar_model(description, actor_id))


def _gnss(description: Description, actor_id: int) -> Reader:
    axes = ("lat", "lon", "alt")
    bias, stddev = (tuple(f"noise_{axis}_{what}" for axis in axes) for what in ("bias", "stddev"))
    return Gnss(_noise(description, actor_id, bias, stddev))


def _imu(description: Description, actor_id: int) -> Reader:
    accel = tuple(f"noise_accel_stddev_{axis}" for axis in "xyz")
    bias, stddev = (tuple(f"noise_gyro_{what}_{axis}" for axis in "xyz") for what in ("bias", "stddev"))
    nothing = ("noise_accel_bias",) * 3
    return Imu(_noise(description, actor_id, nothing, accel), _noise(description, actor_id, bias, stddev))


def _radar(description: Description, actor_id: int) -> Reader:
    settings = _settings(description, RadarSettings)
    if settings.points_per_second > _MAX_POINTS_PER_SECOND:
        raise WireError(f"{description.id}: more than {_MAX_POINTS_PER_SECOND} points/s")
    return Radar(RadarModel(settings, _seed(description, actor_id)))


def _obstacle(description: Description, actor_id: int) -> Reader:
    return Obstacle(_settings(description, ObstacleSettings))


def _camera(kind: int, paint: Paint) -> Callable[[Description, int], Reader]:
    def build(description: Description, actor_id: int) -> Reader:
        settings = _settings(description, CameraSettings)
        if settings.image_size_x * settings.image_size_y > _MAX_PIXELS:
            raise WireError(f"{description.id}: more than {_MAX_PIXELS} pixels")
        return Camera(CameraModel(settings, paint), kind)

    return build


def _settings(description: Description, kind: type[_Settings]) -> _Settings:
    """Settings from the attributes of their names; raises WireError."""
    given: dict[str, Any] = {}
    for name, default in asdict(kind()).items():
        if isinstance(default, bool):
            given[name] = description.value(name, str(default)).lower() == "true"
        else:
            number = _number(description, name, default)
            given[name] = int(number) if isinstance(default, int) else number
    try:
        return kind(**given)
    except ValueError as error:
        raise WireError(f"{description.id}: {error}") from error


READERS: dict[str, Callable[[Description, int], Reader]] = {
    "sensor.camera.depth": _camera(DEPTH, depth),
    "sensor.camera.instance_segmentation": _camera(INSTANCE_CAMERA, instances),
    "sensor.camera.rgb": _camera(CAMERA, colours),
    "sensor.camera.semantic_segmentation": _camera(SEMANTIC_CAMERA, labels),
    "sensor.lidar.ray_cast": _lidar,
    "sensor.lidar.ray_cast_semantic": _semantic,
    "sensor.other.gnss": _gnss,
    "sensor.other.imu": _imu,
    "sensor.other.obstacle": _obstacle,
    "sensor.other.radar": _radar,
}


def period_us(description: Description) -> int:
    """The time between two messages; 0 for every tick."""
    return max(0, round(_number(description, "sensor_tick") * 1e6))
