"""One tick, one episode: sense, share, fuse, track, plan, act.

Perception takes one world step: what was captured at a tick is fused at the next one, 50 ms later, with what arrived
until then, and its boxes carry the capture time. What the scenario's <compute> says comes on top. This holds for every
codec and for none, so that only the messages tell them apart.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from carla_cp.codecs.base import Codec
from carla_cp.cooperation import Cooperation
from carla_cp.driving.base import PlannerModel
from carla_cp.driving.lights import lane_light
from carla_cp.driving.planner import Planner
from carla_cp.driving.route import Route
from carla_cp.driving.scripted import Traffic
from carla_cp.geometry import rotated_iou
from carla_cp.perception.base import DetectorLike
from carla_cp.stopwatch import Stopwatch
from carla_cp.types import (
    ActorSpec,
    CodecChoice,
    EpisodeEnd,
    FloatArray,
    HazardSpec,
    Scenario,
    TickRecord,
    Truth,
    TruthObject,
    VehicleState,
)
from carla_cp.world import Roads, World

BLOCKED_S = 30.0  # at standstill
BLOCKED_SPEED_MPS = 0.1
AFTER_COLLISION_US = 1_000_000
CONTACT_M = 0.5
ARRIVAL_M = 2.0  # before the route's end


def run_episode(
    world: World,
    scenario: Scenario,
    choice: CodecChoice,
    seed: int,
    detector: DetectorLike,
    codec: Codec[Any],
    pool: Executor,
    planning: type[PlannerModel] = Planner,
) -> Generator[TickRecord, None, EpisodeEnd]:
    """Drives one episode of a drawn scenario in a freshly loaded world; yields every tick, returns why it ended.

    What each agent makes of its sweep is computed in `pool`.
    """
    roads = Roads(world.map)
    line = roads.ego_line(scenario)
    route = Route(line, against=roads.against(line))
    world.spawn(scenario, seed)
    team = Cooperation(scenario.team, choice, seed, detector, codec, pool, world.buildings())
    planner = planning.start(route, scenario.ego.speed_mps)
    traffic = Traffic(scenario.actors, {spec.rolename: roads.stop_lines(_path(spec)) for spec in _movers(scenario)})
    stop_lines = roads.stop_lines(line)
    end = _End(scenario.timeout_s)
    hazard = _HazardClock(scenario.hazards)
    tick, s, speed_before = 0, 0.0, scenario.ego.speed_mps
    while True:
        clock = Stopwatch()
        now = world.tick()
        ego, objects, signals = world.odometry(), world.objects(), world.signals()
        clock.lap("sense")
        perceived = team.fuse(now, clock)
        sweeps = team.capture(world.sweeps(), objects, clock)
        s, beside = route.project(ego.pose.x, ego.pose.y, s)
        light = lane_light(route, s + ego.length / 2, stop_lines, signals)
        tracks = team.tracker.at(now)
        plan = planner.plan(ego, light, tracks, now)
        world.apply(plan.control, traffic.commands(objects, ego, signals))
        clock.lap("plan")
        collisions = world.collisions(_touching(ego, objects), speed_before)
        speed_before = ego.speed
        reason = end.reason(now, ego, s >= route.length - ARRIVAL_M, bool(collisions))
        record = TickRecord(
            tick=tick,
            time_us=now,
            ego=ego,
            light=light,
            plan=plan,
            tracks=tracks,
            perceived=perceived,
            transmissions=team.settled(last=reason is not None),
            route_fraction=min(1.0, s / route.length),
            route_offset_m=beside,
            truth=Truth(team.with_returns(objects), collisions, hazard.active(ego)),
            times=clock.times(),
            sweeps=sweeps,
        )
        yield record
        if reason is not None:
            return reason
        tick += 1


def _movers(scenario: Scenario) -> list[ActorSpec]:
    return [spec for spec in scenario.actors if spec.path]


def _path(spec: ActorSpec) -> FloatArray:
    return np.array(spec.path)


class _End:
    """Decides when an episode is over."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_us = round(timeout_s * 1e6)
        self._moving_us = 0
        self._collided_us: int | None = None

    def reason(self, now: int, ego: VehicleState, arrived: bool, collided: bool) -> EpisodeEnd | None:
        """Why the episode ends at this tick, or None."""
        if collided and self._collided_us is None:
            self._collided_us = now
        if ego.speed >= BLOCKED_SPEED_MPS:
            self._moving_us = now
        if self._collided_us is not None:
            return EpisodeEnd.COLLISION if now - self._collided_us >= AFTER_COLLISION_US else None
        if arrived:
            return EpisodeEnd.ROUTE
        if now - self._moving_us >= BLOCKED_S * 1e6:
            return EpisodeEnd.BLOCKED
        return EpisodeEnd.TIMEOUT if now >= self._timeout_us else None


class _HazardClock:
    """Remembers whether a hazard's trigger has fired."""

    def __init__(self, hazards: Sequence[HazardSpec]) -> None:
        self._triggers = [trigger for hazard in hazards for trigger in hazard.triggers]
        self._active = False

    def active(self, ego: VehicleState) -> bool:
        for trigger in self._triggers:
            distance = float(np.hypot(trigger.x - ego.pose.x, trigger.y - ego.pose.y))
            value = distance if trigger.condition == "distance" else distance / max(ego.speed, 0.1)
            self._active = self._active or value < trigger.value
        return self._active


def _touching(ego: VehicleState, objects: Sequence[TruthObject]) -> bool:
    """Whether anything is within CONTACT_M of the ego's body."""
    pose = ego.pose
    grown = np.array([[pose.x, pose.y, 0.0, ego.length + 2 * CONTACT_M, ego.width + 2 * CONTACT_M, 1.0, pose.yaw]])
    boxes = np.array([item.box for item in objects]).reshape(-1, 7)
    return bool((rotated_iou(grown, boxes) > 0).any())
