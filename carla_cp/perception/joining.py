"""Boxes of several agents become one set: poses corrected by the boxes themselves, overlapping boxes averaged.

What agents say of one object is weighed by its score and its inverse covariance (the information form of the Kalman
filter); a mean place belongs to the mean of the times at which it was seen. Poses are those of `alignment.align`,
unless they are to be taken as they came. Published late fusion takes them so and keeps the best box of those that
overlap; so does the detector where boxes come without accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from carla_cp.geometry import rotated_iou, transform_boxes
from carla_cp.perception.alignment import align
from carla_cp.types import Detections, FloatArray, IntArray

JOIN_IOU = 0.4  # with the best box of a group; what overlaps less is only suppressed
BELIEF = 0.5  # what a further agent's score counts in the joint one


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """What all agents found, in the ego's frame."""

    found: Detections  # with sigmas
    owners: IntArray  # (N,) the agents that found them

    def take(self, chosen: IntArray | npt.NDArray[np.bool_]) -> Boxes:
        """The chosen boxes."""
        return Boxes(self.found.take(chosen), self.owners[chosen])


def gather(ego_from_agents: Sequence[FloatArray], found: Sequence[Detections], aligns: bool = True) -> Boxes:
    """All boxes where the poses, corrected if it `aligns`, put them; `found`, the ego's first, come with sigmas."""
    poses = align(ego_from_agents, found, [spreads(each) for each in found]) if aligns else ego_from_agents
    placed = Detections.joined(
        [replace(each, boxes=transform_boxes(pose, each.boxes)) for pose, each in zip(poses, found, strict=True)]
    )
    return Boxes(placed, np.repeat(np.arange(len(found)), [len(each.scores) for each in found]))


def join(boxes: Boxes, classes: int, most: int, iou: float) -> Detections:
    """One box per object, by falling score, of the `most` best candidates of each class.

    Boxes that overlap by more than `iou` with a better one go, as in non-maximum suppression; the best of each agent
    among them is averaged in where it overlaps by more than JOIN_IOU.
    """
    parts = []
    for label in range(classes):
        of_label = np.flatnonzero(boxes.found.labels == label)
        best = of_label[np.argsort(-boxes.found.scores[of_label], kind="stable")[:most]]
        parts.append(_joined(boxes.take(best), iou))
    joined = Detections.joined(parts)
    return joined.take(np.argsort(-joined.scores, kind="stable"))


def _joined(boxes: Boxes, iou: float) -> Detections:
    """Of boxes of one class by falling score."""
    found, overlaps = boxes.found, rotated_iou(boxes.found.boxes, boxes.found.boxes)
    information = _information(found)
    alive = np.ones(len(found.scores), bool)
    rows, scores = found.boxes.copy(), found.scores.copy()
    ages_s = None if found.ages_s is None else found.ages_s.copy()
    heads = []
    for rank in range(len(scores)):
        if not alive[rank]:
            continue
        group = np.flatnonzero(alive & (overlaps[rank] > iou))
        alive[group] = False
        group = group[(overlaps[rank, group] > JOIN_IOU) & (group != rank)]
        _, first = np.unique(boxes.owners[group], return_index=True)
        group = np.append(rank, group[first][boxes.owners[group[first]] != boxes.owners[rank]])
        alive[rank] = False
        heads.append(rank)
        if len(group) > 1:
            rows[rank] = _mean(found.boxes[group], information[group])
            if ages_s is not None and found.ages_s is not None:
                ages_s[rank] = np.average(found.ages_s[group], weights=information[group][:, :2, :2].trace(0, 1, 2))
            scores[rank] = 1 - (1 - scores[rank]) * np.prod(1 - BELIEF * found.scores[group[1:]])
    return Detections(rows, scores, found.labels, None, ages_s).take(np.array(heads, np.int64))


def _mean(rows: FloatArray, information: FloatArray) -> FloatArray:
    """The mean box of a group (K, 7) by the information (K, 4, 4) of x, y, heading and the rest."""
    head, off = rows[0].copy(), rows - rows[0]
    off[:, 6] = (off[:, 6] + np.pi / 2) % np.pi - np.pi / 2  # front and rear are easily confused
    place, turn, rest = information[:, :2, :2], information[:, 2, 2], information[:, 3, 3]
    head[:2] += np.linalg.solve(place.sum(axis=0), np.einsum("kij,kj->i", place, off[:, :2]))
    head[2:6] += rest @ off[:, 2:6] / rest.sum()
    head[6] += turn @ off[:, 6] / turn.sum()
    return np.asarray(head)


def _information(found: Detections) -> FloatArray:
    """(N, 4, 4) of x, y [1 / m^2], heading [1 / rad^2] and height and size [1 / m^2], times the score."""
    along, across, turn = (_sigmas(found) ** -2).T
    cos, sin = np.cos(found.boxes[:, 6]), np.sin(found.boxes[:, 6])
    result = np.zeros((len(along), 4, 4))
    result[:, 0, 0] = cos * cos * along + sin * sin * across
    result[:, 1, 1] = sin * sin * along + cos * cos * across
    result[:, 0, 1] = result[:, 1, 0] = cos * sin * (along - across)
    result[:, 2, 2], result[:, 3, 3] = turn, along
    return result * found.scores[:, None, None]


def spreads(found: Detections) -> FloatArray:
    """Standard deviations (N, 3) of x, y and heading in the frame of the boxes."""
    along, across, turn = _sigmas(found).T
    cos, sin = np.cos(found.boxes[:, 6]), np.sin(found.boxes[:, 6])
    return np.stack([np.hypot(cos * along, sin * across), np.hypot(sin * along, cos * across), turn], axis=1)


def _sigmas(found: Detections) -> FloatArray:
    if found.sigmas is None:
        raise ValueError("boxes come without standard deviations")
    return found.sigmas
