"""How near the ego comes to hitting something, tick by tick: surrogate safety at constant velocities.

Report distributions of these (least, exceeded time) beside collisions: a mean time to collision says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carla_cp.metrics.boxes import box_distance, box_of, half_extent, time_to_collision
from carla_cp.metrics.collisions import before_contact
from carla_cp.types import FloatArray, IntArray, TickRecord

EXPOSED_S = 1.5  # TET's and TIT's threshold: a conflict in SSAM (FHWA-HRT-08-051)
SAME_WAY_RAD = math.radians(30.0)  # SSAM's version 2: less between two headings is rear-end


def min_time_to_collision(records: Sequence[TickRecord]) -> float | None:
    """The least two-dimensional time to collision with any actor over all ticks [s]; None if the ego approaches none.

    Boxes go on at constant velocity and heading (Hayward 1972, in the plane); 0 once they overlap.
    """
    return _finite(times_to_collision(records).min(initial=np.inf))


def times_to_collision(records: Sequence[TickRecord]) -> FloatArray:
    """At each record the least two-dimensional time to collision with any actor [s], inf where there is none: (K,)."""
    pairs = _pairs(records)
    least = np.full(len(records), np.inf)
    np.minimum.at(least, pairs.tick, time_to_collision(pairs.ego, pairs.other, pairs.other_velocity - pairs.velocity))
    return least


def min_time_to_leader(records: Sequence[TickRecord]) -> float | None:
    """The least time to collision with a leader over all ticks [s]: gap over closing speed; None without an approach.

    A leader heads the ego's way within 30 degrees (SSAM's rear-end), is ahead of its front, and reaches into the strip
    that its width sweeps.
    """
    pairs = _pairs(records)
    yaw = pairs.ego[:, 6:7]
    along, across = (_toward(pairs.other[:, :2] - pairs.ego[:, :2], yaw[:, 0] + turn) for turn in (0.0, np.pi / 2))
    reach = half_extent(pairs.other, yaw)[:, 0], half_extent(pairs.other, yaw + np.pi / 2)[:, 0]
    gap = along - pairs.ego[:, 3] / 2 - reach[0]
    same_way = np.cos(pairs.other[:, 6] - yaw[:, 0]) > math.cos(SAME_WAY_RAD)
    closing = _toward(pairs.velocity - pairs.other_velocity, yaw[:, 0])
    led = same_way & (gap > 0) & (np.abs(across) < pairs.ego[:, 4] / 2 + reach[1]) & (closing > 0)
    return _finite((gap[led] / closing[led]).min(initial=np.inf))


def time_exposed(records: Sequence[TickRecord], threshold_s: float = EXPOSED_S) -> float:
    """TET [s]: the time before any contact at which 0 < TTC <= threshold (Minderhoud and Bovy 2001)."""
    return float(_exposure(records, threshold_s)[0].sum())


def time_integrated(records: Sequence[TickRecord], threshold_s: float = EXPOSED_S) -> float:
    """TIT [s^2]: the sum over the time of `time_exposed` of how far TTC was below the threshold (same source)."""
    steps, below = _exposure(records, threshold_s)
    return float((steps * below).sum())


def max_deceleration_to_avoid(records: Sequence[TickRecord]) -> float | None:
    """DRAC, its largest before any contact [m/s^2]: what the ego must brake with, constantly, to avoid a collision.

    dv^2 / (2 d) towards a leader, v^2 / (2 d) towards what crosses (Archer 2005; SUMO's SSM device calls 3.0 critical):
    d is what the ego travels, relative to the other along its own heading, until the boxes would touch. What comes
    towards the ego is counted as standing. None without an approach.
    """
    free = before_contact(records)
    pairs = _pairs(free)
    ttc = time_to_collision(pairs.ego, pairs.other, pairs.other_velocity - pairs.velocity)
    yaw = pairs.ego[:, 6]
    speed = _toward(pairs.velocity, yaw) - np.maximum(0.0, _toward(pairs.other_velocity, yaw))
    approached = np.isfinite(ttc) & (ttc > 0) & (speed > 0)
    needed = speed[approached] ** 2 / (2.0 * speed[approached] * ttc[approached])
    return float(needed.max()) if len(needed) else None


def gaps_to_nearest(records: Sequence[TickRecord], rolename: str | None = None) -> tuple[float | None, ...]:
    """At each record the distance in the plane [m] from the ego's box to the nearest other's; None without one.

    With a `rolename` to that actor's box alone: the queue in the next lane is always the nearest, and says nothing.
    """
    pairs = _pairs(records)
    names = np.array([item.rolename for record in records for item in record.truth.objects], object)
    chosen = np.full(len(pairs.tick), True) if rolename is None else names == rolename
    least = np.full(len(records), np.inf)
    np.minimum.at(least, pairs.tick[chosen], box_distance(pairs.ego[chosen], pairs.other[chosen]))
    return tuple(_finite(value) for value in least.tolist())


def min_gap(records: Sequence[TickRecord], rolename: str | None = None) -> float | None:
    """The least of `gaps_to_nearest` over all ticks [m]; None if there never was one."""
    return min((gap for gap in gaps_to_nearest(records, rolename) if gap is not None), default=None)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """The ego and each object of each record, P in all."""

    tick: IntArray  # (P,) index of the record
    ego: FloatArray  # (P, 7)
    other: FloatArray  # (P, 7)
    velocity: FloatArray  # (P, 2) of the ego [m/s]
    other_velocity: FloatArray  # (P, 2)


def _pairs(records: Sequence[TickRecord]) -> _Pairs:
    counts = [len(record.truth.objects) for record in records]
    objects = [item for record in records for item in record.truth.objects]
    tick = np.repeat(np.arange(len(records)), counts)
    ego = np.array([box_of(record.ego) for record in records]).reshape(-1, 7)
    velocity = np.array([record.ego.velocity[:2] for record in records]).reshape(-1, 2)
    return _Pairs(
        tick,
        ego[tick],
        np.array([item.box for item in objects]).reshape(-1, 7),
        velocity[tick],
        np.array([item.state.velocity[:2] for item in objects]).reshape(-1, 2),
    )


def _exposure(records: Sequence[TickRecord], threshold_s: float) -> tuple[FloatArray, FloatArray]:
    """Of the records at which 0 < TTC <= threshold: the time since the one before, and how far below TTC was [s]."""
    free = before_contact(records)
    ttc = times_to_collision(free)
    times = np.array([record.time_us for record in free]) / 1e6
    steps = np.diff(times, prepend=times[:1])
    exposed = (ttc > 0) & (ttc <= threshold_s)
    return steps[exposed], threshold_s - ttc[exposed]


def _toward(vectors: FloatArray, yaw: FloatArray) -> FloatArray:
    """The part of each vector (P, 2) along its direction (P,)."""
    return np.asarray(vectors[:, 0] * np.cos(yaw) + vectors[:, 1] * np.sin(yaw))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
