"""The binary messages of CARLA 0.9.16's streams: the common header, the world observer's snapshot, sensor payloads."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgpack

from carla_cp.server.lidar import LidarReturn, SemanticReturn
from carla_cp.server.wire import ActorInfo, Transform, Vector, VehicleControl, WalkerControl, write_actor

# Sensor type indices of 0.9.16.
COLLISION, DEPTH, GNSS, IMU, OBSTACLE, RADAR, SEMANTIC_LIDAR, LIDAR = 0, 1, 4, 5, 7, 9, 10, 11
CAMERA, SEMANTIC_CAMERA, INSTANCE_CAMERA, WORLD_OBSERVER = 13, 14, 15, 17
MAP_CHANGED, LIGHTS_CHANGED = 1, 2

_HEADER = struct.Struct("<QQd6f")
_EPISODE = struct.Struct("<Qdf3iI")
_PLAIN = struct.Struct("<IB15f54x")
_VEHICLE = struct.Struct("<IB15f3f3BifBBIB24x")
_WALKER = struct.Struct("<IB15f3ffB37x")
_LIGHT = struct.Struct("<IB15f32s4fIBB")
_SIGN = struct.Struct("<IB15f32s22x")
_ACTIVE = 1


@dataclass(frozen=True, slots=True)
class Motion:
    """Where an actor is and how it moves, in the world frame."""

    pose: Transform = field(default_factory=Transform)
    velocity: Vector = (0.0, 0.0, 0.0)  # [m/s]
    angular: Vector = (0.0, 0.0, 0.0)  # [deg/s]
    acceleration: Vector = (0.0, 0.0, 0.0)  # [m/s^2]


@dataclass(frozen=True, slots=True)
class LightView:
    """What a vehicle's record says of the traffic light that it stands before."""

    state: int = 2
    has_light: bool = False
    light_id: int = 0


@dataclass(frozen=True, slots=True)
class LightRecord:
    """What a traffic light's record holds."""

    sign_id: str
    green_s: float
    yellow_s: float
    red_s: float
    elapsed_s: float
    pole: int
    frozen: bool
    state: int


def _flat(actor_id: int, motion: Motion) -> tuple[float, ...]:
    pose = motion.pose
    place = (pose.x, pose.y, pose.z, pose.pitch, pose.yaw, pose.roll)
    return (actor_id, _ACTIVE, *place, *motion.velocity, *motion.angular, *motion.acceleration)


def plain_record(actor_id: int, motion: Motion) -> bytes:
    """119 bytes of an actor of which only the motion is told."""
    return _PLAIN.pack(*_flat(actor_id, motion))


def vehicle_record(actor_id: int, motion: Motion, control: VehicleControl, limit_kmh: float, light: LightView) -> bytes:
    """119 bytes of a vehicle."""
    inputs = (control.throttle, control.steer, control.brake)
    gears = (control.hand_brake, control.reverse, control.manual_gear_shift, control.gear)
    told = (limit_kmh, light.state, light.has_light, light.light_id, 0)
    return _VEHICLE.pack(*_flat(actor_id, motion), *inputs, *gears, *told)


def walker_record(actor_id: int, motion: Motion, control: WalkerControl) -> bytes:
    """119 bytes of a pedestrian."""
    return _WALKER.pack(*_flat(actor_id, motion), *control.direction, control.speed, control.jump)


def light_record(actor_id: int, motion: Motion, light: LightRecord) -> bytes:
    """119 bytes of a traffic light."""
    times = (light.green_s, light.yellow_s, light.red_s, light.elapsed_s)
    return _LIGHT.pack(*_flat(actor_id, motion), _sign_id(light.sign_id), *times, light.pole, light.frozen, light.state)


def sign_record(actor_id: int, motion: Motion, sign_id: str) -> bytes:
    """119 bytes of a sign that shows always the same."""
    return _SIGN.pack(*_flat(actor_id, motion), _sign_id(sign_id))


def _sign_id(text: str) -> bytes:
    return text.encode()[:31]


def header(kind: int, frame: int, seconds: float, pose: Transform) -> bytes:
    """The 48 bytes before every payload."""
    return _HEADER.pack(kind, frame, seconds, pose.x, pose.y, pose.z, pose.pitch, pose.yaw, pose.roll)


def snapshot(episode: int, frame: int, seconds: float, delta: float, flags: int, records: Iterable[bytes]) -> bytes:
    """One message of the world observer. Its platform time is simulated too, so that runs are identical."""
    start = _EPISODE.pack(episode, seconds, delta, 0, 0, 0, flags)
    return b"".join([header(WORLD_OBSERVER, frame, seconds, Transform()), start, *records])


def lidar_payload(sweep: LidarReturn | SemanticReturn) -> bytes:
    """Angle, channel count, points per channel, then the points."""
    words = struct.pack("<fI", sweep.horizontal_angle, len(sweep.counts))
    return b"".join([words, sweep.counts.astype("<u4").tobytes(), sweep.points.tobytes()])


def collision_payload(own: ActorInfo, other: ActorInfo, impulse: Vector) -> bytes:
    """Who hit whom, and the normal impulse [N s]."""
    return bytes(msgpack.packb([write_actor(own), write_actor(other), list(impulse)]))


def obstacle_payload(own: ActorInfo, other: ActorInfo, distance: float) -> bytes:
    """Who met whom, and how far ahead [m]."""
    return bytes(msgpack.packb([write_actor(own), write_actor(other), distance]))


def imu_payload(accelerometer: Vector, gyroscope: Vector, compass: float) -> bytes:
    """Specific force [m/s^2], rate [rad/s], and the heading clockwise from north [rad]."""
    return bytes(msgpack.packb([list(accelerometer), list(gyroscope), compass]))


def gnss_payload(latitude: float, longitude: float, altitude: float) -> bytes:
    """Degrees and metres."""
    return bytes(msgpack.packb([latitude, longitude, altitude]))
