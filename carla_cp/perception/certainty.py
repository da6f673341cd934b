"""How far off a detector's boxes usually are: standard deviations by class, score and distance, measured.

A Collective Perception Message (ETSI TS 103 324) gives each object's place and heading with their accuracy. Our heads
predict none; what they miss by is a matter of how sure they are and how far they look. Levels are logarithmic, as the
message's own classes are coarse. `tools/calibrate_boxes.py` made the figures.
"""

from __future__ import annotations

import numpy as np

from carla_cp.perception.usual_sigmas import USUAL
from carla_cp.types import Detections, FloatArray, IntArray, ObjectClass

LEVELS = 16
_LEAST = np.array([0.02, 0.02, 0.005])  # along, across [m], heading [rad]; each level is sqrt(2) times the last
_SCORES = np.array([0.203125, 0.34375, 0.5, 0.703125])  # borders of the bins, in 64ths
_REACHES_M = np.array([15.0, 30.0, 45.0])
SCORE_BINS, REACH_BINS = len(_SCORES) + 1, len(_REACHES_M) + 1
_USUAL = np.array(USUAL).reshape(len(ObjectClass), SCORE_BINS, REACH_BINS, 3)


def bins(labels: IntArray, scores: FloatArray, places: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    """Class, score bin and distance bin of boxes at places (N, 2 or more) in the finder's frame."""
    # Squares and no root: every machine rounds these alike, so that two ends of a message agree.
    reach = places[:, 0] * places[:, 0] + places[:, 1] * places[:, 1]
    far = np.searchsorted(_REACHES_M * _REACHES_M, reach)
    return labels, np.searchsorted(_SCORES, scores, side="right").astype(np.int64), far.astype(np.int64)


def usual_levels(labels: IntArray, scores: FloatArray, places: FloatArray) -> IntArray:
    """The levels (N, 3) of boxes with these classes, scores and places (N, 2 or more) in the finder's frame."""
    return np.asarray(_USUAL[bins(labels, scores, places)], np.int64)


def sigmas_of(levels: IntArray) -> FloatArray:
    """Standard deviations (N, 3) along and across [m] and of the heading [rad]."""
    return np.asarray(_LEAST * 2.0 ** (levels / 2), np.float64)


def nearest_levels(sigmas: FloatArray) -> IntArray:
    """The levels (N, 3) nearest to standard deviations, which are above 0."""
    return np.asarray(np.clip(np.rint(2 * np.log2(sigmas / _LEAST)), 0, LEVELS - 1), np.int64)


def sigmas_of_boxes(found: Detections) -> FloatArray:
    """Standard deviations (N, 3): those that came with the boxes, or the usual ones."""
    if found.sigmas is not None:
        return found.sigmas
    return sigmas_of(usual_levels(found.labels, found.scores, found.boxes))
