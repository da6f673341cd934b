"""Corrects believed poses by the boxes that several agents see (CoAlign; Lu et al., ICRA 2023, section IV).

Faithful: each agent's boxes in its own frame, with standard deviations of x, y and yaw, are clustered over agents; a
cluster is a landmark; poses and landmarks are the nodes of an SE(2) graph whose edges weigh 1/variance; the ego stays
fixed; Levenberg-Marquardt. Added by us, against boxes that are matched though they are different objects: Cauchy
weights that tighten while clusters are found anew with the corrected poses; and a prior on the believed poses, as wide
as the corrections of the round before turn out, so that true poses are not moved by the boxes' own errors. Yaw counts
modulo a half turn, since front and rear are easily confused. In the plane only: z, roll and pitch stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carla_cp.types import Detections, FloatArray, IntArray

Mask = npt.NDArray[np.bool_]

POSE_SPREAD = np.array([0.7, 0.7, 0.015])  # standard deviations of a believed pose, to begin with [m, m, rad]
POSE_SPREADS = (np.array([0.05, 0.05, 0.001]), np.array([1.0, 1.0, 0.03]))  # the least and the most they may become
LEAST_SPREAD = np.array([0.05, 0.05, 0.01])  # no box is known better [m, m, rad]
LEAST_SCORE = 0.2  # of boxes that take part
LEAST_MATCHES = 2  # of an agent, for its pose to be corrected
ROUNDS = ((2.5, 6.0), (1.5, 3.0), (1.0, 2.0))  # how near boxes of one object lie [m]; where Cauchy weights halve
STEPS = 12  # Levenberg-Marquardt steps per round, at most
SETTLED = 1e-6  # a step shorter than this ends a round


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """All boxes that take part, over all agents."""

    agent: IntArray  # (M,)
    label: IntArray  # (M,)
    at: FloatArray  # (M, 3) x, y, yaw in the agent's frame
    spread: FloatArray  # (M, 3)

    def of(self, chosen: Mask) -> _Sight:
        """The chosen boxes."""
        return _Sight(self.agent[chosen], self.label[chosen], self.at[chosen], self.spread[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class _Graph:
    """What poses and landmarks have to agree with."""

    believed: FloatArray  # (A, 3) x, y, yaw of the agents in the ego's frame
    prior: FloatArray  # (3,) standard deviations of `believed`
    seen: _Sight  # the boxes that belong to a landmark
    mark: IntArray  # (M,) their landmarks


def align(
    ego_from_agents: Sequence[FloatArray], found: Sequence[Detections], spreads: Sequence[FloatArray]
) -> tuple[FloatArray, ...]:
    """The matrices ego_from_agent (4, 4), corrected in the plane; the ego's, the first, as it is.

    `found` are each agent's own boxes in its frame, `spreads` (N, 3) their standard deviations of x [m], y [m] and
    yaw [rad]. An agent with fewer than LEAST_MATCHES boxes that others see too keeps its pose.
    """
    believed = np.array([[m[0, 3], m[1, 3], np.arctan2(m[1, 0], m[0, 0])] for m in ego_from_agents])
    sight = _gather(found, spreads)
    poses, prior = believed, POSE_SPREAD
    for near_m, tight in ROUNDS:
        landmark = _cluster(sight, _in_ego_frame(poses, sight), near_m)
        matched = np.bincount(sight.agent[landmark >= 0], minlength=len(believed)) >= LEAST_MATCHES
        matched[0] = True
        landmark = _only(landmark, matched[sight.agent])
        if not (landmark >= 0).any():
            return tuple(ego_from_agents)
        graph = _Graph(believed, prior, sight.of(landmark >= 0), landmark[landmark >= 0])
        poses = _solve(np.where(matched[:, None], poses, believed), graph, tight)
        prior = _spread_of((poses - believed)[1:][matched[1:]])
    return (ego_from_agents[0], *(_moved(m, pose) for m, pose in zip(ego_from_agents[1:], poses[1:], strict=True)))


def _gather(found: Sequence[Detections], spreads: Sequence[FloatArray]) -> _Sight:
    for agent, (boxes, spread) in enumerate(zip(found, spreads, strict=True)):
        if spread.shape != (len(boxes.boxes), 3):
            raise ValueError(f"spreads of agent {agent} are {spread.shape}, not ({len(boxes.boxes)}, 3)")
    keep = np.concatenate([boxes.scores for boxes in found]) >= LEAST_SCORE
    return _Sight(
        np.repeat(np.arange(len(found)), [len(boxes.boxes) for boxes in found])[keep],
        np.concatenate([boxes.labels for boxes in found])[keep],
        np.concatenate([boxes.boxes[:, [0, 1, 6]] for boxes in found])[keep],
        np.maximum(np.concatenate(list(spreads))[keep], LEAST_SPREAD),
    )


def _in_ego_frame(poses: FloatArray, sight: _Sight) -> FloatArray:
    """Every box (M, 3) as the poses (A, 3) place it in the ego's frame."""
    x, y, yaw = poses[sight.agent].T
    cos, sin = np.cos(yaw), np.sin(yaw)
    at = sight.at
    return np.stack([x + cos * at[:, 0] - sin * at[:, 1], y + sin * at[:, 0] + cos * at[:, 1], yaw + at[:, 2]], axis=1)


def _cluster(sight: _Sight, placed: FloatArray, near_m: float) -> IntArray:
    """The landmark of each box (M,), -1 for one that nobody else sees; the nearest pairs join first.

    A landmark holds at most one box of an agent, and boxes of one class.
    """
    apart = np.hypot(placed[:, None, 0] - placed[None, :, 0], placed[:, None, 1] - placed[None, :, 1])
    fits = (sight.agent[:, None] < sight.agent) & (sight.label[:, None] == sight.label) & (apart <= near_m)
    first, second = np.nonzero(fits)
    order = np.argsort(apart[first, second], kind="stable")
    group = np.arange(len(placed))
    for one, other in zip(first[order], second[order], strict=True):
        here, there = group == group[one], group == group[other]
        if group[one] != group[other] and not np.isin(sight.agent[here], sight.agent[there]).any():
            group[there] = group[one]
    shared = np.bincount(group, minlength=len(group))[group] > 1
    return _only(group, shared)


def _only(landmark: IntArray, keep: Mask) -> IntArray:
    """Landmarks numbered from zero; -1 where not kept, and for those that fewer than two boxes are left of."""
    kept = np.where(keep & (landmark >= 0), landmark, -1)
    several = np.bincount(kept + 1, minlength=2)[kept + 1] > 1
    kept = np.where(several, kept, -1)
    result = np.full(len(kept), -1)
    result[kept >= 0] = np.unique(kept[kept >= 0], return_inverse=True)[1]
    return result


def _spread_of(corrections: FloatArray) -> FloatArray:
    """Standard deviations (3,) of believed poses that needed these corrections (A, 3)."""
    squares = (corrections**2).mean(axis=0)
    place = squares[:2].mean()
    return np.asarray(np.clip(np.sqrt([place, place, squares[2]]), *POSE_SPREADS))


def _solve(start: FloatArray, graph: _Graph, tight: float) -> FloatArray:
    """The poses (A, 3) that agree best with the landmarks, beginning at `start`."""
    mark = graph.mark
    placed = _in_ego_frame(start, graph.seen)
    marks = placed[[int(np.flatnonzero(mark == index)[0]) for index in range(mark.max() + 1)]]
    state, damping = np.concatenate([start[1:].ravel(), marks.ravel()]), 1e-4
    error, slope = _errors(state, graph)
    weight = _cauchy(error, len(mark), tight)
    for _ in range(STEPS):
        normal = slope.T @ (slope * weight[:, None])
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -slope.T @ (weight * error))
        next_error, next_slope = _errors(state + step, graph)
        if weight @ next_error**2 > weight @ error**2:
            damping *= 10.0
            continue
        state, error, slope, damping = state + step, next_error, next_slope, damping / 10.0
        weight = _cauchy(error, len(mark), tight)
        if np.abs(step).max() < SETTLED:
            break
    poses: FloatArray = np.concatenate([start[:1], state[: 3 * (len(start) - 1)].reshape(-1, 3)])
    return poses


def _errors(state: FloatArray, graph: _Graph) -> tuple[FloatArray, FloatArray]:
    """Errors in standard deviations, three per box and then three per believed pose but the ego's, and their slopes."""
    believed, seen, mark = graph.believed, graph.seen, graph.mark
    others, boxes = len(believed) - 1, len(mark)
    poses = np.concatenate([believed[:1], state[: 3 * others].reshape(-1, 3)])
    marks = state[3 * others :].reshape(-1, 3)
    x, y, yaw = poses[seen.agent].T
    cos, sin = np.cos(yaw), np.sin(yaw)
    dx, dy = marks[mark, 0] - x, marks[mark, 1] - y
    along, across = cos * dx + sin * dy, cos * dy - sin * dx
    error = np.stack([along, across, marks[mark, 2] - yaw], axis=1) - seen.at
    error[:, 2] = (error[:, 2] + np.pi / 2) % np.pi - np.pi / 2
    by_mark = np.zeros((boxes, 3, 3))
    by_mark[:, 0, 0] = by_mark[:, 1, 1] = cos
    by_mark[:, 0, 1], by_mark[:, 1, 0], by_mark[:, 2, 2] = sin, -sin, 1.0
    by_pose = -by_mark
    by_pose[:, 0, 2], by_pose[:, 1, 2] = across, -along
    slope = np.zeros((boxes + others, 3, others + len(marks), 3))
    row, mobile = np.arange(boxes), seen.agent > 0
    slope[row, :, others + mark] = by_mark / seen.spread[:, :, None]
    slope[row[mobile], :, seen.agent[mobile] - 1] = (by_pose / seen.spread[:, :, None])[mobile]
    slope[boxes + np.arange(others), :, np.arange(others)] = np.diag(1.0 / graph.prior)
    kept = (poses - believed)[1:] / graph.prior
    return np.concatenate([error / seen.spread, kept]).ravel(), slope.reshape(3 * (boxes + others), -1)


def _cauchy(error: FloatArray, boxes: int, tight: float) -> FloatArray:
    """A weight per row of errors, one value per box: 1/2 where a box is `tight` standard deviations off."""
    off = (error[: 3 * boxes].reshape(-1, 3)[:, :2] ** 2).sum(axis=1)
    weight = np.ones(len(error))
    weight[: 3 * boxes] = np.repeat(1.0 / (1.0 + off / tight**2), 3)
    return weight


def _moved(matrix: FloatArray, pose: FloatArray) -> FloatArray:
    """The matrix with x, y and yaw (3,) in place of its own."""
    turn = pose[2] - np.arctan2(matrix[1, 0], matrix[0, 0])
    cos, sin = np.cos(turn), np.sin(turn)
    result = matrix.copy()
    result[:2, :3] = np.array([[cos, -sin], [sin, cos]]) @ matrix[:2, :3]
    result[:2, 3] = pose[:2]
    return result
