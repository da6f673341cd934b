"""What a seed makes of a scenario: uniform draws around its nominal values, keyed by (seeds, what, who)."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from carla_cp.scenario.errors import ScenarioError
from carla_cp.types import ActorSpec, Arrival, Draw, Pose, Scenario

Point = tuple[float, float]


def draw_scenario(scenario: Scenario, seed: int) -> Scenario:
    """The scenario as it is played with this seed: every speed and start is settled, nothing is left to draw.

    An actor with an Arrival starts where, at its drawn constant speed, it reaches the point of its path nearest to
    (x, y) when the ego would at its own, plus the offset; one that waits starts where its path begins, and departs in
    time for that. Adding an actor changes no other actor's draws.
    Raises ScenarioError if its path is too short for that, or too long.
    """
    ego = _settle(scenario, scenario.ego, seed)
    actors = []
    for actor in scenario.actors:
        settled = _settle(scenario, actor, seed)
        if settled.arrival is not None:
            late = settled.arrival.offset_s + actor.draw.offset_s * _unit(scenario, seed, "offset", actor.rolename)
            time_s = ego_arrival_s(scenario, ego, settled.arrival) + late
            settled = replace(_arriving(scenario, settled, settled.arrival, time_s), arrival=None)
        actors.append(settled)
    return replace(scenario, ego=ego, actors=tuple(actors))


def ego_arrival_s(scenario: Scenario, ego: ActorSpec, arrival: Arrival) -> float:
    """When the ego, at its speed from the start, is at the point of its route nearest to (x, y) [s]."""
    route = [(pose.x, pose.y) for pose in scenario.route]
    here, _ = project(route, (ego.start.x, ego.start.y))
    there, _ = project(route, (arrival.x, arrival.y))
    return (there - here) / ego.speed_mps


def project(line: Sequence[Point], point: Point) -> tuple[float, float]:
    """Arc length of the polyline's point nearest to `point`, and the distance to it [m]."""
    best, best_s, start_s = math.inf, 0.0, 0.0
    for (ax, ay), (bx, by) in itertools.pairwise(line):
        length = math.hypot(bx - ax, by - ay)
        ux, uy = (bx - ax) / length, (by - ay) / length
        along = min(max((point[0] - ax) * ux + (point[1] - ay) * uy, 0.0), length)
        distance = math.hypot(ax + along * ux - point[0], ay + along * uy - point[1])
        if distance < best:
            best, best_s = distance, start_s + along
        start_s += length
    return best_s, best


def pose_at(line: Sequence[Point], s_m: float, z: float) -> Pose:
    """The pose on a polyline at an arc length, heading along it."""
    for (ax, ay), (bx, by) in itertools.pairwise(line):
        length = math.hypot(bx - ax, by - ay)
        if s_m <= length:
            break
        s_m -= length
    part = min(s_m / length, 1.0)
    return Pose(ax + part * (bx - ax), ay + part * (by - ay), z, yaw=math.atan2(by - ay, bx - ax))


def _unit(scenario: Scenario, seed: int, what: str, rolename: str) -> float:
    """A uniform draw in [-1, 1)."""
    key = [scenario.seed, seed, zlib.crc32(what.encode()), zlib.crc32(rolename.encode())]
    return float(np.random.default_rng(key).uniform(-1.0, 1.0))


def _settle(scenario: Scenario, actor: ActorSpec, seed: int) -> ActorSpec:
    """The actor with its drawn speed and start, before any arrival."""
    draw, name, start = actor.draw, actor.rolename, actor.start
    speed = actor.speed_mps * (1.0 + draw.speed_fraction * _unit(scenario, seed, "speed", name))
    along = draw.along_m * _unit(scenario, seed, "along", name)
    across = draw.across_m * _unit(scenario, seed, "across", name)
    cos, sin = math.cos(start.yaw), math.sin(start.yaw)
    moved = replace(start, x=start.x + along * cos - across * sin, y=start.y + along * sin + across * cos)
    return replace(actor, speed_mps=speed, start=moved, draw=Draw())


def _arriving(scenario: Scenario, actor: ActorSpec, arrival: Arrival, time_s: float) -> ActorSpec:
    """The actor with the start, or the departure, from which it arrives after `time_s`."""
    target, _ = project(actor.path, (arrival.x, arrival.y))
    s_m = target - actor.speed_mps * time_s
    if not arrival.waits:
        return replace(actor, start=_start_on_path(scenario, actor, target, time_s))
    if s_m > 0.0:
        raise ScenarioError(
            f"{scenario.source}: '{actor.rolename}' waits, but its way of {target:.1f} m to its arrival point takes "
            f"more than the {time_s:.2f} s it has; shorten the path, or change speed or offset_s"
        )
    return replace(actor, start=pose_at(actor.path, 0.0, actor.start.z), departs_s=-s_m / actor.speed_mps)


def _start_on_path(scenario: Scenario, actor: ActorSpec, target: float, time_s: float) -> Pose:
    s_m = target - actor.speed_mps * time_s
    length = sum(math.dist(a, b) for a, b in itertools.pairwise(actor.path))
    if not 0.0 <= s_m <= length:
        need = actor.speed_mps * time_s
        raise ScenarioError(
            f"{scenario.source}: the path of '{actor.rolename}' has {target:.1f} m before its arrival point, "
            f"but {need:.1f} m are needed to arrive in {time_s:.2f} s; lengthen the path, or change speed or offset_s"
        )
    return pose_at(actor.path, s_m, actor.start.z)
