"""Average precision, against a plain loop over shapely polygons."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from carla_cp.geometry import bev_corners
from carla_cp.metrics.detection import area, average_precision, curve, frames_of, match
from carla_cp.types import DetectionFrame, Detections, FloatArray, ObjectClass, Perceived, Pose


def car(x: float, y: float = 0.0) -> list[float]:
    return [x, y, 0.8, 4.5, 1.9, 1.6, 0.0]


def frame(boxes: list[list[float]], scores: list[float], truth: list[list[float]]) -> DetectionFrame:
    return DetectionFrame(np.array(boxes).reshape(-1, 7), np.array(scores, float), np.array(truth).reshape(-1, 7))


def random_frame(rng: np.random.Generator) -> DetectionFrame:
    """Crowded truth, and detections that wander from it so that they compete."""
    truth = np.stack([np.array(car(*rng.uniform(-6, 6, 2))) for _ in range(rng.integers(0, 7))] or [np.zeros(7)])
    truth = truth[: rng.integers(0, len(truth) + 1)]
    guesses = [truth[rng.integers(len(truth))] if len(truth) else np.array(car(0.0)) for _ in range(rng.integers(0, 9))]
    boxes = np.array(guesses).reshape(-1, 7) + rng.normal(0, 0.35, (len(guesses), 7)) * [1, 1, 1, 0.3, 0.3, 0.3, 0.5]
    return DetectionFrame(boxes, rng.integers(0, 6, len(boxes)) / 5.0, truth)  # few levels: ties happen


def plain_ap(frames: list[DetectionFrame], iou: float, order: str) -> float | None:
    """The same by definition: one detection, one polygon, one point of the curve at a time."""
    outcomes: list[tuple[float, bool]] = []
    truths = 0
    for item in frames:
        left = [shapely.Polygon(corners) for corners in bev_corners(item.truth)]
        truths += len(left)
        polygons = [shapely.Polygon(corners) for corners in bev_corners(item.boxes)]
        for index in sorted(range(len(polygons)), key=lambda i: (-item.scores[i], i)):
            ious = [polygons[index].intersection(t).area / polygons[index].union(t).area for t in left]
            hit = bool(ious) and max(ious) >= iou
            if hit:
                left.pop(ious.index(max(ious)))
            outcomes.append((float(item.scores[index]), hit))
    if not truths:
        return None
    if order == "global":
        outcomes.sort(key=lambda outcome: -outcome[0])
    points = [(0.0, 0.0)]
    true = 0
    for seen, (_, hit) in enumerate(outcomes, start=1):
        true += hit
        points.append((true / truths, true / seen))
    area = 0.0
    for index in range(1, len(points)):
        area += (points[index][0] - points[index - 1][0]) * max(precision for _, precision in points[index:])
    return area


@settings(max_examples=60, deadline=None)
@example(36537, 0.3, "global")  # a truth without area
@given(st.integers(0, 2**31), st.sampled_from([0.3, 0.5, 0.7]), st.sampled_from(["global", "frame"]))
def test_it_equals_the_plain_loop_over_shapely_polygons(seed: int, iou: float, order: str) -> None:
    rng = np.random.default_rng(seed)
    frames = [random_frame(rng) for _ in range(5)]
    fast, slow = average_precision(frames, iou, order), plain_ap(frames, iou, order)  # type: ignore[arg-type]
    assert (fast is None) == (slow is None)
    if fast is not None:
        assert fast == pytest.approx(slow, abs=1e-9)


def test_perfect_boxes_score_one() -> None:
    assert average_precision([frame([car(0), car(9)], [0.9, 0.2], [car(9), car(0)])], 0.7) == 1.0


def test_without_truth_it_is_undefined_even_with_detections() -> None:
    assert average_precision([frame([car(0)], [0.9], [])], 0.5) is None
    assert average_precision([], 0.5) is None


def test_without_detections_it_is_zero() -> None:
    assert average_precision([frame([], [], [car(0)])], 0.5) == 0.0


def test_a_second_detection_of_the_same_truth_is_false() -> None:
    assert average_precision([frame([car(0), car(0.1), car(9)], [0.9, 0.8, 0.7], [car(0), car(9)])], 0.5) == (
        pytest.approx(0.5 + 0.5 * 2 / 3)
    )


def test_the_frame_order_lets_a_confident_mistake_of_a_late_frame_pass_unpunished() -> None:
    frames = [frame([car(0)], [0.3], [car(0)]), frame([car(50)], [0.9], [])]
    assert average_precision(frames, 0.5, order="frame") == 1.0
    assert average_precision(frames, 0.5, order="global") == 0.5


def test_height_does_not_count() -> None:
    high: FloatArray = np.array([car(0)]) + [0, 0, 30, 0, 0, 0, 0]
    assert average_precision([DetectionFrame(high, np.ones(1), np.array([car(0)]))], 0.7) == 1.0


@pytest.mark.parametrize("iou", [0.0, -0.1, 1.2])
def test_a_threshold_outside_its_range_is_refused(iou: float) -> None:
    with pytest.raises(ValueError, match="iou"):
        average_precision([frame([], [], [car(0)])], iou)


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="order"):
        average_precision([frame([], [], [car(0)])], 0.5, order="random")  # type: ignore[arg-type]


def test_frames_hold_only_the_boxes_of_their_class() -> None:
    detections = Detections(np.array([car(0), car(9)]), np.array([0.9, 0.4]), np.array([0, 2]))
    seen = Perceived(0, Pose(), detections, np.array([car(1), car(2), car(3)]), np.array([2, 0, 2]))
    (walkers,) = frames_of([seen], ObjectClass.PEDESTRIAN)
    assert walkers.boxes[:, 0].tolist() == [9.0]
    assert walkers.scores.tolist() == [0.4]
    assert walkers.truth[:, 0].tolist() == [1.0, 3.0]


def plain_bin(frames: list[DetectionFrame], iou: float, within: tuple[float, float]) -> float | None:
    """AP of a distance bin by definition: hits go with their object, false ones by their own place."""
    outcomes, truths = [], 0
    for item in frames:
        inside = [within[0] <= np.hypot(*row[:2]) < within[1] for row in item.truth]
        truths += sum(inside)
        left = {index: shapely.Polygon(corners) for index, corners in enumerate(bev_corners(item.truth))}
        polygons = [shapely.Polygon(corners) for corners in bev_corners(item.boxes)]
        for index in sorted(range(len(polygons)), key=lambda i: (-item.scores[i], i)):
            own = polygons[index]
            ious = {key: own.intersection(other).area / own.union(other).area for key, other in left.items()}
            best = max(ious, key=lambda key: ious[key], default=None)
            if best is not None and ious[best] >= iou:
                del left[best]
                outcomes += [(float(item.scores[index]), True)] if inside[best] else []
            elif within[0] <= np.hypot(*item.boxes[index, :2]) < within[1]:
                outcomes.append((float(item.scores[index]), False))
    if not truths:
        return None
    outcomes.sort(key=lambda outcome: -outcome[0])
    area, true, precisions = 0.0, 0, []
    for seen, (_, hit) in enumerate(outcomes, start=1):
        true += hit
        precisions.append(true / seen)
    for index, (_, hit) in enumerate(outcomes):
        area += hit / truths * max(precisions[index:])
    return area


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([(0.0, 3.0), (3.0, 5.0), (5.0, float("inf"))]))
def test_a_distance_bin_equals_the_plain_loop(seed: int, within: tuple[float, float]) -> None:
    rng = np.random.default_rng(seed)
    frames = [random_frame(rng) for _ in range(5)]
    fast = area(curve([match(item, (0.3, 0.5)) for item in frames], 1, within=within))
    slow = plain_bin(frames, 0.5, within)
    assert (fast is None) == (slow is None)
    if fast is not None:
        assert fast == pytest.approx(slow, abs=1e-9)


def test_the_matches_of_several_thresholds_are_those_of_each() -> None:
    item = random_frame(np.random.default_rng(4))
    joint = match(item, (0.3, 0.5, 0.7))
    for index, iou in enumerate((0.3, 0.5, 0.7)):
        np.testing.assert_array_equal(joint.taken[index], match(item, (iou,)).taken[0])
        taken = joint.taken[index][joint.taken[index] >= 0]
        assert len(set(taken)) == len(taken)
