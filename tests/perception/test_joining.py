"""Boxes of several agents become one set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from carla_cp.geometry import matrix_from_pose, transform_boxes
from carla_cp.perception.joining import BELIEF, JOIN_IOU, Boxes, gather, join
from carla_cp.types import Detections, FloatArray, Pose

CAR = np.array([[10.0, 4.0, 0.8, 4.4, 1.9, 1.6, 0.0]])


def found(boxes: FloatArray, scores: list[float], sigmas: list[tuple[float, float, float]]) -> Detections:
    return Detections(boxes, np.array(scores), np.zeros(len(scores), np.int64), np.array(sigmas))


def joined(boxes: FloatArray, scores: list[float], sigmas: list[tuple[float, float, float]]) -> Detections:
    return join(Boxes(found(boxes, scores, sigmas), np.arange(len(scores))), 3, 100, 0.15)


def test_one_object_seen_twice_lies_where_the_information_says() -> None:
    """Along the car the second agent knows better, across it the first; both as sure."""
    boxes = np.concatenate([CAR, CAR])
    boxes[1, :2] += (0.5, 0.3)
    result = joined(boxes, [0.8, 0.8], [(0.4, 0.1, 0.1), (0.2, 0.2, 0.1)])
    assert len(result.scores) == 1
    expected = [10.0 + 0.5 * 25 / (25 + 6.25), 4.0 + 0.3 * 25 / (100 + 25)]
    np.testing.assert_allclose(result.boxes[0, :2], expected)
    assert result.scores[0] == pytest.approx(1 - 0.2 * (1 - BELIEF * 0.8))


def test_the_covariance_turns_with_the_box() -> None:
    boxes = np.concatenate([CAR, CAR])
    boxes[:, 6] = np.pi / 2
    boxes[1, :2] += (0.3, 0.5)
    result = joined(boxes, [0.8, 0.8], [(0.4, 0.1, 0.1), (0.2, 0.2, 0.1)])
    np.testing.assert_allclose(result.boxes[0, :2], [10.0 + 0.3 * 25 / 125, 4.0 + 0.5 * 25 / 31.25])


def test_headings_join_over_the_half_turn_and_keep_the_best_ones_sense() -> None:
    boxes = np.concatenate([CAR, CAR])
    boxes[:, 6] = (3.1, -0.1)  # the second sees the rear in front
    result = joined(boxes, [0.9, 0.9], [(0.2, 0.2, 0.1), (0.2, 0.2, 0.1)])
    assert result.boxes[0, 6] == pytest.approx(3.1 + (np.pi - 3.2) / 2)


def test_what_overlaps_little_goes_without_a_say() -> None:
    boxes = np.concatenate([CAR, CAR])
    boxes[1, 0] += 2.5
    assert 0.15 < (4.4 - 2.5) / (4.4 + 2.5) < JOIN_IOU
    result = joined(boxes, [0.6, 0.9], [(0.2, 0.2, 0.1)] * 2)
    np.testing.assert_array_equal(result.boxes, boxes[1:])
    assert result.scores.tolist() == [0.9]


def test_an_agents_second_box_of_an_object_has_no_say() -> None:
    boxes = np.concatenate([CAR, CAR, CAR])
    boxes[1:, 0] += (0.2, 0.4)
    several = found(boxes, [0.9, 0.8, 0.7], [(0.2, 0.2, 0.1)] * 3)
    result = join(Boxes(several, np.array([0, 1, 1])), 3, 100, 0.15)
    expected = join(Boxes(several.take(np.array([0, 1])), np.array([0, 1])), 3, 100, 0.15)
    np.testing.assert_array_equal(result.boxes, expected.boxes)
    alone = join(Boxes(several.take(np.array([0, 1])), np.array([0, 0])), 3, 100, 0.15)
    np.testing.assert_array_equal(alone.boxes, CAR)


def test_classes_stay_apart_and_come_by_falling_score() -> None:
    boxes = np.concatenate([CAR, CAR])
    several = replace(found(boxes, [0.5, 0.9], [(0.2, 0.2, 0.1)] * 2), labels=np.array([0, 2]))
    result = join(Boxes(several, np.array([0, 1])), 3, 100, 0.15)
    assert result.labels.tolist() == [2, 0] and result.scores.tolist() == [0.9, 0.5]


def test_a_mean_place_belongs_to_the_mean_time_and_who_came_alone_keeps_its_own() -> None:
    boxes = np.array(
        [[0.0, 0, 0.8, 4.4, 1.9, 1.6, 0], [1.0, 0, 0.8, 4.4, 1.9, 1.6, 0], [30.0, 0, 0.8, 4.4, 1.9, 1.6, 0]]
    )
    both = found(boxes, [0.9, 0.9, 0.8], [(0.1, 0.1, 0.1)] * 3)
    aged = Boxes(replace(both, ages_s=np.array([0.0, 0.2, 0.3])), np.array([0, 1, 1]))
    joined = join(aged, 3, 100, 0.15)
    assert joined.ages_s is not None
    assert list(zip(joined.boxes[:, 0], joined.ages_s, strict=True)) == [
        pytest.approx((0.5, 0.1)),
        pytest.approx((30.0, 0.3)),
    ]


def test_nothing_joins_to_nothing() -> None:
    nothing = Boxes(replace(Detections.empty(), sigmas=np.zeros((0, 3))), np.zeros(0, np.int64))
    assert len(join(nothing, 3, 100, 0.15).scores) == 0


def test_a_senders_wrong_pose_is_found_by_the_boxes() -> None:
    rng = np.random.default_rng(8)
    truth = np.tile(CAR, (8, 1))
    truth[:, :2] = np.array([(x, y) for x in (-30.0, -10.0, 10.0, 30.0) for y in (-8.0, 8.0)])
    truth[:, 6] = rng.uniform(-3, 3, 8)
    pose = matrix_from_pose(Pose(x=12.0, y=-3.0, yaw=0.7))
    sigmas, scores = [(0.1, 0.1, 0.05)] * 8, [0.9] * 8
    theirs = found(transform_boxes(np.linalg.inv(pose), truth), scores, sigmas)
    believed = matrix_from_pose(Pose(x=12.4, y=-3.3, yaw=0.706))
    boxes = gather([np.eye(4), believed], [found(truth, scores, sigmas), theirs])
    assert boxes.owners.tolist() == [0] * 8 + [1] * 8
    off = np.linalg.norm(boxes.found.boxes[8:, :2] - truth[:, :2], axis=1)
    assert off.max() < 0.1


def test_boxes_without_standard_deviations_are_refused() -> None:
    with pytest.raises(ValueError, match="without standard deviations"):
        gather([np.eye(4)], [Detections(CAR, np.ones(1), np.zeros(1, np.int64))])
