"""Values of CARLA 0.9.16's wire protocol, to and from msgpack arrays.

A struct is an array of its fields in a fixed order; an optional is [false] or [true, value]; a variant is
[index, value]. Angles are degrees, distances metres. Requests come from outside: whatever has the wrong shape
raises WireError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Raw: TypeAlias = Any  # whatever msgpack can hold
Vector: TypeAlias = tuple[float, float, float]
ZERO: Vector = (0.0, 0.0, 0.0)
_LARGEST = 1e9  # of any number in a request: what is computed from it then fits the snapshot's 32 bit floats
_ID_END = 1 << 32
_INT_END = 1 << 31


class WireError(Exception):
    """A request whose arguments do not have the shape that the protocol gives them."""


@dataclass(frozen=True, slots=True)
class Transform:
    """A pose in CARLA's terms."""

    x: float = 0.0  # [m]
    y: float = 0.0
    z: float = 0.0
    pitch: float = 0.0  # [deg]
    yaw: float = 0.0
    roll: float = 0.0


@dataclass(frozen=True, slots=True)
class Box:
    """A bounding box in its actor's frame."""

    location: Vector = ZERO
    extent: Vector = ZERO  # half sizes [m]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of an actor; the value is always text."""

    id: str
    type: int  # 1 bool, 2 int, 3 float, 4 string, 5 colour
    value: str


@dataclass(frozen=True, slots=True)
class Description:
    """What a client asks for when it spawns an actor."""

    uid: int
    id: str
    attributes: tuple[Attribute, ...] = ()

    def value(self, name: str, default: str = "") -> str:
        """The value of one attribute, or the default where the actor has no such attribute."""
        return next((attribute.value for attribute in self.attributes if attribute.id == name), default)


@dataclass(frozen=True, slots=True)
class VehicleControl:
    """A driver's inputs."""

    throttle: float = 0.0  # [0, 1]
    steer: float = 0.0  # [-1, 1], right is positive
    brake: float = 0.0  # [0, 1]
    hand_brake: bool = False
    reverse: bool = False
    manual_gear_shift: bool = False
    gear: int = 0


@dataclass(frozen=True, slots=True)
class AckermannControl:
    """A driver's wishes."""

    steer: float = 0.0  # wheel angle [rad]
    steer_speed: float = 0.0
    speed: float = 0.0  # [m/s]
    acceleration: float = 0.0
    jerk: float = 0.0


@dataclass(frozen=True, slots=True)
class WalkerControl:
    """Where a pedestrian goes, and how fast."""

    direction: Vector = (1.0, 0.0, 0.0)
    speed: float = 0.0  # [m/s]
    jump: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """EpisodeSettings; only the first three change anything here."""

    synchronous_mode: bool = False
    no_rendering_mode: bool = False
    fixed_delta_seconds: float | None = None
    rest: tuple[Raw, ...] = (True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True)

    def __post_init__(self) -> None:
        if self.fixed_delta_seconds is not None and not 1e-4 <= self.fixed_delta_seconds <= 1.0:
            raise WireError(f"fixed_delta_seconds={self.fixed_delta_seconds}: give 0.0001 to 1 s")


@dataclass(frozen=True, slots=True)
class ActorInfo:
    """What a client is told of an actor when it first meets it."""

    id: int
    parent_id: int
    description: Description
    box: Box = field(default_factory=Box)
    tags: bytes = b""
    token: bytes = b""


# -------------------------------------------------------------------------------------------------- primitive values


def array(raw: Raw, length: int, what: str) -> Sequence[Raw]:
    """The fields of a struct."""
    if not isinstance(raw, (list, tuple)) or len(raw) != length:
        raise WireError(f"{what}: not an array of {length}")
    return raw


def real(raw: Raw) -> float:
    """A number of at most 1e9."""
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not abs(raw) <= _LARGEST:
        raise WireError(f"not a number from -1e9 to 1e9: {raw!r:.60}")
    return float(raw)


def whole(raw: Raw, least: int = 0, end: int = _ID_END) -> int:
    """An integer from `least` up to, not including, `end`; by default of 32 bits without a sign."""
    if isinstance(raw, bool) or not isinstance(raw, int) or not least <= raw < end:
        raise WireError(f"not an integer from {least} to {end - 1}: {raw!r:.60}")
    return raw


def truth(raw: Raw) -> bool:
    """A truth value."""
    if not isinstance(raw, bool):
        raise WireError(f"not a truth value: {raw!r:.60}")
    return raw


def text(raw: Raw) -> str:
    """A string."""
    if not isinstance(raw, str):
        raise WireError(f"not a text: {raw!r:.60}")
    return raw


def vector(raw: Raw) -> Vector:
    """Three numbers."""
    x, y, z = array(raw, 3, "vector")
    return real(x), real(y), real(z)


# ------------------------------------------------------------------------------------------------------------ reading


def read_transform(raw: Raw) -> Transform:
    """Transform."""
    location, rotation = array(raw, 2, "transform")
    return Transform(*vector(location), *vector(rotation))


def read_description(raw: Raw) -> Description:
    """ActorDescription."""
    uid, name, attributes = array(raw, 3, "actor description")
    if not isinstance(attributes, list):
        raise WireError("actor description: the attributes are not an array")
    rows = [array(attribute, 3, "attribute") for attribute in attributes]
    values = tuple(Attribute(text(key), whole(kind), text(value)) for key, kind, value in rows)
    return Description(whole(uid), text(name), values)


def read_vehicle_control(raw: Raw) -> VehicleControl:
    """VehicleControl, its pedals and wheel clipped to their ranges."""
    throttle, steer, brake, hand, reverse, manual, gear = array(raw, 7, "vehicle control")
    return VehicleControl(
        min(max(real(throttle), 0.0), 1.0),
        min(max(real(steer), -1.0), 1.0),
        min(max(real(brake), 0.0), 1.0),
        truth(hand),
        truth(reverse),
        truth(manual),
        whole(gear, -_INT_END, _INT_END),
    )


def read_ackermann(raw: Raw) -> AckermannControl:
    """VehicleAckermannControl."""
    return AckermannControl(*(real(value) for value in array(raw, 5, "ackermann control")))


def read_walker_control(raw: Raw) -> WalkerControl:
    """WalkerControl."""
    direction, speed, jump = array(raw, 3, "walker control")
    return WalkerControl(vector(direction), real(speed), truth(jump))


# Substepping and what follows it.
_REST: tuple[Callable[[Raw], bool | float], ...] = (truth, real, whole, real, truth, real, real, truth)


def read_settings(raw: Raw) -> Settings:
    """EpisodeSettings."""
    synchronous, no_rendering, delta, *rest = array(raw, 11, "episode settings")
    optional = delta if isinstance(delta, (list, tuple)) and 1 <= len(delta) <= 2 else None
    if optional is None:
        raise WireError("episode settings: fixed_delta_seconds is not an optional")
    given = truth(optional[0]) and len(optional) == 2
    seconds = real(optional[1]) if given else 0.0
    kept = tuple(read(value) for read, value in zip(_REST, rest, strict=True))
    return Settings(truth(synchronous), truth(no_rendering), seconds if seconds > 0 else None, kept)


# ------------------------------------------------------------------------------------------------------------ writing


def write_transform(value: Transform) -> Raw:
    """Transform."""
    return [[value.x, value.y, value.z], [value.pitch, value.yaw, value.roll]]


def write_box(value: Box, actor_id: int = 0) -> Raw:
    """BoundingBox."""
    return [list(value.location), list(value.extent), [0.0, 0.0, 0.0], actor_id]


def write_settings(value: Settings) -> Raw:
    """EpisodeSettings."""
    delta: Raw = [False] if value.fixed_delta_seconds is None else [True, value.fixed_delta_seconds]
    return [value.synchronous_mode, value.no_rendering_mode, delta, *value.rest]


def write_description(value: Description) -> Raw:
    """ActorDescription."""
    return [value.uid, value.id, [[one.id, one.type, one.value] for one in value.attributes]]


def write_actor(value: ActorInfo) -> Raw:
    """Actor."""
    return [
        value.id,
        value.parent_id,
        write_description(value.description),
        write_box(value.box, value.id),
        value.tags,
        value.token,
    ]
