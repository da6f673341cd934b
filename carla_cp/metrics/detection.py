"""Average precision of boxes seen from above.

The PASCAL VOC 2010 all-point area (Everingham et al., The PASCAL Visual Object Classes Challenge 2010, section 3.4.1)
over rotated boxes in the plane, as OPV2V (Xu et al., 2022) reports it. Height is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from carla_cp.geometry import rotated_iou
from carla_cp.types import DetectionFrame, ObjectClass, Perceived

Order: TypeAlias = Literal["global", "frame"]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


def average_precision(frames: Sequence[DetectionFrame], iou: float, order: Order = "global") -> float | None:
    """Area under the precision-recall curve in [0, 1], or None where there is no truth at all.

    In each frame the detections, by falling score, each take the unmatched truth of best IoU and are true where that
    IoU is at least `iou`. `order` says how the curve is traced: "global" by falling score over all frames (the standard
    definition), "frame" in the order of the frames and by score only within each (OpenCOOD's default, which is not a
    precision-recall curve and is kept to compare with its published numbers). Equal scores keep their given order.
    """
    if not 0.0 < iou <= 1.0:
        raise ValueError(f"iou is {iou}: give a threshold in (0, 1]")
    truths = sum(len(frame.truth) for frame in frames)
    if not truths:
        return None
    ranks = [np.argsort(-frame.scores, kind="stable") for frame in frames]
    hits = np.concatenate([_hits(frame, rank, iou) for frame, rank in zip(frames, ranks, strict=True)])
    if order == "global":
        scores = np.concatenate([frame.scores[rank] for frame, rank in zip(frames, ranks, strict=True)])
        hits = hits[np.argsort(-scores, kind="stable")]
    elif order != "frame":
        raise ValueError(f"order is {order!r}: give 'global' or 'frame'")
    return _area(hits, truths)


def frames_of(perceptions: Iterable[Perceived], label: ObjectClass) -> tuple[DetectionFrame, ...]:
    """The frames of one class: detections and truth of that label, in the ego's agent frame at capture."""
    return tuple(
        DetectionFrame(
            boxes=item.detections.boxes[item.detections.labels == label],
            scores=item.detections.scores[item.detections.labels == label],
            truth=item.truth_boxes[item.truth_labels == label],
        )
        for item in perceptions
    )


def _hits(frame: DetectionFrame, rank: npt.NDArray[np.intp], iou: float) -> BoolArray:
    """Which of the detections, in the order of `rank`, are true."""
    hits = np.zeros(len(rank), bool)
    overlap = rotated_iou(frame.boxes[rank], frame.truth)
    if not overlap.size:
        return hits
    # Only a row that reaches the threshold somewhere can match, or take a truth away from a later one.
    for row in np.flatnonzero(overlap.max(axis=1) >= iou):
        best = int(overlap[row].argmax())
        if overlap[row, best] >= iou:
            hits[row] = True
            overlap[:, best] = -1.0
    return hits


def _area(hits: BoolArray, truths: int) -> float:
    """The area under the monotone envelope of precision over recall, in the order given."""
    true = np.cumsum(hits)
    precision = np.concatenate([true / np.arange(1, len(hits) + 1), [0.0]])
    recall = np.concatenate([[0.0], true / truths, [1.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope))
