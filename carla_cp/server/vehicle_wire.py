"""A vehicle's engine and wheels as the protocol has them: what a client may write, and what it can read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

from carla_cp.server import wire
from carla_cp.server.wire import Raw, WireError

WHEEL_DEG = 70.0  # at full steering, as CARLA reports it
RADIUS_M, GEAR_RATIO, FINAL_RATIO, IDLE_RPM, MAX_RPM = 0.35, 4.6, 4.0, 800.0, 5800.0
FRICTION = 3.5


@dataclass(frozen=True, slots=True)
class AckermannGains:
    """AckermannControllerSettings, with CARLA's defaults."""

    speed_kp: float = 0.15
    speed_ki: float = 0.0
    speed_kd: float = 0.25
    accel_kp: float = 0.01
    accel_ki: float = 0.0
    accel_kd: float = 0.01


def read_gains(raw: Raw) -> AckermannGains:
    """AckermannControllerSettings."""
    names = [field.name for field in fields(AckermannGains)]
    values = wire.array(raw, len(names), "ackermann controller settings")
    return AckermannGains(**{name: wire.real(value) for name, value in zip(names, values, strict=True)})


@dataclass(frozen=True, slots=True)
class PhysicsControl:
    """VehiclePhysicsControl as a client wrote it; of all of it, only the mass changes how a vehicle moves here."""

    mass: float  # [kg]
    written: tuple[Raw, ...]  # the 17 fields in the protocol's order


def _rows(length: int, what: str) -> Callable[[Raw], Raw]:
    def read(raw: Raw) -> Raw:
        if not isinstance(raw, list):
            raise WireError(f"{what}: not an array")
        return [[wire.real(value) for value in wire.array(row, length, what)] for row in raw]

    return read


def _wheels(raw: Raw) -> Raw:
    if not isinstance(raw, list):
        raise WireError("wheels: not an array")
    rows = [wire.array(row, 10, "wheel") for row in raw]
    return [[*(wire.real(value) for value in row[:9]), list(wire.vector(row[9]))] for row in rows]


def _place(raw: Raw) -> Raw:
    return list(wire.vector(raw))


_MASS = 11
_READ: tuple[Callable[[Raw], Raw], ...] = (
    _rows(2, "torque curve"),
    *(wire.real,) * 5,
    wire.truth,
    *(wire.real,) * 3,
    _rows(3, "gears"),
    wire.real,
    wire.real,
    _place,
    _rows(2, "steering curve"),
    _wheels,
    wire.truth,
)


def read_physics(raw: Raw) -> PhysicsControl:
    """VehiclePhysicsControl."""
    values = wire.array(raw, len(_READ), "vehicle physics control")
    written = tuple(read(value) for read, value in zip(_READ, values, strict=True))
    if not written[_MASS] > 0.0:
        raise WireError(f"vehicle physics control: a mass of {written[_MASS]} kg; give more than 0")
    return PhysicsControl(written[_MASS], written)


def default_physics(mass: float, wheels: list[tuple[bool, wire.Vector]]) -> Raw:
    """VehiclePhysicsControl of a vehicle whose wheels turn or not, and where they are [m] in the world."""
    rows: list[Raw] = []
    for turns, place in wheels:
        steer = WHEEL_DEG if turns else 0.0
        rows.append([FRICTION, 0.25, steer, RADIUS_M, 1500.0, 3000.0, 2.0, 17.0, 1000.0, list(place)])
    curve, steering = [[0.0, 500.0], [5000.0, 500.0]], [[0.0, 1.0], [120.0, 1.0]]
    gears = [[GEAR_RATIO, 0.5, 0.65]]
    engine = [curve, MAX_RPM, 1.0, 0.15, 2.0, 0.35, True, 0.0, 10.0, FINAL_RATIO, gears]
    return [*engine, mass, 0.3, [0.0, 0.0, 0.0], steering, rows, True]


def engine_rpm(speed: float) -> float:
    """Of an engine that is bound to wheels of this speed [m/s] by its only gear."""
    turns = abs(speed) / (2.0 * math.pi * RADIUS_M) * 60.0
    return min(max(turns * GEAR_RATIO * FINAL_RATIO, IDLE_RPM), MAX_RPM)


def wheel_telemetry(speed: float, load: float, forward: float, sideways: float) -> Raw:
    """WheelTelemetry of a wheel that rolls without slipping under a load [N] and passes on these forces [N]."""
    slips = [FRICTION, 0.0, 0.0, speed / RADIUS_M]
    along, across = (force / load for force in (forward, sideways))
    return [*slips, load, 1.0, forward * RADIUS_M, forward, sideways, along, across]
