"""What clients can do to traffic lights."""

from __future__ import annotations

from carla_cp.server import wire
from carla_cp.server.actors import LightActor
from carla_cp.server.handlers import RefusedError, find_actor
from carla_cp.server.lights import Light
from carla_cp.server.simulation import Simulation
from carla_cp.server.town_handlers import write_standing
from carla_cp.server.wire import Raw


def _light(simulation: Simulation, actor_id: Raw) -> Light:
    return find_actor(simulation, actor_id, LightActor).light


def _seconds(raw: Raw) -> float:
    seconds = wire.real(raw)
    if seconds <= 0.0:
        raise RefusedError(f"a light's time of {seconds} s; give more than 0")
    return seconds


def set_state(simulation: Simulation, actor_id: Raw, state: Raw) -> None:
    """Shows this state until the cycle, if it is not frozen, goes on."""
    if wire.whole(state) not in range(5):
        raise RefusedError(f"traffic light state {state}; give 0 red, 1 yellow, 2 green, 3 off or 4 unknown")
    _light(simulation, actor_id).show(state)


def set_green_time(simulation: Simulation, actor_id: Raw, seconds: Raw) -> None:
    """How long green lasts."""
    _light(simulation, actor_id).green_s = _seconds(seconds)


def set_yellow_time(simulation: Simulation, actor_id: Raw, seconds: Raw) -> None:
    """How long yellow lasts."""
    _light(simulation, actor_id).yellow_s = _seconds(seconds)


def set_red_time(simulation: Simulation, actor_id: Raw, seconds: Raw) -> None:
    """How long all are red after this light's turn."""
    _light(simulation, actor_id).red_s = _seconds(seconds)


def freeze(simulation: Simulation, actor_id: Raw, frozen: Raw) -> None:
    """Stops the cycle of this light's junction, or lets it go on."""
    for light in simulation.episode.group_of(_light(simulation, actor_id)).lights:
        light.frozen = wire.truth(frozen)


def freeze_all(simulation: Simulation, frozen: Raw) -> None:
    """Stops all cycles, or lets them go on."""
    for light in simulation.episode.lights:
        light.frozen = wire.truth(frozen)


def reset_group(simulation: Simulation, actor_id: Raw) -> None:
    """Starts the cycle of this light's junction anew."""
    simulation.episode.group_of(_light(simulation, actor_id)).reset()


def reset_all(simulation: Simulation) -> None:
    """Starts all cycles anew."""
    for group in simulation.episode.groups:
        group.reset()


def group_lights(simulation: Simulation, actor_id: Raw) -> Raw:
    """The lights of the same junction."""
    episode = simulation.episode
    return episode.light_ids(episode.group_of(_light(simulation, actor_id)))


def light_boxes(simulation: Simulation, actor_id: Raw) -> Raw:
    """The box of a light's lamps in the world, where its pole has room beside the road."""
    pose = _light(simulation, actor_id).place.pose
    box = simulation.episode.scenery.lamp_box(pose.x, pose.y)
    return [] if box is None else [write_standing(box)]
