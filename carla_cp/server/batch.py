"""`apply_batch`: many commands in one request, each of which succeeds or fails by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable

from carla_cp.server import handlers, road_user_handlers, wire
from carla_cp.server.actors import Actor
from carla_cp.server.handlers import RefusedError
from carla_cp.server.simulation import Simulation
from carla_cp.server.spawning import SpawnError
from carla_cp.server.wire import Raw, WireError

_LOG = logging.getLogger("carla_cp.server")


def apply_batch(simulation: Simulation, commands: Raw, do_tick: Raw) -> Raw:
    """One response for each command: the actor's id, or why not."""
    if not isinstance(commands, list):
        raise WireError("the commands are not an array")
    ticks = wire.truth(do_tick)
    responses = [_respond(simulation, command) for command in commands]
    if ticks:
        simulation.tick()
    return responses


def _respond(simulation: Simulation, command: Raw) -> Raw:
    try:
        return [[1, run_command(simulation, command, None)]]
    except (RefusedError, SpawnError, WireError) as error:
        return [[0, [str(error)]]]


def run_command(simulation: Simulation, command: Raw, future: int | None) -> int:
    """Runs one command; `future` is the actor that its id 0 stands for. Returns the id of the actor it was about."""
    kind, payload = wire.array(wire.array(command, 1, "command")[0], 2, "command")
    index = wire.whole(kind)
    if index == 0:
        return _spawn(simulation, payload)
    if index not in _COMMANDS:
        raise WireError(f"unknown command {index!r:.20}")
    call, arguments = _COMMANDS[index]
    actor_id, *rest = wire.array(payload, arguments, "command")
    if future is not None and actor_id == 0:
        actor_id = future
    if call(simulation, actor_id, *rest) is False:
        raise RefusedError(f"actor {actor_id} is not there")
    return wire.whole(actor_id)


def _spawn(simulation: Simulation, payload: Raw) -> int:
    # The wheel leaves the attachment type uninitialised; everything is attached rigidly.
    description, pose, parent, _, _, after = wire.array(payload, 6, "spawn command")
    if not isinstance(after, list):
        raise WireError("spawn command: the commands after it are not an array")
    given = isinstance(parent, list) and len(parent) == 2 and parent[0]
    actor = handlers.spawn(simulation, description, pose, wire.whole(parent[1]) if given else 0)
    for command in after:
        try:
            run_command(simulation, command, actor.id)
        except (RefusedError, SpawnError, WireError) as error:
            # As in CARLA the answer is the new actor: without its id the client could not destroy it.
            _LOG.warning("a command after the spawning of actor %d: %s", actor.id, error)
    return actor.id


def _nothing(simulation: Simulation, actor_id: Raw, *_: Raw) -> None:
    handlers.find_actor(simulation, actor_id, Actor)


_COMMANDS: dict[int, tuple[Callable[..., bool | None], int]] = {
    1: (handlers.destroy, 1),
    2: (road_user_handlers.control_vehicle, 2),
    3: (road_user_handlers.control_ackermann, 2),
    4: (road_user_handlers.control_walker, 2),
    5: (road_user_handlers.set_physics_control, 2),
    6: (handlers.set_transform, 2),
    7: (road_user_handlers.set_walker_state, 3),
    8: (handlers.set_velocity, 2),
    9: (_nothing, 2),
    10: (handlers.add_impulse, 2),
    11: (handlers.add_force, 2),
    12: (_nothing, 2),
    13: (_nothing, 2),
    14: (handlers.set_physical, 2),
    15: (_nothing, 2),
    16: (_nothing, 2),  # the client tells its TrafficManager once we have agreed
    17: (_nothing, 2),
    18: (road_user_handlers.set_lamps, 2),
}
