"""Poses corrected by boxes: switched as asked for, and by boxes on cells that came."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from carla_cp.geometry import compose, matrix_from_pose, relative, transform_boxes
from carla_cp.perception.correction import corrected, corrects, on_received_cells
from carla_cp.perception.detector import Detector, Received
from carla_cp.perception.fusion import Member
from carla_cp.perception.view import View
from carla_cp.types import Correction, Detections, FloatArray, GridSpec, Pose, Shared, Stage
from tests.perception.synthetic import make_frame

PLACE = Pose(x=12.0, y=-3.0, yaw=0.7)  # of the sender in the ego's frame
OFF = Pose(x=0.5, y=-0.4, yaw=0.01)  # and how far off it believes to be


def cars() -> Detections:
    boxes = np.tile([0.0, 0.0, 0.8, 4.4, 1.9, 1.6, 0.0], (8, 1))
    boxes[:, :2] = np.array([(x, y) for x in (-30.0, -10.0, 10.0, 30.0) for y in (-8.0, 8.0)])
    boxes[:, 6] = np.random.default_rng(8).uniform(-3, 3, 8)
    return Detections(boxes, np.full(8, 0.9), np.zeros(8, np.int64))


def seen_from(pose: Pose) -> Detections:
    return replace(cars(), boxes=transform_boxes(relative(pose, Pose()), cars().boxes))


def error_m(pose: FloatArray) -> float:
    return float(np.hypot(*(pose - matrix_from_pose(PLACE))[:2, 3]))


def test_boxes_without_accuracies_correct_a_wrong_pose_and_leave_a_true_one() -> None:
    wrong = matrix_from_pose(compose(PLACE, OFF))
    assert error_m(corrected([np.eye(4), wrong], [cars(), seen_from(PLACE)])[1]) < 0.1 * error_m(wrong)
    assert error_m(corrected([np.eye(4), matrix_from_pose(PLACE)], [cars(), seen_from(PLACE)])[1]) < 1e-3


def test_a_method_decides_for_itself_unless_it_is_told() -> None:
    switched = [(kind, itself) for kind in Correction for itself in (False, True) if corrects(kind, itself)]
    assert switched == [(Correction.METHOD, True), (Correction.ON, False), (Correction.ON, True)]


def test_a_box_counts_where_its_centre_s_cell_came_whatever_the_grid_s_resolution() -> None:
    found = replace(cars(), boxes=np.array([[-51.0, 51.0, 0, 4, 2, 2, 0], [0.1, -0.1, 0, 4, 2, 2, 0]] * 4))
    for size in (64, 128):
        valid = torch.zeros((size, size), dtype=torch.bool)
        valid[size - 1, 0] = True
        assert on_received_cells(found, valid, GridSpec()).boxes[:, 0].tolist() == [-51.0] * 4


@pytest.fixture(scope="module")
def ego(detector: Detector) -> View:
    """An agent that by itself sees all cars."""
    view = detector.view(make_frame(7).agents[0].sweep)
    view._boxes = cars()
    return view


def message(ego: View, stage: Stage) -> Shared:
    believed = compose(ego.world_from_agent, compose(PLACE, OFF))
    said = Shared(ego.sweep.agent, 0, believed, stage)
    if stage is Stage.BOXES:
        return replace(said, detections=seen_from(PLACE))
    return replace(said, features=ego.bev, valid=torch.ones(ego.bev.shape[1:], dtype=torch.bool))


@pytest.mark.parametrize(
    ("kind", "aligned"), [(Correction.METHOD, False), (Correction.ON, True), (Correction.OFF, False)]
)
def test_features_are_laid_by_what_their_sender_saw_where_that_is_switched_on(
    detector: Detector, ego: View, monkeypatch: pytest.MonkeyPatch, kind: Correction, aligned: bool
) -> None:
    laid: list[FloatArray] = []
    placed = detector._placed

    def note(view: View, received: Received, pose: FloatArray) -> tuple[Member, ...]:
        laid.append(pose)
        return placed(view, received, pose)

    monkeypatch.setattr(detector, "_placed", note)
    monkeypatch.setattr(detector, "read", lambda fused: seen_from(PLACE))
    detector.finish(ego, [message(ego, Stage.BEV)], correction=kind)
    assert (error_m(laid[0]) < 0.06) == aligned


@pytest.mark.parametrize("sure", [True, False])
@pytest.mark.parametrize("kind", list(Correction))
def test_boxes_are_laid_by_each_other_unless_that_is_switched_off(
    detector: Detector, ego: View, kind: Correction, sure: bool
) -> None:
    said = message(ego, Stage.BOXES)
    assert said.detections is not None
    sigmas = np.full((8, 3), 0.1) if sure else None
    surest = replace(said.detections, sigmas=sigmas, scores=np.full(8, 0.99))
    found = detector.finish(ego, [replace(said, detections=surest)], correction=kind)
    apart = np.hypot(*(found.boxes[:, None, :2] - cars().boxes[:, :2]).transpose(2, 0, 1)).min(axis=1)
    aligned = kind is Correction.ON or (kind is Correction.METHOD and sure)
    assert len(found.scores) == 8 and (apart.max() < 0.1) == aligned
