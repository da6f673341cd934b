"""How hard the ego braked, and how long it did so without a cause, from the records of one episode."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from carla_cp.metrics.boxes import box_of
from carla_cp.metrics.collisions import before_contact
from carla_cp.metrics.encroachment import Course, courses_of_others, least_time_apart
from carla_cp.types import FloatArray, LightState, TickRecord

HARD_MPS2 = 3.4  # what most drivers can be asked for (AASHTO, stopping sight distance); IDM's comfort is 3.0
SHORTEST_S = 0.2  # two perception ticks: what is shorter is a twitch of the speed
LOOK_AHEAD_S = 5.0
CLOSE_S = 1.0  # at one place within so long of each other is reason enough to brake


def decelerations(records: Sequence[TickRecord]) -> FloatArray:
    """How fast the ego's speed fell [m/s^2] from each record to the next, before any contact: (K,); negative: it rose.

    Differences of speed, because a simulator's own acceleration is noisy and a crash is not braking.
    """
    free = before_contact(records)
    speed = np.array([record.ego.speed for record in free])
    times = np.array([record.time_us for record in free]) / 1e6
    return np.asarray(-np.diff(speed) / np.diff(times))


def max_brake(records: Sequence[TickRecord]) -> float:
    """The hardest braking before any contact [m/s^2], 0 if the ego never slowed down."""
    return float(decelerations(records).max(initial=0.0)) + 0.0  # no negative zero


def false_braking(records: Sequence[TickRecord]) -> float:
    """How long the ego braked hard without a cause, before any contact [s]. The definition is ours.

    Hard is more than 3.4 m/s^2 for at least 0.2 s. There was a cause if the ego, had it gone on along its plan's path
    at the speed at which the braking began, would within 5 s have been at a place within 1 s of somebody ahead of it,
    where all others do what they really did; or would have passed its lane's red or yellow light.
    A record without a plan counts as one to go straight on.
    """
    total = 0.0
    for start, end in _hard_stretches(records):
        lasted = (records[end].time_us - records[start].time_us) / 1e6
        if lasted >= SHORTEST_S - 1e-9 and not _has_cause(records, start):
            total += lasted
    return total


def _hard_stretches(records: Sequence[TickRecord]) -> list[tuple[int, int]]:
    """Indices of the first and last record of every unbroken hard braking."""
    hard = np.concatenate([[False], decelerations(records) > HARD_MPS2, [False]])
    edges = np.flatnonzero(hard[1:] != hard[:-1]).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _has_cause(records: Sequence[TickRecord], start: int) -> bool:
    record = records[start]
    light, reach_m = record.light, record.ego.speed * LOOK_AHEAD_S
    if light is not None and light.state in (LightState.RED, LightState.YELLOW) and 0 <= light.distance_m <= reach_m:
        return True
    unbraked = _unbraked(records, start)
    ahead = {item.id for item in record.truth.objects if _is_ahead(record, item.box[:2])}
    others = courses_of_others(records)
    return any(least_time_apart(unbraked, others[number]) < CLOSE_S for number in ahead)


def _unbraked(records: Sequence[TickRecord], start: int) -> Course:
    """Where the ego would have been at the later records, at its speed, along its path and then straight on."""
    record = records[start]
    pose, reach_m = record.ego.pose, max(1.0, record.ego.speed * LOOK_AHEAD_S)
    path = () if record.plan is None else record.plan.path[1:]
    line = np.array([(pose.x, pose.y), *path])
    ahead = line[-1] - line[-2] if len(line) > 1 else np.array([math.cos(pose.yaw), math.sin(pose.yaw)])
    line = np.concatenate([line, line[-1:] + reach_m * ahead / np.hypot(*ahead)])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    times = np.array([later.time_us for later in records[start:]]) / 1e6
    times = times[times - times[0] <= LOOK_AHEAD_S]
    s = record.ego.speed * (times - times[0])
    slope = np.diff(line, axis=0)
    edge = np.clip(np.searchsorted(along, s, side="right") - 1, 0, len(slope) - 1)
    boxes = np.repeat(box_of(record.ego)[None], len(times), axis=0)
    boxes[:, 0], boxes[:, 1] = (np.interp(s, along, line[:, axis]) for axis in (0, 1))
    boxes[:, 6] = np.arctan2(slope[edge, 1], slope[edge, 0])
    return Course(times, boxes)


def _is_ahead(record: TickRecord, place: tuple[float, ...]) -> bool:
    """Whether somebody's middle is ahead of the ego's rear: who is behind keeps the distance."""
    pose = record.ego.pose
    along = (place[0] - pose.x) * math.cos(pose.yaw) + (place[1] - pose.y) * math.sin(pose.yaw)
    return along > -record.ego.length / 2
