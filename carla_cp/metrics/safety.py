"""Surrogate safety: collisions, time to collision, gaps, braking and awareness, from the records of one episode.

Time to collision is the two-dimensional one (Hayward 1972, for boxes in the plane at constant velocity and heading),
solved exactly on separating axes. Collisions are merged and judged as CARLA's Leaderboard does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carla_cp.geometry import bev_corners
from carla_cp.types import FloatArray, ObjectClass, TickRecord

SAME_COLLISION_S = 5.0  # CARLA Leaderboard: hits of one actor this close together are one collision
STANDING_MPS = 0.1  # CARLA Leaderboard: slower than this, the ego is not at fault
AWARE_WITHIN_M = 3.0  # of the hazard's centre


@dataclass(frozen=True, slots=True)
class Crash:
    """One collision of the ego, however many contacts it was made of."""

    t_s: float  # since the episode's first record
    other: str
    speed_mps: float  # of the ego, just before the first contact
    at_fault: bool  # the ego was moving
    label: ObjectClass | None  # of the other; None: a prop or the map


def collisions(records: Sequence[TickRecord]) -> tuple[Crash, ...]:
    """The ego's collisions in order of time; contacts with one actor less than 5 s apart are one."""
    labels = {item.id: item.label for record in records for item in record.truth.objects}
    newest: dict[int, int] = {}
    found: list[Crash] = []
    for record in records:
        for event in record.truth.collisions:
            before = newest.get(event.other_id)
            newest[event.other_id] = record.time_us
            if before is not None and record.time_us - before < SAME_COLLISION_S * 1e6:
                continue
            found.append(
                Crash(
                    t_s=(record.time_us - records[0].time_us) / 1e6,
                    other=event.other,
                    speed_mps=event.ego_speed_mps,
                    at_fault=event.ego_speed_mps >= STANDING_MPS,
                    label=labels.get(event.other_id),
                )
            )
    return tuple(found)


def min_time_to_collision(records: Sequence[TickRecord]) -> float | None:
    """The least time to collision with any actor over all ticks [s]; None if the ego never approaches one."""
    pairs = [_pairs(record) for record in records if record.truth.objects]
    if not pairs:
        return None
    ego, other, velocity = (np.concatenate(part) for part in zip(*pairs, strict=True))
    least = float(time_to_collision(ego, other, velocity).min())
    return least if math.isfinite(least) else None


def gap_to_nearest(record: TickRecord, rolename: str | None = None) -> float | None:
    """Distance in the plane [m] between the ego's box and the nearest other (or `rolename`'s) box; None without one."""
    objects = [item for item in record.truth.objects if rolename is None or item.rolename == rolename]
    if not objects:
        return None
    boxes = np.array([item.box for item in objects])
    ego = np.repeat(ego_box(record)[None], len(boxes), axis=0)
    return float(box_distance(ego, boxes).min())


def min_gap(records: Sequence[TickRecord], rolename: str | None = None) -> float | None:
    """The least of `gap_to_nearest` over all ticks [m]; None if there never was one.

    Name the hazard where there is one: the queue in the next lane is always the nearest, and says nothing.
    """
    gaps = [gap_to_nearest(record, rolename) for record in records]
    return min((gap for gap in gaps if gap is not None), default=None)


def decelerations(records: Sequence[TickRecord]) -> FloatArray:
    """How fast the ego's speed fell [m/s^2] from each record to the next, before any contact: (K,); negative: it rose.

    Differences of speed, because a simulator's own acceleration is noisy and a crash is not braking.
    """
    ends = next((index for index, record in enumerate(records) if record.truth.collisions), len(records))
    speed = np.array([record.ego.speed for record in records[:ends]])
    times = np.array([record.time_us for record in records[:ends]]) / 1e6
    return np.asarray(-np.diff(speed) / np.diff(times))


def max_brake(records: Sequence[TickRecord]) -> float:
    """The hardest braking before any contact [m/s^2], 0 if the ego never slowed down."""
    return float(decelerations(records).max(initial=0.0)) + 0.0  # no negative zero


def time_to_awareness(records: Sequence[TickRecord], hazard: str | None) -> float | None:
    """From the hazard's trigger to the first confirmed track on it [s]; None if either never happened.

    A track is on the hazard when it has its class and lies within 3 m of its centre in the plane. Negative: the ego
    knew of it before it started to matter.
    """
    trigger = next((record.time_us for record in records if record.truth.hazard_active), None)
    aware = next((record.time_us for record in records if _is_aware(record, hazard)), None)
    return None if trigger is None or aware is None else (aware - trigger) / 1e6


def ego_box(record: TickRecord) -> FloatArray:
    """The ego's true box in the world frame, as a row (7,) of a box array."""
    pose, ego = record.ego.pose, record.ego
    return np.array([pose.x, pose.y, pose.z + ego.height / 2, ego.length, ego.width, ego.height, pose.yaw])


def time_to_collision(first: FloatArray, second: FloatArray, velocity: FloatArray) -> FloatArray:
    """Seconds until paired boxes (P, 7) touch in the plane, inf if never: (P,).

    `velocity` (P, 2) [m/s] is the second's relative to the first's; headings stay. Overlapping boxes give 0.
    """
    offset, closing, reach = _projections(first, second, velocity)
    moving = np.abs(closing) > 1e-12
    speed = np.where(moving, np.abs(closing), 1.0)
    side = np.where(closing < 0, offset, -offset)
    apart = np.where(np.abs(offset) < reach, -np.inf, np.inf)
    enter = np.where(moving, (side - reach) / speed, apart).max(axis=1)
    leave = np.where(moving, (side + reach) / speed, np.inf).min(axis=1)
    return np.asarray(np.where((enter < leave) & (leave > 0), np.maximum(enter, 0.0), np.inf))


def box_distance(first: FloatArray, second: FloatArray) -> FloatArray:
    """Distance in the plane [m] between paired boxes (P, 7), 0 where they overlap: (P,)."""
    offset, _, reach = _projections(first, second, np.zeros((len(first), 2)))
    overlap = (np.abs(offset) < reach).all(axis=1)
    shift = first[:, None, :2]  # small coordinates keep precision
    one, two = bev_corners(first) - shift, bev_corners(second) - shift
    distance = np.minimum(_corners_to_edges(one, two), _corners_to_edges(two, one))
    return np.asarray(np.where(overlap, 0.0, distance))


def _pairs(record: TickRecord) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The ego's box and each object's (P, 7), and the objects' velocity relative to the ego's (P, 2)."""
    boxes = np.array([item.box for item in record.truth.objects])
    velocity = np.array([item.state.velocity[:2] for item in record.truth.objects]) - record.ego.velocity[:2]
    return np.repeat(ego_box(record)[None], len(boxes), axis=0), boxes, velocity


def _projections(
    first: FloatArray, second: FloatArray, velocity: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Along each of the four separating axes of paired boxes: offset, relative velocity, summed half-extents (P, 4)."""
    yaw = np.stack([first[:, 6], first[:, 6] + np.pi / 2, second[:, 6], second[:, 6] + np.pi / 2], axis=1)
    axes = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    offset = np.einsum("pak,pk->pa", axes, second[:, :2] - first[:, :2])
    closing = np.einsum("pak,pk->pa", axes, velocity)
    reach = _half_extent(first, yaw) + _half_extent(second, yaw)
    return offset, closing, reach


def _half_extent(boxes: FloatArray, yaw: FloatArray) -> FloatArray:
    angle = yaw - boxes[:, 6:7]
    return np.asarray((np.abs(np.cos(angle)) * boxes[:, 3:4] + np.abs(np.sin(angle)) * boxes[:, 4:5]) / 2)


def _corners_to_edges(corners: FloatArray, polygon: FloatArray) -> FloatArray:
    """Least distance from any of the corners (P, 4, 2) to any edge of the paired polygon (P, 4, 2): (P,)."""
    edge = np.roll(polygon, -1, axis=1) - polygon
    offset = corners[:, :, None] - polygon[:, None]
    along = (offset * edge[:, None]).sum(-1) / np.maximum((edge**2).sum(-1), 1e-12)[:, None]
    nearest = offset - np.clip(along, 0.0, 1.0)[..., None] * edge[:, None]
    return np.asarray(np.sqrt((nearest**2).sum(-1)).min(axis=(1, 2)))


def _is_aware(record: TickRecord, hazard: str | None) -> bool:
    return any(
        math.hypot(track.x - item.box[0], track.y - item.box[1]) <= AWARE_WITHIN_M and track.label == item.label
        for item in record.truth.objects
        if item.rolename == hazard
        for track in record.tracks
    )
