"""What clients can ask of vehicles and pedestrians; the arguments are raw msgpack."""

from __future__ import annotations

import math
from dataclasses import astuple, replace

from carla_cp.server import vehicle_wire, wire
from carla_cp.server.actors import Vehicle, Walker
from carla_cp.server.handlers import find_actor, set_transform
from carla_cp.server.sensors import GRAVITY
from carla_cp.server.simulation import Simulation
from carla_cp.server.wire import Raw

_FRONT_WHEELS = (0, 1)
_ALL_DOORS = 6


def control_vehicle(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    """The driver's inputs from the next tick on."""
    vehicle = find_actor(simulation, actor_id, Vehicle)
    vehicle.control, vehicle.wish = wire.read_vehicle_control(raw), None


def control_ackermann(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    """The driver's wishes from the next tick on."""
    find_actor(simulation, actor_id, Vehicle).wish = wire.read_ackermann(raw)


def get_gains(simulation: Simulation, actor_id: Raw) -> Raw:
    return list(astuple(find_actor(simulation, actor_id, Vehicle).gains))


def set_gains(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    find_actor(simulation, actor_id, Vehicle).gains = vehicle_wire.read_gains(raw)


def control_walker(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    """Where a pedestrian goes from the next tick on."""
    find_actor(simulation, actor_id, Walker).control = wire.read_walker_control(raw)


def set_walker_state(simulation: Simulation, actor_id: Raw, pose: Raw, speed: Raw) -> None:
    """Puts a pedestrian somewhere, walking at this speed the way it looks."""
    walker = find_actor(simulation, actor_id, Walker)
    set_transform(simulation, actor_id, pose)
    walker.control = replace(walker.control, speed=wire.real(speed))


# ---------------------------------------------------------------------------------------------------- lamps and wheels


def set_lamps(simulation: Simulation, actor_id: Raw, flags: Raw) -> None:
    """A vehicle's own lamps, which nobody sees."""
    find_actor(simulation, actor_id, Vehicle).lamps = wire.whole(flags)


def set_lamps_struct(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    set_lamps(simulation, actor_id, wire.array(raw, 1, "vehicle light state")[0])


def get_lamps(simulation: Simulation, actor_id: Raw) -> Raw:
    return [find_actor(simulation, actor_id, Vehicle).lamps]


def all_lamps(simulation: Simulation) -> Raw:
    vehicles = [actor for actor in simulation.episode.actors.values() if isinstance(actor, Vehicle)]
    return [[vehicle.id, vehicle.lamps] for vehicle in vehicles]


def wheel_angle(simulation: Simulation, actor_id: Raw, wheel: Raw) -> Raw:
    turned = wire.whole(wheel) in _FRONT_WHEELS
    return find_actor(simulation, actor_id, Vehicle).control.steer * vehicle_wire.WHEEL_DEG if turned else 0.0


def wheel_pitch(simulation: Simulation, actor_id: Raw, wheel: Raw) -> Raw:
    """Wheels have no camber here."""
    find_actor(simulation, actor_id, Vehicle)
    wire.whole(wheel)
    return 0.0


# ---------------------------------------------------------------------------------------------- physics and telemetry


def physics_control(simulation: Simulation, actor_id: Raw) -> Raw:
    """What was written last; before that, a vehicle's own."""
    vehicle = find_actor(simulation, actor_id, Vehicle)
    if vehicle.physics is not None:
        return list(vehicle.physics.written)
    body, model, pose = vehicle.body, vehicle.model, vehicle.motion.pose
    cos, sin = math.cos(body.yaw), math.sin(body.yaw)
    wheels = [
        (along > 0, (pose.x + along * cos - across * sin, pose.y + along * sin + across * cos, pose.z))
        for along in (model.rear, -model.rear)
        for across in (-0.4 * body.width, 0.4 * body.width)
    ]
    return vehicle_wire.default_physics(vehicle.mass, wheels)


def set_physics_control(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    """Keeps it all; the mass counts from the next collision on."""
    find_actor(simulation, actor_id, Vehicle).set_physics(vehicle_wire.read_physics(raw))


def telemetry(simulation: Simulation, actor_id: Raw) -> Raw:
    """VehicleTelemetryData of a vehicle whose four wheels roll without slipping and share weight and forces."""
    vehicle = find_actor(simulation, actor_id, Vehicle)
    body, control, mass = vehicle.body, vehicle.control, vehicle.mass
    along, across, _ = vehicle.motion.acceleration
    cos, sin = math.cos(body.yaw), math.sin(body.yaw)
    forward, sideways = (mass * part / 4 for part in (along * cos + across * sin, across * cos - along * sin))
    wheel = vehicle_wire.wheel_telemetry(body.speed, mass * GRAVITY / 4, forward, sideways)
    inputs = [body.speed, control.steer, control.throttle, control.brake]
    return [*inputs, vehicle_wire.engine_rpm(body.speed), vehicle.gear, 0.0, [wheel] * 4]


def open_door(simulation: Simulation, actor_id: Raw, door: Raw) -> None:
    """Takes note of nothing: a door has no shape here, but its number and its vehicle must be some."""
    find_actor(simulation, actor_id, Vehicle)
    wire.whole(door, end=_ALL_DOORS + 1)
