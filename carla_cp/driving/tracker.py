"""Detections -> tracks in the world frame: a constant-velocity Kalman filter per object, Hungarian association.

Each detection counts at the time its sweep was captured, one of a late message at that of its sender's (the filter is
asked where the object was then, so that no velocity need be sent), and tracks are reported at the tick that asks. As in
ByteTrack (Zhang et al. 2022) strong detections choose their objects first, and weak ones only continue what is left.
Three facts of the road keep a detector's errors out of the report: bodies do not overlap, so the object with less
evidence gives way; most of what seems to creep stands, so a velocity within its own uncertainty is none; and nothing
is where the agent itself is. Left out: several motion models, and uncertainty of the ego's own pose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from carla_cp.geometry import matrix_from_pose, rotated_iou, transform_boxes, wrap_angle
from carla_cp.types import Detections, FloatArray, IntArray, ObjectClass, Pose, Track

_FORBIDDEN = 1e6


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Noise, association and life of tracks."""

    position_noise_m: float = 0.3  # standard deviation of a detection's centre
    acceleration_noise_mps2: float = 2.5
    speed_along_mps: float = 12.0  # standard deviation of a new object's velocity along its heading
    speed_across_mps: float = 3.0  # and across it
    walking_mps: float = 2.0  # and of a pedestrian's, any direction
    walking_noise_mps2: float = 1.0  # acceleration noise of a pedestrian
    gate_sigma: float = 4.0  # Mahalanobis distance of an association
    gate_m: float = 4.0  # and its length
    min_score: float = 0.15  # of what continues a track
    birth_score: float = 0.35  # of what starts one
    overlap: float = 0.05  # of the smaller of two footprints, more than which bodies cannot share
    significance: float = 2.5  # standard deviations of a velocity that is told from standing
    own_m: float = 1.2  # a box whose centre is nearer to the agent's origin is the agent itself
    birth_hits: int = 2  # before a track is reported
    birth_window_s: float = 0.25  # an unconfirmed track dies after so long without a hit
    death_s: float = 1.0  # a confirmed one
    smoothing: float = 0.3  # weight of a new detection's score
    memory: float = 4.0  # sum of the scores over which size and heading are averaged

    def __post_init__(self) -> None:
        if min(self.position_noise_m, self.acceleration_noise_mps2, self.gate_sigma, self.gate_m) <= 0:
            raise ValueError(f"noise and gates of the tracker must be positive: {self}")
        if min(self.memory, self.significance, self.overlap) <= 0:
            raise ValueError(f"memory, significance and overlap of the tracker must be positive: {self}")
        if self.birth_hits < 1 or not 0 < self.smoothing <= 1:
            raise ValueError(f"birth_hits must be at least 1 and smoothing in (0, 1]: {self}")


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Detections that count, in the world frame."""

    boxes: FloatArray  # (N, 7)
    labels: IntArray
    scores: FloatArray
    ages_s: FloatArray  # (N,) before the update's time


@dataclass(slots=True)
class _Object:
    id: int
    label: ObjectClass
    mean: FloatArray  # x, y, vx, vy
    covariance: FloatArray  # (4, 4)
    z: float
    size: FloatArray  # length, width, height
    yaw: float
    score: float
    evidence: float  # sum of the scores that size and heading come from, at most `memory`
    hits: int
    last_seen_us: int


class Tracker:
    """The objects around the ego, from its detections alone."""

    def __init__(self, config: TrackerConfig = TrackerConfig()) -> None:
        self._config = config
        self._objects: list[_Object] = []
        self._time_us = 0
        self._born = 0

    def update(self, detections: Detections, world_from_agent: Pose, capture_us: int) -> None:
        """Take in the detections of one sweep, captured at `capture_us` from `world_from_agent`.

        Raises:
            ValueError: the sweep is older than the last.
        """
        if capture_us < self._time_us:
            raise ValueError(f"sweep of {capture_us} us after one of {self._time_us} us: updates go forward in time")
        self._predict((capture_us - self._time_us) * 1e-6)
        self._time_us = capture_us
        elsewhere = np.hypot(detections.boxes[:, 0], detections.boxes[:, 1]) >= self._config.own_m
        keep = np.flatnonzero((detections.scores >= self._config.min_score) & elsewhere)
        seen = _Seen(
            transform_boxes(matrix_from_pose(world_from_agent), detections.boxes[keep]),
            detections.labels[keep],
            detections.scores[keep],
            np.zeros(len(keep)) if detections.ages_s is None else detections.ages_s[keep],
        )
        strong = seen.scores >= self._config.birth_score
        pairs = self._associate(np.arange(len(self._objects)), np.flatnonzero(strong), seen)
        rest = np.setdiff1d(np.arange(len(self._objects)), [row for row, _ in pairs])
        taken = {column for _, column in pairs}
        pairs += self._associate(rest, np.flatnonzero(~strong), seen)
        for index, column in pairs:
            self._correct(self._objects[index], seen, column)
        for column in np.flatnonzero(strong).tolist():
            if column not in taken and not self._covered(seen, column):
                self._bear(seen, column)
        self._objects = [item for item in self._objects if self._alive(item)]

    def at(self, now_us: int) -> tuple[Track, ...]:
        """The confirmed tracks, by falling age, each moved on to `now_us` with its velocity; none overlap."""
        elapsed = (now_us - self._time_us) * 1e-6
        confirmed = [item for item in self._objects if item.hits >= self._config.birth_hits]
        real = self._real(confirmed)
        return tuple(_report(item, self._velocity(item), self._weight(item), elapsed) for item in real)

    def _real(self, objects: list[_Object]) -> list[_Object]:
        """The objects, in their order, without those that overlap one of more weight."""
        if not objects:
            return []
        boxes = np.array([[*item.mean[:2], item.z, *item.size, item.yaw] for item in objects])
        iou = rotated_iou(boxes, boxes)
        area = boxes[:, 3] * boxes[:, 4]
        shared = iou / (1.0 + iou) * (area[:, None] + area) / np.minimum(area[:, None], area)
        kept: list[int] = []
        for index in sorted(range(len(objects)), key=lambda i: (-self._weight(objects[i]), objects[i].id)):
            if not (shared[index, kept] > self._config.overlap).any():
                kept.append(index)
        return [objects[index] for index in sorted(kept)]

    def _weight(self, item: _Object) -> float:
        """Of an object's existence: its score, fading while it is not seen."""
        return item.score * (1.0 - (self._time_us - item.last_seen_us) * 1e-6 / (2.0 * self._config.death_s))

    def _velocity(self, item: _Object) -> FloatArray:
        """The object's velocity, zero where it does not differ from that within its uncertainty."""
        velocity = item.mean[2:]
        squared = float(velocity @ np.linalg.solve(item.covariance[2:, 2:], velocity))
        return np.zeros(2) if squared < self._config.significance**2 else velocity

    def _predict(self, elapsed: float) -> None:
        motion = np.eye(4)
        motion[0, 2] = motion[1, 3] = elapsed
        push = np.array([[elapsed**2 / 2, 0.0], [0.0, elapsed**2 / 2], [elapsed, 0.0], [0.0, elapsed]])
        unit = push @ push.T
        for item in self._objects:
            walks = item.label is ObjectClass.PEDESTRIAN
            noise = self._config.walking_noise_mps2 if walks else self._config.acceleration_noise_mps2
            item.mean = motion @ item.mean
            item.covariance = motion @ item.covariance @ motion.T + noise**2 * unit

    def _associate(self, rows: IntArray, columns: IntArray, seen: _Seen) -> list[tuple[int, int]]:
        """Pairs, of these objects and detections, within the gate, with the greatest likelihood in total.

        The likelihood's normaliser counts too: a newborn's wide uncertainty must not win over an old track.
        """
        if not len(rows) or not len(columns):
            return []
        costs = np.full((len(rows), len(columns)), _FORBIDDEN)
        for row, item in enumerate(self._objects[index] for index in rows):
            observed = _observed(seen.ages_s[columns])
            offset = seen.boxes[columns, :2] - observed @ item.mean
            spread = self._spread(item, observed)
            distance = np.sqrt(np.einsum("ni,nij,nj->n", offset, np.linalg.inv(spread), offset))
            near = (distance <= self._config.gate_sigma) & (np.hypot(*offset.T) <= self._config.gate_m)
            cost = distance**2 + np.log(np.linalg.det(spread))
            costs[row] = np.where(near & (seen.labels[columns] == int(item.label)), cost, _FORBIDDEN)
        return [
            (int(rows[row]), int(columns[column]))
            for row, column in zip(*linear_sum_assignment(costs), strict=True)
            if costs[row, column] < _FORBIDDEN
        ]

    def _spread(self, item: _Object, observed: FloatArray) -> FloatArray:
        """The covariances (..., 2, 2) of detections that are observed so."""
        noise = np.eye(2) * self._config.position_noise_m**2
        return np.asarray(observed @ item.covariance @ np.swapaxes(observed, -1, -2) + noise)

    def _correct(self, item: _Object, seen: _Seen, column: int) -> None:
        box, score, age_s = seen.boxes[column], float(seen.scores[column]), seen.ages_s[column]
        (observed,) = _observed(age_s[None])
        gain = item.covariance @ observed.T @ np.linalg.inv(self._spread(item, observed))
        item.mean = item.mean + gain @ (box[:2] - observed @ item.mean)
        kept = np.eye(4) - gain @ observed
        noise = self._config.position_noise_m**2 * gain @ gain.T
        item.covariance = kept @ item.covariance @ kept.T + noise  # Joseph's form stays positive definite
        item.score += max(self._config.smoothing, 1.0 / (item.hits + 1)) * (score - item.score)
        item.evidence = min(item.evidence + score, self._config.memory)
        weight = score / item.evidence
        item.size = item.size + weight * (box[3:6] - item.size)
        item.z += weight * (float(box[2]) - item.z)
        item.yaw = _heading(item, float(box[6]), weight)
        item.hits += 1
        item.last_seen_us = max(item.last_seen_us, self._time_us - round(age_s * 1e6))

    def _covered(self, seen: _Seen, column: int) -> bool:
        """Whether an object that is at least as likely stands where the box does: two cannot."""
        box, label, score = seen.boxes[column], ObjectClass(int(seen.labels[column])), float(seen.scores[column])
        return any(
            item.label is label
            and self._weight(item) >= score
            and math.hypot(item.mean[0] - box[0], item.mean[1] - box[1]) < (item.size[1] + box[4]) / 2
            for item in self._objects
        )

    def _bear(self, seen: _Seen, column: int) -> None:
        box, label, score = seen.boxes[column], ObjectClass(int(seen.labels[column])), float(seen.scores[column])
        age_s = float(seen.ages_s[column])
        self._born += 1
        mean = np.array([box[0], box[1], 0.0, 0.0])
        covariance, unknown = np.eye(4) * self._config.position_noise_m**2, self._unknown_velocity(label, float(box[6]))
        covariance[:2, :2] += age_s**2 * unknown  # it has moved on since
        covariance[:2, 2:] = covariance[2:, :2] = age_s * unknown
        covariance[2:, 2:] = unknown
        self._objects.append(
            _Object(
                id=self._born,
                label=label,
                mean=mean,
                covariance=covariance,
                z=float(box[2]),
                size=box[3:6].copy(),
                yaw=float(box[6]),
                score=score,
                evidence=score,
                hits=1,
                last_seen_us=self._time_us - round(age_s * 1e6),
            )
        )

    def _unknown_velocity(self, label: ObjectClass, yaw: float) -> FloatArray:
        if label is ObjectClass.PEDESTRIAN:
            return np.eye(2) * self._config.walking_mps**2
        axes = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
        spread = np.diag([self._config.speed_along_mps**2, self._config.speed_across_mps**2])
        return np.asarray(axes @ spread @ axes.T)

    def _alive(self, item: _Object) -> bool:
        confirmed = item.hits >= self._config.birth_hits
        limit = self._config.death_s if confirmed else self._config.birth_window_s
        return self._time_us - item.last_seen_us <= round(limit * 1e6)


def _observed(ages_s: FloatArray) -> FloatArray:
    """(N, 2, 4): what x, y, vx and vy at the update's time say of x and y so long before."""
    result = np.tile(np.eye(2, 4), (len(ages_s), 1, 1))
    result[:, 0, 2] = result[:, 1, 3] = -ages_s
    return result


def _heading(item: _Object, measured: float, weight: float) -> float:
    """The smoothed heading; a detector cannot always tell front from rear, motion can."""
    turn = wrap_angle(measured - item.yaw)
    if abs(turn) > math.pi / 2:
        turn = wrap_angle(turn + math.pi)
    yaw = item.yaw + weight * turn
    speed = math.hypot(item.mean[2], item.mean[3])
    backwards = item.mean[2] * math.cos(yaw) + item.mean[3] * math.sin(yaw) < 0
    return wrap_angle(yaw + math.pi) if speed > 3.0 and backwards else wrap_angle(yaw)


def _report(item: _Object, velocity: FloatArray, score: float, elapsed: float) -> Track:
    x, y = (float(value) for value in item.mean[:2])
    vx, vy = (float(value) for value in velocity)
    length, width, height = (float(value) for value in item.size)
    return Track(
        id=item.id,
        label=item.label,
        x=x + vx * elapsed,
        y=y + vy * elapsed,
        z=item.z,
        yaw=item.yaw,
        vx=vx,
        vy=vy,
        length=length,
        width=width,
        height=height,
        hits=item.hits,
        last_seen_us=item.last_seen_us,
        score=score,
    )
