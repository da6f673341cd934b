"""How far off boxes usually are."""

from __future__ import annotations

import numpy as np

from carla_cp.perception.certainty import (
    LEVELS,
    REACH_BINS,
    SCORE_BINS,
    bins,
    nearest_levels,
    sigmas_of,
    sigmas_of_boxes,
    usual_levels,
)
from carla_cp.types import Detections


def test_bins_match_their_plain_twin() -> None:
    rng = np.random.default_rng(1)
    scores, places = rng.random(200), rng.uniform(-60, 60, (200, 2))
    labels = rng.integers(0, 3, 200)
    for label, score, place, got in zip(labels, scores, places, np.stack(bins(labels, scores, places), 1), strict=True):
        sure = sum(score >= border for border in (0.203125, 0.34375, 0.5, 0.703125))
        far = sum(np.hypot(*place) > border for border in (15.0, 30.0, 45.0))
        assert got.tolist() == [label, sure, far]
        assert sure < SCORE_BINS and far < REACH_BINS


def test_levels_come_back_from_their_standard_deviations() -> None:
    levels = np.stack([np.arange(LEVELS)] * 3, axis=1)
    assert (nearest_levels(sigmas_of(levels)) == levels).all()
    assert (nearest_levels(sigmas_of(levels) * 1.15) == levels).all()


def test_a_sure_and_near_car_is_known_better_than_a_doubtful_far_one() -> None:
    zeros = np.zeros(2, np.int64)
    near, far = sigmas_of(usual_levels(zeros, np.array([0.95, 0.12]), np.array([[5.0, 2.0], [48.0, 9.0]])))
    assert (near < far).all() and 0.05 < near[0] < 0.4


def test_standard_deviations_that_came_with_the_boxes_count() -> None:
    boxes = np.array([[5.0, 2.0, 0.8, 4.4, 1.9, 1.6, 0.0]])
    own = np.array([[0.3, 0.2, 0.1]])
    plain = Detections(boxes, np.array([0.8]), np.zeros(1, np.int64))
    said = Detections(boxes, np.array([0.8]), np.zeros(1, np.int64), own)
    assert (sigmas_of_boxes(said) == own).all()
    assert (sigmas_of_boxes(plain) == sigmas_of(usual_levels(plain.labels, plain.scores, plain.boxes))).all()
