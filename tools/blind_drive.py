"""Plays a scenario with an ego that drives on as if its hazard were not there, and counts who could see the hazard.

No networks: everybody but the hazard is known to the planner as it is, and a sight is LiDAR returns on a body.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from conflict_area import in_the_way_since
from sights import Contact, Drive, Look

from carla_cp.driving.lights import lane_light
from carla_cp.driving.planner import Planner, PlannerConfig
from carla_cp.driving.route import Route
from carla_cp.driving.scripted import Traffic
from carla_cp.episode import ARRIVAL_M
from carla_cp.geometry import compose, count_returns
from carla_cp.metrics.boxes import box_distance, box_of
from carla_cp.perception.presets import MINI
from carla_cp.perception.truth import users_in_range
from carla_cp.scenario import draw_scenario
from carla_cp.types import AgentName, Pose, Scenario, Sweep, Track, TruthObject, VehicleState
from carla_cp.world import STEP_US, Roads, World

GRID = MINI.grid  # what lies outside is not detected, whoever sees it
CORRIDOR = PlannerConfig().corridor
CAPTURE_US = 2 * STEP_US


def drive_blind(world: World, scenario: Scenario, seed: int) -> Drive:
    """One seed of a scenario, up to the ego's first contact, the end of its route or the timeout.

    Raises ScenarioError or WorldError for a scenario that cannot be played.
    """
    world.load(scenario.map_file)
    drawn = draw_scenario(scenario, seed)
    roads = Roads(world.map)
    line = roads.ego_line(drawn)
    route, stop_lines = Route(line, against=roads.against(line)), roads.stop_lines(line)
    world.spawn(drawn if drawn.hazards else replace(drawn, connected=(), rsus=()), seed)  # nothing to be seen there
    planner = Planner(PlannerConfig(cruise_mps=drawn.ego.speed_mps), route)
    moving = [spec for spec in drawn.actors if spec.path]
    traffic = Traffic(drawn.actors, {spec.rolename: roads.stop_lines(np.array(spec.path)) for spec in moving})
    hazard = drawn.hazards[0].rolename if drawn.hazards else None
    looks: list[Look] = []
    contact, s, nearest_m = None, 0.0, math.inf
    course: list[tuple[int, VehicleState, tuple[TruthObject, ...]]] = []
    braked, reason = 0.0, "free"
    while contact is None:
        now = world.tick()
        ego, objects, signals = world.odometry(), world.objects(), world.signals()
        sweeps = tuple(world.sweeps())
        if now % CAPTURE_US == 0:
            looks.append(Look(now, ego, objects, _returns(sweeps, objects, hazard, drawn.channel.range_m)))
        gaps = _gaps(ego, objects)
        nearest_m = min(nearest_m, gaps.get(hazard or "", math.inf))
        touched = [name for name, gap in gaps.items() if gap <= 0.0]
        contact = _contact([*course, (now, ego, objects)], touched[0]) if touched else None
        course.append((now, ego, objects))
        s, _ = route.project(ego.pose.x, ego.pose.y, s)
        if s >= route.length - ARRIVAL_M or now >= drawn.timeout_s * 1e6:
            break
        light = lane_light(route, s + ego.length / 2, stop_lines, signals)
        plan = planner.plan(ego, light, _known(ego, objects, hazard, now), now)
        if -plan.acceleration_mps2 > braked:
            braked, reason = -plan.acceleration_mps2, _cause(plan.reason, plan.conflict_track, objects)
        world.apply(plan.control, traffic.commands(objects, ego, signals))
    return Drive(drawn, seed, tuple(looks), contact, nearest_m, world.buildings(), braked, reason)


def _cause(reason: str, track: int | None, objects: Sequence[TruthObject]) -> str:
    names = [item.rolename for item in objects if item.id == track]
    return f"{reason} ({names[0]})" if names else reason


def _returns(
    sweeps: Sequence[Sweep], objects: Sequence[TruthObject], hazard: str | None, range_m: float
) -> tuple[tuple[AgentName, int], ...]:
    """Of each agent the returns on the hazard; 0 where they are of no use to the ego, as either is too far from it."""
    target = [item for item in objects if item.rolename == hazard]
    if not sweeps:
        return ()
    own = _agent_pose(sweeps[0])
    counts = []
    for sweep in sweeps:
        pose = _agent_pose(sweep)
        near = np.hypot(pose.x - own.x, pose.y - own.y) <= range_m
        useful = near and bool(target) and _in_range(target[0], own) and _in_range(target[0], pose)
        if useful:
            box = np.array([target[0].box])
            counts.append((sweep.agent, int(count_returns(sweep.world_from_lidar, sweep.points, box)[0])))
        else:
            counts.append((sweep.agent, 0))
    return tuple(counts)


def _agent_pose(sweep: Sweep) -> Pose:
    return compose(sweep.world_from_lidar, Pose(z=-sweep.sensor_height_m))


def _in_range(item: TruthObject, world_from_agent: Pose) -> bool:
    return len(users_in_range([item], world_from_agent, GRID)[0]) > 0


def _contact(course: Sequence[tuple[int, VehicleState, tuple[TruthObject, ...]]], name: str) -> Contact:
    """The contact at the end of a course, in which the touch itself has changed both velocities."""
    others = [next(item for item in objects if item.rolename == name) for _, _, objects in course]
    own = np.array([box_of(ego) for _, ego, _ in course])
    own[:, 3:5] += 2.0 * np.array([CORRIDOR.end_margin_m, CORRIDOR.side_margin_m])  # the planner stays so far off
    before = max(len(course) - 2, 0)
    vx, vy, _ = others[before].state.velocity
    since = in_the_way_since(own, np.array([item.box for item in others]), (vx, vy), STEP_US / 1e6)
    now, _, _ = course[-1]
    way_us, _, _ = course[since]
    return Contact(now, name, way_us, course[min(since, before)][1].speed)


def _gaps(ego: VehicleState, objects: Sequence[TruthObject]) -> dict[str, float]:
    """The distance in the plane from the ego to everybody [m]."""
    boxes = np.array([item.box for item in objects]).reshape(-1, 7)
    gaps = box_distance(np.repeat(box_of(ego)[None], len(boxes), axis=0), boxes)
    return {item.rolename: float(gap) for item, gap in zip(objects, gaps, strict=True)}


def _known(ego: VehicleState, objects: Sequence[TruthObject], hazard: str | None, now: int) -> tuple[Track, ...]:
    """Tracks of everybody in the detector's range but the hazard, as they are."""
    others = [item for item in objects if item.rolename != hazard and _in_range(item, ego.pose)]
    return tuple(_track(item, now) for item in others)


def _track(item: TruthObject, now: int) -> Track:
    x, y, z, length, width, height, yaw = item.box
    assert item.label is not None  # users_in_range leaves props out
    vx, vy, _ = item.state.velocity
    return Track(item.id, item.label, x, y, z, yaw, vx, vy, length, width, height, 100, now, 1.0)
