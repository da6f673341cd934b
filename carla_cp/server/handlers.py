"""What clients can ask of the world and of any actor; the arguments are raw msgpack."""

from __future__ import annotations

from typing import TypeVar

from carla_cp.server import wire
from carla_cp.server.actors import Actor, Solid, Vehicle
from carla_cp.server.blueprints import LIBRARY
from carla_cp.server.simulation import Simulation
from carla_cp.server.wire import Raw, Transform

VERSION = "0.9.16"
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


def get_gravity(simulation: Simulation) -> Raw:
    return simulation.gravity


def set_gravity(simulation: Simulation, raw: Raw) -> None:
    """What IMUs feel from now on [m/s^2]."""
    simulation.gravity = wire.real(raw)


def request_file(simulation: Simulation, name: Raw) -> Raw:
    raise RefusedError(f"there is no file {wire.text(name)!r:.80}; get_required_files lists none")


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


def _push(actor: Solid, x: float, y: float) -> None:
    body = actor.body
    actor.set_velocity((body.vx + x * body.inverse_mass, body.vy + y * body.inverse_mass, 0.0))


def add_impulse(simulation: Simulation, actor_id: Raw, raw: Raw, place: Raw = None) -> None:
    """Changes the velocity by impulse [N s] over mass, wherever on the actor it is given."""
    actor, (x, y, _) = find_actor(simulation, actor_id, Solid), wire.vector(raw)
    _push(actor, x, y)


def add_force(simulation: Simulation, actor_id: Raw, raw: Raw, place: Raw = None) -> None:
    """Changes the velocity by what a force [N] does in one tick."""
    actor, (x, y, _) = find_actor(simulation, actor_id, Solid), wire.vector(raw)
    _push(actor, x * simulation.step_s, y * simulation.step_s)


def constant_velocity(simulation: Simulation, actor_id: Raw, raw: Raw) -> None:
    find_actor(simulation, actor_id, Vehicle).constant = wire.vector(raw)


def no_constant_velocity(simulation: Simulation, actor_id: Raw) -> None:
    find_actor(simulation, actor_id, Vehicle).constant = None


def set_physical(simulation: Simulation, actor_id: Raw, on: Raw) -> None:
    """Whether the actor moves by itself."""
    # The client's TrafficManager calls this in a thread that an error would end, so an unknown actor is none.
    actor, moves = simulation.episode.actors.get(wire.whole(actor_id)), wire.truth(on)
    if isinstance(actor, Solid):
        actor.set_physical(moves)


def set_collides(simulation: Simulation, actor_id: Raw, on: Raw) -> None:
    find_actor(simulation, actor_id, Solid).collides = wire.truth(on)
