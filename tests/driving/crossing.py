"""A kinematic crossing for closed-loop tests: two-lane roads of 3.5 m lanes meet at right angles, no simulator.

The ego drives along +x in the lane y = 1.75, the other along +y in the lane x = -1.75, from the left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from carla_cp.driving.planner import Planner, PlannerConfig
from carla_cp.driving.route import Route
from carla_cp.driving.tracker import Tracker
from carla_cp.geometry import bev_corners
from carla_cp.types import Control, Detections, LaneLight, LightState, Plan, Pose, VehicleState

STEP_S = 0.05
SIZE = (4.9, 2.0, 1.5)
EGO_LANE_Y, OTHER_LANE_X = 1.75, -1.75
EGO_LINE_X = -12.0  # the ego's stop line


@dataclass(frozen=True)
class Crossing:
    """The other reaches the crossing point `offset_s` after the ego would."""

    ego_mps: float = 12.0
    other_mps: float = 13.0
    offset_s: float = 0.0
    known_s: float = 3.0  # before its arrival from when on it is detected
    other_stop_mps2: float = 0.0  # it stops at its line with so much, unless 0
    other_line_m: float = 6.0  # before the ego's corridor
    noise_m: float = 0.3
    delay_ticks: int = 2  # from capture to plan
    ghost: bool = False  # adds false boxes at random places off the ego's lane
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """What happened."""

    min_gap_m: float
    hardest_brake_mps2: float
    hard_brake_s: float  # longest time in a row with more than 3 m/s^2
    ego_end_x: float
    plans: tuple[Plan, ...]


def drive(state: VehicleState, control: Control) -> VehicleState:
    """One step of the server's vehicle model: a fitted engine, a kinematic bicycle."""
    pose, speed = state.pose, state.speed
    pull = 7.61 * control.throttle**2.45 * math.exp(-speed / 22.0) - 7.5 * control.brake - (0.5 if speed > 0 else 0.0)
    after = max(0.0, speed + pull * STEP_S)
    slip = math.atan(0.5 * math.tan(math.radians(40.0) * control.steer))
    yaw_rate = after / 1.45 * math.sin(slip)
    x = pose.x + after * math.cos(pose.yaw + slip) * STEP_S
    y = pose.y + after * math.sin(pose.yaw + slip) * STEP_S
    yaw = pose.yaw + yaw_rate * STEP_S
    gained = (after - speed) / STEP_S
    return replace(
        state,
        pose=replace(pose, x=x, y=y, yaw=yaw),
        velocity=(after * math.cos(yaw), after * math.sin(yaw), 0.0),
        acceleration=(gained * math.cos(yaw), gained * math.sin(yaw), 0.0),
        yaw_rate=yaw_rate,
    )


def body(x: float, y: float, yaw: float, speed: float) -> VehicleState:
    """A car."""
    velocity = (speed * math.cos(yaw), speed * math.sin(yaw), 0.0)
    return VehicleState(Pose(x=x, y=y, yaw=yaw), velocity, (0.0, 0.0, 0.0), 0.0, *SIZE)


def gap(first: VehicleState, second: VehicleState) -> float:
    """Distance between two footprints, 0 where they overlap; by dense sampling of their outlines."""
    outlines = [_outline(first), _outline(second)]
    for one, other in ((first, outlines[1]), (second, outlines[0])):
        offset = other - (one.pose.x, one.pose.y)
        along = offset @ (math.cos(one.pose.yaw), math.sin(one.pose.yaw))
        across = offset @ (-math.sin(one.pose.yaw), math.cos(one.pose.yaw))
        if np.any((np.abs(along) <= one.length / 2) & (np.abs(across) <= one.width / 2)):
            return 0.0
    return float(np.hypot(*(outlines[0][:, None] - outlines[1][None]).transpose(2, 0, 1)).min())


def _outline(state: VehicleState) -> np.ndarray:
    box = np.array([[state.pose.x, state.pose.y, 0.0, state.length, state.width, 1.5, state.pose.yaw]])
    corners = bev_corners(box)[0]
    part = np.linspace(0.0, 1.0, 20)[:, None]
    return np.concatenate([corners[i] + part * (corners[(i + 1) % 4] - corners[i]) for i in range(4)])


def _other_after(other: VehicleState, case: Crossing, line_y: float) -> VehicleState:
    speed = other.speed
    if case.other_stop_mps2 > 0:
        room = line_y - (other.pose.y + other.length / 2)
        if room < 0.05:
            speed = 0.0
        elif speed**2 / (2 * room) >= case.other_stop_mps2:
            speed = max(0.0, speed - speed**2 / (2 * room) * STEP_S)
    moved = replace(other.pose, y=other.pose.y + speed * STEP_S)
    return replace(other, pose=moved, velocity=(0.0, speed, 0.0))


def _sense(case: Crossing, ego: VehicleState, other: VehicleState, rng: np.random.Generator) -> Detections:
    offset = (other.pose.x - ego.pose.x, other.pose.y - ego.pose.y)
    turn = ego.pose.yaw
    x = offset[0] * math.cos(turn) + offset[1] * math.sin(turn)
    y = -offset[0] * math.sin(turn) + offset[1] * math.cos(turn)
    noise = rng.normal(0.0, case.noise_m, 2)
    rows = [(x + noise[0], y + noise[1], 0.75, *SIZE, other.pose.yaw - turn + rng.normal(0.0, 0.05))]
    if case.ghost:
        side = rng.choice([-1.0, 1.0])
        rows.append((rng.uniform(-10.0, 40.0), side * rng.uniform(6.0, 20.0), 0.75, *SIZE, rng.uniform(-3.0, 3.0)))
    return Detections(np.array(rows), np.full(len(rows), 0.8), np.zeros(len(rows), np.int64))


def play(case: Crossing, duration_s: float = 9.0, config: PlannerConfig | None = None) -> Result:
    """Drive the case to its end."""
    rng = np.random.default_rng([case.seed, 7])
    arrival_s = 5.0
    ego = body(OTHER_LANE_X - arrival_s * case.ego_mps, EGO_LANE_Y, 0.0, case.ego_mps)
    meets_s = arrival_s + case.offset_s
    other = body(OTHER_LANE_X, EGO_LANE_Y - meets_s * case.other_mps, math.pi / 2, case.other_mps)
    line_y = EGO_LANE_Y - SIZE[1] / 2 - case.other_line_m
    route = Route(np.array([(-90.0, EGO_LANE_Y), (120.0, EGO_LANE_Y)]))
    planner = Planner(config or PlannerConfig(cruise_mps=case.ego_mps), route)
    tracker = Tracker()
    waiting: list[tuple[int, Detections, Pose, int]] = []
    gaps, braking, plans = [], [], []
    for tick in range(round(duration_s / STEP_S)):
        now_us = tick * 50_000
        if tick % 2 == 0:
            seen = _sense(case, ego, other, rng)
            if tick * STEP_S < meets_s - case.known_s:
                seen = Detections(seen.boxes[1:], seen.scores[1:], seen.labels[1:])
            waiting.append((tick + case.delay_ticks, seen, ego.pose, now_us))
        while waiting and waiting[0][0] <= tick:
            _, seen, pose, captured_us = waiting.pop(0)
            tracker.update(seen, pose, captured_us)
        front = ego.pose.x + ego.length / 2
        light = LaneLight(LightState.GREEN, EGO_LINE_X - front) if front <= EGO_LINE_X else None
        plans.append(planner.plan(ego, light, tracker.at(now_us), now_us))
        before = ego.speed
        ego = drive(ego, plans[-1].control)
        other = _other_after(other, case, line_y)
        gaps.append(gap(ego, other))
        braking.append((before - ego.speed) / STEP_S)
    return Result(min(gaps), max(braking), _longest(braking), ego.pose.x, tuple(plans))


def _longest(braking: list[float]) -> float:
    best = run = 0
    for value in braking:
        run = run + 1 if value > 3.0 else 0
        best = max(best, run)
    return best * STEP_S
