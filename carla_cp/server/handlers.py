"""What clients can ask of the world, its vehicles and its pedestrians; the arguments are raw msgpack."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeVar

from carla_cp.server import wire
from carla_cp.server.actors import Actor, Solid, Vehicle, Walker
from carla_cp.server.blueprints import LIBRARY
from carla_cp.server.simulation import Simulation
from carla_cp.server.wire import Raw, Transform

VERSION = "0.9.16"
_MAX_REPORTED_STEER_DEG = 70.0
_SomeActor = TypeVar("_SomeActor", bound=Actor)


class RefusedError(Exception):
    """Why a well-formed request cannot be met; the client raises it with this text."""


def find_actor(simulation: Simulation, raw_id: Raw, kind: type[_SomeActor]) -> _SomeActor:
    """The actor of this id and kind; raises RefusedError."""
    actor = simulation.episode.actors.get(wire.whole(raw_id))
    if not isinstance(actor, kind):
        raise RefusedError(f"actor {raw_id} is not there or is no {kind.__name__.lower()}")
    return actor


# -------------------------------------------------------------------------------------------------- world and episode


def version(simulation: Simulation) -> Raw:
    return VERSION


def episode_info(simulation: Simulation) -> Raw:
    return [simulation.episode.number, [simulation.streams.token(1)]]


def sensor_token(simulation: Simulation, stream_id: Raw) -> Raw:
    try:
        simulation.streams.announce(wire.whole(stream_id))
    except KeyError as error:
        raise RefusedError(f"there is no stream {stream_id}") from error
    return [simulation.streams.token(stream_id)]


def get_settings(simulation: Simulation) -> Raw:
    return wire.write_settings(simulation.settings)


def set_settings(simulation: Simulation, raw: Raw) -> Raw:
    simulation.settings = wire.read_settings(raw)
    return simulation.frame


def tick(simulation: Simulation) -> Raw:
    simulation.tick()
    return simulation.frame


def map_info(simulation: Simulation) -> Raw:
    loaded = simulation.episode.map
    return [f"Carla/Maps/{loaded.name}", [wire.write_transform(point) for point in loaded.field.spawn_points()]]


def map_data(simulation: Simulation) -> Raw:
    return simulation.episode.map.opendrive


def available_maps(simulation: Simulation) -> Raw:
    return simulation.maps.names


def load(simulation: Simulation, name: Raw, reset: Raw, layers: Raw) -> None:
    simulation.load(wire.text(name), wire.truth(reset))


def take_opendrive(simulation: Simulation, opendrive: Raw, parameters: Raw) -> None:
    simulation.maps.put_generated(wire.text(opendrive))


def definitions(simulation: Simulation) -> Raw:
    return [blueprint.definition() for blueprint in LIBRARY]


def get_weather(simulation: Simulation) -> Raw:
    return simulation.weather


def set_weather(simulation: Simulation, raw: Raw) -> None:
    simulation.weather = [wire.real(value) for value in wire.array(raw, 14, "weather")]


# -------------------------------------------------------------------------------------------------------------- actors


def actors(simulation: Simulation, ids: Raw) -> Raw:
    if not isinstance(ids, list):
        raise wire.WireError("the ids are not an array")
    actors = [simulation.episode.actors.get(wire.whole(actor_id)) for actor_id in ids]
    return [wire.write_actor(simulation.episode.info(actor)) for actor in actors if actor is not None]


def spectator(simulation: Simulation) -> Raw:
    return wire.write_actor(simulation.episode.info(simulation.episode.spectator))


def spawn(simulation: Simulation, description: Raw, pose: Raw, parent_id: int = 0) -> Actor:
    """A new actor; raises SpawnError."""
    described, placed = wire.read_description(description), wire.read_transform(pose)
    return simulation.episode.spawn(described, placed, parent_id, simulation.frame)


def spawn_actor(simulation: Simulation, description: Raw, pose: Raw) -> Raw:
    return wire.write_actor(simulation.episode.info(spawn(simulation, description, pose)))


def spawn_attached(
    simulation: Simulation, description: Raw, pose: Raw, parent: Raw, attachment: Raw, socket: Raw
) -> Raw:
    actor = spawn(simulation, description, pose, wire.whole(parent))
    return wire.write_actor(simulation.episode.info(actor))


def destroy(simulation: Simulation, actor_id: Raw) -> bool:
    """Whether there was such an actor."""
    return simulation.episode.destroy(wire.whole(actor_id))


def bounding_box(simulation: Simulation, actor_id: Raw) -> Raw:
    # An error here would end the client's TrafficManager, so an unknown actor has an empty box.
    actor = simulation.episode.actors.get(wire.whole(actor_id))
    return wire.write_box(actor.box, actor.id) if actor else wire.write_box(wire.Box())


def set_transform(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    """Puts an actor somewhere in the world; an attached one keeps its parent and its new place on it."""
    actor, pose = find_actor(simulation, actor_id, Actor), wire.read_transform(raw)
    actor.place(pose)
    if isinstance(actor, Solid) and actor.parent is None:
        simulation.episode.stand(actor)


def set_location(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    old = find_actor(simulation, actor_id, Actor).motion.pose
    pose = Transform(*wire.vector(raw), old.pitch, old.yaw, old.roll)
    set_transform(simulation, actor_id, wire.write_transform(pose))


def set_velocity(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    """The velocity that an actor has from now on, until something changes it."""
    find_actor(simulation, actor_id, Solid).set_velocity(wire.vector(raw))


def add_impulse(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    """Changes the velocity by impulse [N s] over mass."""
    actor, (x, y, _) = find_actor(simulation, actor_id, Solid), wire.vector(raw)
    body = actor.body
    actor.set_velocity((body.vx + x * body.inverse_mass, body.vy + y * body.inverse_mass, 0.0))


def constant_velocity(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    find_actor(simulation, actor_id, Vehicle).constant = wire.vector(raw)


def no_constant_velocity(simulation: Simulation, actor_id: Raw) -> None:
    find_actor(simulation, actor_id, Vehicle).constant = None


def set_physical(simulation: Simulation, actor_id: Raw, on: Raw) -> None:
    """Whether the actor moves by itself."""
    find_actor(simulation, actor_id, Solid).set_physical(wire.truth(on))


def set_collides(simulation: Simulation, actor_id: Raw, on: Raw) -> None:
    find_actor(simulation, actor_id, Solid).collides = wire.truth(on)


# ------------------------------------------------------------------------------------------------ vehicles and walkers


def control_vehicle(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    """The driver's inputs from the next tick on."""
    vehicle = find_actor(simulation, actor_id, Vehicle)
    vehicle.control, vehicle.wish = wire.read_vehicle_control(raw), None


def control_ackermann(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    """The driver's wishes from the next tick on."""
    find_actor(simulation, actor_id, Vehicle).wish = wire.read_ackermann(raw)


def control_walker(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    """Where a pedestrian goes from the next tick on."""
    find_actor(simulation, actor_id, Walker).control = wire.read_walker_control(raw)


def set_walker_state(simulation: Simulation, actor_id: Raw, pose: Raw, speed: Raw) -> None:
    """Puts a pedestrian somewhere, walking at this speed the way it looks."""
    walker = find_actor(simulation, actor_id, Walker)
    set_transform(simulation, actor_id, pose)
    walker.control = replace(walker.control, speed=wire.real(speed))


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
    turned = wire.whole(wheel) in (0, 1)
    return find_actor(simulation, actor_id, Vehicle).control.steer * _MAX_REPORTED_STEER_DEG if turned else 0.0


def physics_control(simulation: Simulation, actor_id: Raw) -> Raw:
    vehicle = find_actor(simulation, actor_id, Vehicle)
    body, model, pose = vehicle.body, vehicle.model, vehicle.motion.pose
    cos, sin = math.cos(body.yaw), math.sin(body.yaw)
    wheels: list[Raw] = []
    for along in (model.rear, -model.rear):
        for across in (-0.4 * body.width, 0.4 * body.width):
            steer = _MAX_REPORTED_STEER_DEG if along > 0 else 0.0
            place = [pose.x + along * cos - across * sin, pose.y + along * sin + across * cos, pose.z]
            wheels.append([3.5, 0.25, steer, 0.35, 1500.0, 3000.0, 2.0, 17.0, 1000.0, place])
    curve, steering = [[0.0, 500.0], [5000.0, 500.0]], [[0.0, 1.0], [120.0, 1.0]]
    engine = [curve, 5800.0, 1.0, 0.15, 2.0, 0.35, True, 0.0, 10.0, 4.0, [[4.6, 0.5, 0.65]]]
    return [*engine, vehicle.blueprint.mass, 0.3, [0.0, 0.0, 0.0], steering, wheels, True]
