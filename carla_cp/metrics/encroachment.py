"""How shortly after one another two bodies were at the same place. It needs no prediction: only what happened."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carla_cp.metrics.boxes import box_of, overlapping
from carla_cp.metrics.collisions import before_contact
from carla_cp.types import FloatArray, TickRecord

CROSSING_RAD = math.radians(30.0)  # SSAM's version 2: less between two headings is rear-end


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Where one body was, and when."""

    times_s: FloatArray  # (K,)
    boxes: FloatArray  # (K, 7) world frame


def course_of_ego(records: Sequence[TickRecord]) -> Course:
    """The ego's course."""
    boxes = np.array([box_of(record.ego) for record in records]).reshape(-1, 7)
    return Course(np.array([record.time_us for record in records]) / 1e6, boxes)


def courses_of_others(records: Sequence[TickRecord]) -> dict[int, Course]:
    """The course of every other actor, by its id."""
    seen: dict[int, list[tuple[float, ...]]] = {}
    for record in records:
        for item in record.truth.objects:
            seen.setdefault(item.id, []).append((record.time_us / 1e6, *item.box))
    rows = {number: np.array(course) for number, course in seen.items()}
    return {number: Course(row[:, 0], row[:, 1:]) for number, row in rows.items()}


def least_time_apart(first: Course, second: Course, least_angle_rad: float = 0.0) -> float:
    """The least time [s] between one's being at a place and the other's being there, inf where they share none.

    Pairs of headings that differ by less than `least_angle_rad`, forwards or backwards, do not count. Exact to a tick.
    """
    turn = first.boxes[:, None, 6] - second.boxes[None, :, 6]
    offset = first.boxes[:, None, :2] - second.boxes[None, :, :2]
    radius = [np.hypot(course.boxes[:, 3], course.boxes[:, 4]) / 2 for course in (first, second)]
    near = (offset**2).sum(-1) < (radius[0][:, None] + radius[1][None]) ** 2
    one, two = np.nonzero(near & (np.abs(np.sin(turn)) >= math.sin(least_angle_rad)))
    shared = overlapping(first.boxes[one], second.boxes[two])
    return float(np.abs(first.times_s[one] - second.times_s[two])[shared].min(initial=np.inf))


def post_encroachment_time(records: Sequence[TickRecord]) -> float | None:
    """PET [s]: the least time between the first's leaving a place and the second's reaching it, over all who cross.

    Allen, Shin and Cooper 1978. Crossing means headings at least 30 degrees apart (SSAM), so that a leader's headway
    is none. Only what happened before any contact counts. None if no two paths crossed.
    """
    free = before_contact(records)
    if not free:
        return None
    ego = course_of_ego(free)
    apart = [least_time_apart(ego, course, CROSSING_RAD) for course in courses_of_others(free).values()]
    least = min(apart, default=math.inf)
    return least if math.isfinite(least) else None
