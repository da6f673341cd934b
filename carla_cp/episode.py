"""One tick, one episode: sense, share, fuse, track, plan, act.

Perception takes one world step: what was captured at a tick is fused at the next one, 50 ms later, with what arrived
until then, and its boxes carry the capture time. This holds for every codec and for none, so that only the messages
tell them apart.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from carla_cp.codecs import PayloadError
from carla_cp.codecs.base import Codec, Silent
from carla_cp.codecs.oracle import OracleCodec
from carla_cp.driving.lights import lane_light
from carla_cp.driving.planner import Planner, PlannerConfig
from carla_cp.driving.route import Route
from carla_cp.driving.scripted import Traffic
from carla_cp.driving.tracker import Tracker, TrackerConfig
from carla_cp.geometry import (
    points_in_boxes,
    relative,
    rotated_iou,
    transform_boxes,
)
from carla_cp.link.channel import Link
from carla_cp.perception.detector import Detector, View
from carla_cp.types import (
    ActorSpec,
    AgentName,
    CodecChoice,
    Detections,
    EpisodeEnd,
    FloatArray,
    GridSpec,
    HazardSpec,
    IntArray,
    Message,
    Outcome,
    Perceived,
    Pose,
    Scenario,
    Shared,
    StageTimes,
    Sweep,
    TickRecord,
    Transmission,
    Truth,
    TruthObject,
    VehicleState,
)
from carla_cp.world import Roads, World

BLOCKED_S = 30.0  # at standstill
BLOCKED_SPEED_MPS = 0.1
AFTER_COLLISION_US = 1_000_000
MAX_MESSAGE_AGE_US = 250_000  # an older message is not fused
CONTACT_M = 0.5
ARRIVAL_M = 2.0  # before the route's end


def run_episode(
    world: World, scenario: Scenario, choice: CodecChoice, seed: int, detector: Detector, codec: Codec[Any]
) -> Generator[TickRecord, None, EpisodeEnd]:
    """Drives one episode of a drawn scenario in a freshly loaded world; yields every tick, returns why it ended."""
    roads = Roads(world.map)
    line = roads.trace([scenario.ego.start, *scenario.route])
    route = Route(line)
    world.spawn(scenario, seed)
    perception = _Perception(scenario, choice, seed, detector, codec)
    planner = Planner(PlannerConfig(cruise_mps=scenario.ego.speed_mps), route)
    traffic = Traffic(scenario.actors, {spec.rolename: roads.stop_lines(_path(spec)) for spec in _movers(scenario)})
    stop_lines = roads.stop_lines(line)
    end = _End(scenario.timeout_s)
    hazard = _HazardClock(scenario.hazards)
    tick, s, speed_before = 0, 0.0, scenario.ego.speed_mps
    while True:
        clock = _Stopwatch()
        now = world.tick()
        ego, objects, signals = world.odometry(), world.objects(), world.signals()
        sweeps = world.sweeps()
        clock.lap("sense")
        perceived = perception.fuse(now, clock)
        perception.capture(sweeps, objects, ego, clock)
        s, _ = route.project(ego.pose.x, ego.pose.y, s)
        light = lane_light(route, s + ego.length / 2, stop_lines, signals)
        tracks = perception.tracker.at(now)
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
            transmissions=perception.settled(last=reason is not None),
            route_fraction=min(1.0, s / route.length),
            truth=Truth(perception.with_returns(objects), collisions, hazard.active(ego)),
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


@dataclass(frozen=True, slots=True, eq=False)
class _Capture:
    """One capture tick, waiting for its fusion."""

    time_us: int
    ego_view: View
    world_from_agent: Pose
    truth_boxes: FloatArray
    truth_labels: IntArray
    oracle: Detections


class _Perception:
    """From sweeps to tracks: views, messages, fusion. Truth passes through to the record, and to `oracle` alone."""

    def __init__(
        self, scenario: Scenario, choice: CodecChoice, seed: int, detector: Detector, codec: Codec[Any]
    ) -> None:
        self.tracker = Tracker(TrackerConfig())
        self._detector, self._codec, self._choice = detector, codec, choice
        self._ego = AgentName(scenario.ego.rolename)
        self._link = Link(scenario.channel, zlib.crc32(f"link {scenario.seed} {seed}".encode()))
        self._pending: _Capture | None = None
        self._returns: dict[int, int] = {}
        self._sequence = 0
        self._settled: list[Transmission] = []

    # ------------------------------------------------------------------------------------------------- capture

    def capture(
        self, sweeps: Sequence[Sweep], objects: Sequence[TruthObject], ego: VehicleState, clock: _Stopwatch
    ) -> None:
        """Turns the tick's sweeps, if any, into views and messages on the link."""
        if not sweeps:
            return
        own, *partners = sweeps
        self._count_returns(sweeps, objects)
        clock.lap("sense")
        views = self._detector.views([own] if isinstance(self._codec, Silent) else sweeps)
        clock.lap("detect")
        for view, sweep in zip(views[1:], partners, strict=False):
            self._transmit(view, sweep, own)
        clock.lap("encode")
        world_from_agent = views[0].world_from_agent
        boxes, labels, seen = self._truth_in_range(objects, world_from_agent)
        oracle = Detections(boxes, np.ones(len(boxes)), labels)
        self._pending = _Capture(own.time_us, views[0], world_from_agent, boxes[seen], labels[seen], oracle)

    def _transmit(self, view: View, sweep: Sweep, own: Sweep) -> None:
        payload = self._codec.encode(view, self._choice.budget_bytes)
        message = Message(sweep.agent, self._ego, self._sequence, sweep.time_us, payload)
        self._sequence += 1
        here, there = sweep.world_from_lidar, own.world_from_lidar
        self._link.send(message, float(np.hypot(here.x - there.x, here.y - there.y)))

    def _count_returns(self, sweeps: Sequence[Sweep], objects: Sequence[TruthObject]) -> None:
        boxes = np.array([item.box for item in objects]).reshape(-1, 7)
        counts = np.zeros(len(objects), np.int64)
        for sweep in sweeps:
            lidar_from_world = relative(sweep.world_from_lidar, Pose())
            counts += points_in_boxes(sweep.points.astype(np.float64), transform_boxes(lidar_from_world, boxes))
        self._returns = {item.id: int(count) for item, count in zip(objects, counts, strict=True)}

    def _truth_in_range(
        self, objects: Sequence[TruthObject], world_from_agent: Pose
    ) -> tuple[FloatArray, IntArray, np.ndarray]:
        """Boxes (M, 7) and labels of all road users in the detector's range, in the ego's agent frame; who was seen."""
        users = [item for item in objects if item.label is not None]
        boxes = np.array([item.box for item in users]).reshape(-1, 7)
        boxes = transform_boxes(relative(world_from_agent, Pose()), boxes)
        inside = np.abs(boxes[:, :2]).max(axis=1, initial=0.0) < GridSpec().half_extent_m
        labels = np.array([int(item.label or 0) for item in users], np.int64)
        seen = np.array([self._returns[item.id] > 0 for item in users], bool)
        return boxes[inside], labels[inside], seen[inside]

    def with_returns(self, objects: Sequence[TruthObject]) -> tuple[TruthObject, ...]:
        """The objects with their LiDAR returns at the newest capture."""
        return tuple(replace(item, returns=self._returns.get(item.id, 0)) for item in objects)

    # -------------------------------------------------------------------------------------------------- fusion

    def fuse(self, now: int, clock: _Stopwatch) -> Perceived | None:
        """Fuses the capture that waits with the messages that have arrived, and updates the tracker."""
        capture, self._pending = self._pending, None
        if capture is None:
            return None
        shared = self._receive(now)
        clock.lap("decode")
        if isinstance(self._codec, OracleCodec):
            detections = capture.oracle
        else:
            detections = self._detector.finish(capture.ego_view, shared)
        self.tracker.update(detections, capture.world_from_agent, capture.time_us)
        clock.lap("detect")
        return Perceived(
            capture.time_us, capture.world_from_agent, detections, capture.truth_boxes, capture.truth_labels
        )

    def _receive(self, now: int) -> list[Shared]:
        """The newest fresh message of every sender, by sender."""
        newest: dict[AgentName, Shared] = {}
        for delivery in self._link.receive(now):
            outcome = delivery.transmission.outcome
            if delivery.message_payload is not None:
                shared = self._decode(delivery.message_payload)
                outcome = Outcome.REJECTED if shared is None else self._timeliness(shared, now)
                if shared is not None and outcome is Outcome.DELIVERED:
                    newest[delivery.transmission.sender] = shared
            self._settled.append(replace(delivery.transmission, outcome=outcome))
        return [newest[name] for name in sorted(newest)]

    def _decode(self, payload: bytes) -> Shared | None:
        try:
            shared: Shared = self._codec.decode(payload)
        except PayloadError:
            return None
        return shared

    @staticmethod
    def _timeliness(shared: Shared, now: int) -> Outcome:
        return Outcome.DELIVERED if now - shared.time_us <= MAX_MESSAGE_AGE_US else Outcome.LATE

    def settled(self, last: bool) -> tuple[Transmission, ...]:
        """The transmissions whose fate was decided since the last call; at the last tick, those still on their way."""
        settled, self._settled = self._settled, []
        if last:
            settled += [replace(item.transmission, outcome=Outcome.LATE) for item in self._link.pending]
        return tuple(settled)


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


class _Stopwatch:
    """Wall time of one tick's parts."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._parts = StageTimes()

    def lap(self, part: str) -> None:
        """Adds the time since the last lap to a part."""
        now = time.perf_counter()
        spent = 1e3 * (now - self._last)
        self._last = now
        match part:
            case "sense":
                self._parts = replace(self._parts, sense=self._parts.sense + spent)
            case "encode":
                self._parts = replace(self._parts, encode=self._parts.encode + spent)
            case "decode":
                self._parts = replace(self._parts, decode=self._parts.decode + spent)
            case "detect":
                self._parts = replace(self._parts, detect=self._parts.detect + spent)
            case _:
                self._parts = replace(self._parts, plan=self._parts.plan + spent)

    def times(self) -> StageTimes:
        """All parts, and the whole tick so far."""
        return replace(self._parts, tick=1e3 * (time.perf_counter() - self._start))


def _touching(ego: VehicleState, objects: Sequence[TruthObject]) -> bool:
    """Whether anything is within CONTACT_M of the ego's body."""
    pose = ego.pose
    grown = np.array([[pose.x, pose.y, 0.0, ego.length + 2 * CONTACT_M, ego.width + 2 * CONTACT_M, 1.0, pose.yaw]])
    boxes = np.array([item.box for item in objects]).reshape(-1, 7)
    return bool((rotated_iou(grown, boxes) > 0).any())
