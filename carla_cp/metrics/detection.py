"""Average precision of boxes seen from above.

The PASCAL VOC 2010 all-point area (Everingham et al., The PASCAL Visual Object Classes Challenge 2010, section 3.4.1)
over rotated boxes in the plane, as OPV2V (Xu et al., 2022) reports it. Height is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from carla_cp.geometry import rotated_iou
from carla_cp.types import DetectionFrame, FloatArray, IntArray, ObjectClass, Perceived

Order: TypeAlias = Literal["global", "frame"]
BoolArray: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """What the detections of one frame found, at each of some IoU thresholds; ranges are from the frame's origin."""

    scores: FloatArray  # (N,), falling
    taken: IntArray  # (thresholds, N): the truth that a detection found, -1 where it is false
    ranges: FloatArray  # (N,) [m] of the detections, in the plane
    truth_ranges: FloatArray  # (M,) [m]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The detections of many frames at one threshold, in the order in which the curve is traced."""

    hits: BoolArray  # (N,)
    frame: IntArray  # (N,) each detection's frame
    truths: IntArray  # (frames,) how many objects there are


def average_precision(frames: Sequence[DetectionFrame], iou: float, order: Order = "global") -> float | None:
    """Area under the precision-recall curve in [0, 1], or None where there is no truth at all.

    In each frame the detections, by falling score, each take the unmatched truth of best IoU and are true where that
    IoU is at least `iou`. `order` says how the curve is traced: "global" by falling score over all frames (the standard
    definition), "frame" in the order of the frames and by score only within each (OpenCOOD's default, which is not a
    precision-recall curve and is kept to compare with its published numbers). Equal scores keep their given order.
    """
    if not 0.0 < iou <= 1.0:
        raise ValueError(f"iou is {iou}: give a threshold in (0, 1]")
    return area(curve([match(frame, (iou,)) for frame in frames], 0, order))


def match(frame: DetectionFrame, thresholds: Sequence[float]) -> Matches:
    """The frame's detections by falling score, each with the truth that it takes at each IoU threshold."""
    rank = np.argsort(-frame.scores, kind="stable")
    boxes = frame.boxes[rank]
    overlap = rotated_iou(boxes, frame.truth)
    return Matches(
        scores=frame.scores[rank],
        taken=np.stack([_take(overlap, iou) for iou in thresholds]),
        ranges=np.hypot(boxes[:, 0], boxes[:, 1]),
        truth_ranges=np.hypot(frame.truth[:, 0], frame.truth[:, 1]),
    )


def curve(
    matches: Sequence[Matches],
    threshold: int,
    order: Order = "global",
    within: tuple[float, float] | None = None,
) -> Curve:
    """The curve at the index of a threshold; `within` [m] keeps the objects whose range is in [within).

    There a detection belongs to the object that it found, and a false one to where it is itself: a box on either side
    of the border costs nothing.
    """
    if order not in ("global", "frame"):
        raise ValueError(f"order is {order!r}: give 'global' or 'frame'")
    hits = [item.taken[threshold] >= 0 for item in matches]
    kept = [_within(item, threshold, within) for item in matches]
    truths = [
        len(item.truth_ranges) if within is None else _inside(item.truth_ranges, within).sum() for item in matches
    ]
    frame = np.repeat(np.arange(len(matches)), [int(keep.sum()) for keep in kept])
    joined = np.concatenate([hit[keep] for hit, keep in zip(hits, kept, strict=True)] or [np.zeros(0, bool)])
    if order == "global":
        scores = np.concatenate([item.scores[keep] for item, keep in zip(matches, kept, strict=True)] or [np.zeros(0)])
        falling = np.argsort(-scores, kind="stable")
        joined, frame = joined[falling], frame[falling]
    return Curve(joined, frame, np.array(truths, np.int64))


def area(traced: Curve) -> float | None:
    """The area under the monotone envelope of precision over recall; None without truth."""
    value = weighted_area(traced, np.ones(len(traced.truths), np.int64))
    return None if np.isnan(value) else value


def weighted_area(traced: Curve, weights: IntArray) -> float:
    """The area where frame f counts weights[f] times, weights (frames,); NaN without truth.

    Precision peaks at true detections, so only they are looked at. One that counts twice raises recall by two steps, of
    which the envelope sees the higher precision, that of the second: the same as two frames beside each other.
    """
    truths = int(weights @ traced.truths)
    if not truths:
        return float("nan")
    counts = weights[traced.frame]
    seen = np.cumsum(counts)[traced.hits]
    true = counts[traced.hits].astype(np.float64)
    precision = np.cumsum(true) / np.maximum(seen, 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((true * envelope).sum() / truths)


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


def _take(overlap: FloatArray, iou: float) -> IntArray:
    """Per detection, by falling score, the truth it takes, or -1."""
    taken = np.full(len(overlap), -1, np.int64)
    if not overlap.size:
        return taken
    left = overlap.copy()
    # Only a row that reaches the threshold somewhere can match, or take a truth away from a later one.
    for row in np.flatnonzero(left.max(axis=1) >= iou):
        best = int(left[row].argmax())
        if left[row, best] >= iou:
            taken[row] = best
            left[:, best] = -1.0
    return taken


def _inside(ranges: FloatArray, within: tuple[float, float]) -> BoolArray:
    return np.asarray((ranges >= within[0]) & (ranges < within[1]))


def _within(item: Matches, threshold: int, within: tuple[float, float] | None) -> BoolArray:
    """Which detections count."""
    if within is None:
        return np.ones(len(item.scores), bool)
    where = item.ranges.copy()
    hit = item.taken[threshold] >= 0
    where[hit] = item.truth_ranges[item.taken[threshold][hit]]
    return _inside(where, within)
