"""What lives in an episode: vehicles, pedestrians, props, traffic lights, sensors and the spectator."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from carla_cp.geometry import Pose, matrix_from_pose, pose_from_matrix
from carla_cp.server import physics
from carla_cp.server.blueprints import Blueprint
from carla_cp.server.lights import Light
from carla_cp.server.limits import DEFAULT_KMH
from carla_cp.server.physics import Body, Model
from carla_cp.server.sensors import Reader
from carla_cp.server.signs import Sign
from carla_cp.server.snapshot import (
    LightRecord,
    LightView,
    Motion,
    light_record,
    plain_record,
    sign_record,
    vehicle_record,
    walker_record,
)
from carla_cp.server.vehicle_wire import AckermannGains, PhysicsControl
from carla_cp.server.wire import (
    AckermannControl,
    ActorInfo,
    Box,
    Description,
    Transform,
    Vector,
    VehicleControl,
    WalkerControl,
)

Matrix = npt.NDArray[np.float64]


def matrix_of(pose: Transform) -> Matrix:
    """The 4 x 4 matrix world_from_actor of a pose."""
    angles = (math.radians(pose.roll), math.radians(pose.pitch), math.radians(pose.yaw))
    return matrix_from_pose(Pose(pose.x, pose.y, pose.z, *angles))


def transform_of(matrix: Matrix) -> Transform:
    """The pose of a matrix."""
    pose = pose_from_matrix(matrix)
    angles = (math.degrees(pose.pitch), math.degrees(pose.yaw), math.degrees(pose.roll))
    return Transform(pose.x, pose.y, pose.z, *angles)


@dataclass(slots=True, eq=False)
class Actor:
    """Anything with an id."""

    id: int
    blueprint: Blueprint
    description: Description
    motion: Motion
    parent: Actor | None = None
    mount: Matrix | None = None  # parent_from_actor
    stream_id: int = 0

    @property
    def box(self) -> Box:
        """Its bounding box."""
        half = (self.blueprint.length / 2, self.blueprint.width / 2, self.blueprint.height / 2)
        return Box((0.0, 0.0, half[2]), half)

    def info(self, token: bytes) -> ActorInfo:
        """What a client is told of it."""
        parent_id = self.parent.id if self.parent else 0
        return ActorInfo(self.id, parent_id, self.description, self.box, self.blueprint.tags, token)

    def record(self) -> bytes:
        """Its part of the snapshot."""
        return plain_record(self.id, self.motion)

    def place(self, pose: Transform) -> None:
        """Puts it there; from there on an attached one moves with its parent."""
        self.motion = replace(self.motion, pose=pose)
        if self.parent is not None:
            self.mount = np.linalg.inv(matrix_of(self.parent.motion.pose)) @ matrix_of(pose)

    def release(self) -> None:
        """Stays where it is when its parent goes."""
        self.parent, self.mount, self.motion = None, None, Motion(self.motion.pose)

    def follow(self) -> None:
        """Goes where its parent has gone."""
        if self.parent is None or self.mount is None:
            return
        pose = transform_of(matrix_of(self.parent.motion.pose) @ self.mount)
        self.motion = replace(self.parent.motion, pose=pose)


@dataclass(slots=True, eq=False)
class Solid(Actor):
    """An actor with a body; by itself it stands still."""

    body: Body = field(kw_only=True)
    physical: bool = True  # set_simulate_physics
    collides: bool = True

    def place(self, pose: Transform) -> None:
        """Puts the body there, with the motion it has."""
        Actor.place(self, pose)
        self._take_body_along()

    def follow(self) -> None:
        """Goes where its parent has gone, with its body."""
        if self.parent is not None:
            Actor.follow(self)
            self._take_body_along()

    def _take_body_along(self) -> None:
        pose = self.motion.pose
        self.body.x, self.body.y, self.body.z = pose.x, pose.y, pose.z
        self.body.yaw, self.body.pitch, self.body.roll = (math.radians(a) for a in (pose.yaw, pose.pitch, pose.roll))

    @property
    def mass(self) -> float:
        """Mass [kg]; infinite for what nothing moves."""
        return self.blueprint.mass

    def set_physical(self, on: bool) -> None:
        """Whether it moves by itself; while it does not, it rests and nothing pushes it."""
        self.physical = on
        self.body.inverse_mass = 1.0 / self.mass if on else 0.0
        if not on:
            self.body.stop()
            self.motion = Motion(self.motion.pose)

    def set_velocity(self, velocity: Vector) -> None:
        """Moves on with this velocity."""
        self.body.set_velocity(velocity[0], velocity[1])
        self.motion = replace(self.motion, velocity=(velocity[0], velocity[1], 0.0))

    def drive(self, dt: float) -> None:
        """One step under its own control."""

    def settle_on_ground(self) -> None:
        """Takes over the body's height and tilt at once."""
        body = self.body
        tilt = {"pitch": math.degrees(body.pitch), "roll": math.degrees(body.roll)}
        self.motion = replace(self.motion, pose=replace(self.motion.pose, z=body.z, **tilt))

    def settle(self, dt: float) -> None:
        """Takes over the body's motion, once all contacts are resolved."""
        body, before = self.body, self.motion
        velocity = (body.vx, body.vy, body.vz)
        angles = (math.degrees(body.pitch), math.degrees(body.yaw), math.degrees(body.roll))
        pose = Transform(body.x, body.y, body.z, *angles)
        was = before.velocity
        change = ((body.vx - was[0]) / dt, (body.vy - was[1]) / dt, (body.vz - was[2]) / dt)
        self.motion = Motion(pose, velocity, (0.0, 0.0, math.degrees(body.yaw_rate)), change)


@dataclass(slots=True, eq=False)
class Vehicle(Solid):
    """Something with a driver."""

    model: Model = field(kw_only=True)
    control: VehicleControl = field(default_factory=VehicleControl)
    wish: AckermannControl | None = None
    constant: Vector | None = None  # velocity in its own frame [m/s]
    view: LightView = field(default_factory=LightView)
    lamps: int = 0
    limit_kmh: float = DEFAULT_KMH
    gains: AckermannGains = field(default_factory=AckermannGains)
    physics: PhysicsControl | None = None  # what a client wrote

    @property
    def mass(self) -> float:
        """Mass [kg]."""
        return self.blueprint.mass if self.physics is None else self.physics.mass

    @property
    def gear(self) -> int:
        """The gear that is in: -1 backwards, 0 at rest, 1 ahead, or what the driver chose."""
        if self.control.manual_gear_shift:
            return self.control.gear
        return 0 if not self.body.moving else (-1 if self.body.speed < 0 else 1)

    def set_physics(self, physics: PhysicsControl) -> None:
        """Takes over its mass."""
        self.physics = physics
        if self.physical:
            self.body.inverse_mass = 1.0 / physics.mass

    def drive(self, dt: float) -> None:
        """One step under its driver's inputs."""
        if self.wish is not None:
            self.control = physics.controlled(self.wish, self.body.speed, self.model, dt)
        if self.constant is not None:
            cos, sin = math.cos(self.body.yaw), math.sin(self.body.yaw)
            ahead, right, _ = self.constant
            self.body.speed, self.body.slide_x, self.body.slide_y = ahead, -right * sin, right * cos
            rate = ahead * math.tan(self.control.steer * physics.MAX_WHEEL_ANGLE) / self.model.wheelbase
            physics.move(self.body, rate, self.model.rear, dt)
        else:
            physics.drive(self.body, self.control, self.model, dt)

    def record(self) -> bytes:
        """Its part of the snapshot."""
        shown = replace(self.control, gear=self.gear)
        return vehicle_record(self.id, self.motion, shown, self.limit_kmh, self.view)


@dataclass(slots=True, eq=False)
class Walker(Solid):
    """A pedestrian."""

    control: WalkerControl = field(default_factory=WalkerControl)

    def drive(self, dt: float) -> None:
        """One step where it wants to go."""
        physics.walk(self.body, self.control, dt)

    def record(self) -> bytes:
        """Its part of the snapshot."""
        return walker_record(self.id, self.motion, self.control)


@dataclass(slots=True, eq=False)
class LightActor(Actor):
    """A traffic light."""

    light: Light = field(kw_only=True)

    @property
    def box(self) -> Box:
        """Its trigger volume."""
        return self.light.place.box

    def record(self) -> bytes:
        """Its part of the snapshot."""
        light = self.light
        times = (light.green_s, light.yellow_s, light.red_s, light.elapsed_s)
        return light_record(
            self.id, self.motion, LightRecord(light.place.signal_id, *times, light.pole, light.frozen, light.state)
        )


@dataclass(slots=True, eq=False)
class SignActor(Actor):
    """A traffic sign that is no light."""

    sign: Sign = field(kw_only=True)

    @property
    def box(self) -> Box:
        """Its trigger volume."""
        return self.sign.place.box

    def record(self) -> bytes:
        """Its part of the snapshot."""
        return sign_record(self.id, self.motion, self.sign.place.signal_id)


@dataclass(slots=True, eq=False)
class SensorActor(Actor):
    """A sensor of which the server computes the data."""

    reader: Reader = field(kw_only=True)
    born: int = field(kw_only=True)  # frame
    period_us: int = 0
    next_us: int | None = None  # the first tick

    def due(self, now_us: int) -> bool:
        """Whether it fires now; then its next turn is set. A microsecond of slack forgives rounding."""
        if self.next_us is not None and now_us + 1 < self.next_us:
            return False
        self.next_us = max((now_us if self.next_us is None else self.next_us) + self.period_us, now_us)
        return True


@dataclass(slots=True, eq=False)
class CollisionSensor(Actor):
    """Tells when its parent hits something."""
