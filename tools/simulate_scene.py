"""Simulates one random scene and writes what its agents see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from random_scene import SceneSize, random_scenario

from carla_cp.driving.scripted import Traffic
from carla_cp.opv2v import SceneWriter, agent_ids, protocol_of, scans_from_sweeps
from carla_cp.types import ActorSpec, AgentName, Scenario, TruthObject
from carla_cp.world import STEP_US, Roads, World

PLAN_POINTS = 10  # of a moving agent's path ahead, about 1 m apart


@dataclass(frozen=True, slots=True)
class Job:
    """One scene to be made."""

    folder: Path
    map_file: Path
    seed: int
    frames: int
    stride_steps: int  # world steps between two frames
    size: SceneSize
    binary: bool


def make_scene(world: World, job: Job, tell: Callable[[int], None]) -> None:
    """Simulates one scene and writes it; tells the number of frames written after each."""
    world.load(job.map_file)
    roads = Roads(world.map)
    scenario = random_scenario(roads, job.map_file, job.folder.name, job.seed, job.size)
    world.spawn(scenario, job.seed, job.stride_steps * STEP_US)
    actors = (scenario.ego, *scenario.actors)
    traffic = _traffic(roads, actors)
    paths = _paths(scenario, actors)
    with SceneWriter(job.folder, protocol_of(scenario, job.seed), job.binary) as writer:
        while True:
            world.tick()
            objects = (world.ego_object(), *world.objects())
            sweeps = tuple(world.sweeps())
            if sweeps:
                plans = _plans(paths, objects)
                writer.add(scans_from_sweeps(sweeps, objects, agent_ids(sweeps, objects), plans))
                tell(writer.frames)
                if writer.frames == job.frames:
                    return
            world.apply(None, traffic.commands(objects, None, world.signals()))


def _traffic(roads: Roads, actors: Sequence[ActorSpec]) -> Traffic:
    vehicles = [actor for actor in actors if actor.path and actor.blueprint.startswith("vehicle.")]
    return Traffic(actors, {actor.rolename: roads.stop_lines(np.array(actor.path)) for actor in vehicles})


def _paths(scenario: Scenario, actors: Sequence[ActorSpec]) -> dict[str, tuple[tuple[float, float], ...]]:
    """The ways of the connected cars that drive, by rolename."""
    connected = {car.rolename for car in scenario.connected}
    return {actor.rolename: actor.path for actor in actors if actor.rolename in connected and actor.path}


def _plans(
    paths: dict[str, tuple[tuple[float, float], ...]], objects: Sequence[TruthObject]
) -> dict[AgentName, tuple[tuple[float, float], ...]]:
    """The next points on each car's way."""
    plans = {}
    for thing in objects:
        if thing.rolename in paths:
            path = paths[thing.rolename]
            nearest = int(np.hypot(*(np.array(path) - (thing.state.pose.x, thing.state.pose.y)).T).argmin())
            plans[AgentName(thing.rolename)] = path[nearest + 1 : nearest + 1 + PLAN_POINTS]
    return plans
