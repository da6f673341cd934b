"""The head: targets and their reading are each other's inverse, losses fall where they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.head import BOX_CODE, RawHeads, box_loss, decode, heat_loss, make_targets, suppress
from carla_cp.types import Detections, FloatArray, GridSpec

CONFIG = DetectorConfig()
GRID = GridSpec()


def spread_boxes(seed: int) -> tuple[FloatArray, np.ndarray]:
    """One box of a random class every twenty metres, with any heading."""
    rng = np.random.default_rng(seed)
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(-40, 41, 20.0), np.arange(-40, 41, 20.0)))
    size = rng.uniform(0.5, 5.0, (len(x), 3))
    where = np.stack([x, y, size[:, 2] / 2], axis=1) + rng.uniform(-3, 3, (len(x), 3)) * [1, 1, 0.1]
    return np.column_stack([where, size, rng.uniform(-np.pi, np.pi, len(x))]), rng.integers(0, 3, len(x))


def as_heads(boxes: FloatArray, labels: np.ndarray) -> RawHeads:
    """What a perfect head would say."""
    targets = make_targets(boxes, labels, GRID)
    heat = torch.logit(torch.from_numpy(targets.heat), eps=1e-4)
    return RawHeads(heat[None], torch.from_numpy(targets.boxes)[None])


def test_reading_the_targets_gives_back_the_boxes() -> None:
    boxes, labels = spread_boxes(1)
    found = decode(as_heads(boxes, labels), CONFIG)
    assert len(found.boxes) == len(boxes)
    nearest = np.argmin(np.linalg.norm(found.boxes[:, None, :2] - boxes[None, :, :2], axis=2), axis=1)
    assert sorted(nearest) == list(range(len(boxes)))
    np.testing.assert_array_equal(found.labels, labels[nearest])
    np.testing.assert_allclose(found.boxes[:, :6], boxes[nearest, :6], atol=1e-4)
    turn = found.boxes[:, 6] - boxes[nearest, 6]
    np.testing.assert_allclose(np.cos(turn), 1.0, atol=1e-6)


def test_the_cells_beside_a_centre_read_the_same_box() -> None:
    box = np.array([[3.1, -7.3, 0.8, 4.4, 1.8, 1.6, 2.0]])
    targets = make_targets(box, np.array([0]), GRID)
    row, column = np.unravel_index(targets.heat[0].argmax(), targets.heat[0].shape)
    for dr, dc in ((-1, -1), (0, 1), (1, 0)):
        heat = torch.full((1, 3, GRID.rows, GRID.rows), -9.0)
        heat[0, 0, row + dr, column + dc] = 3.0
        found = decode(RawHeads(heat, torch.from_numpy(targets.boxes)[None]), CONFIG)
        np.testing.assert_allclose(found.boxes, box, atol=1e-4)


def test_a_box_with_its_centre_outside_the_grid_leaves_no_target() -> None:
    boxes = np.array([[51.3, 0.0, 0.8, 4.4, 1.8, 1.6, 0.0], [0.0, -60.0, 0.8, 4.4, 1.8, 1.6, 0.0]])
    targets = make_targets(boxes, np.array([0, 0]), GRID)
    assert targets.heat.max() == 0.0 and targets.weight.max() == 0.0


def test_an_object_in_the_corner_cell_has_its_target_there() -> None:
    targets = make_targets(np.array([[51.1, 51.1, 0.8, 4.4, 1.8, 1.6, 0.0]]), np.array([0]), GRID)
    assert targets.heat[0, -1, -1] == 1.0


def test_losses_are_near_zero_for_a_perfect_head_and_grow_with_the_error() -> None:
    boxes, labels = spread_boxes(2)
    targets = make_targets(boxes, labels, GRID)
    raw = as_heads(boxes, labels)
    heat, code, weight = (torch.from_numpy(value)[None] for value in (targets.heat, targets.boxes, targets.weight))
    right = 12.0 * (heat >= 1.0).float() * 2 - 12.0
    assert heat_loss(right, heat) < 1e-3 < heat_loss(-right, heat)
    assert box_loss(raw.boxes, code, weight) == 0.0
    off = raw.boxes.clone()
    off[:, 2] += 0.5
    assert box_loss(off, code, weight) == pytest.approx(0.5, rel=1e-5)


def test_a_weaker_overlapping_box_of_the_same_class_is_suppressed_and_one_of_another_class_is_not() -> None:
    boxes = np.array([[0, 0, 1, 4, 2, 1.5, 0], [0.3, 0, 1, 4, 2, 1.5, 0], [0.3, 0, 1, 4, 2, 1.5, 0]], np.float64)
    found = suppress(Detections(boxes, np.array([0.5, 0.9, 0.4]), np.array([0, 0, 1])), CONFIG)
    np.testing.assert_array_equal(found.scores, [0.9, 0.4])
    np.testing.assert_array_equal(found.labels, [0, 1])


def test_nothing_above_the_threshold_gives_no_boxes() -> None:
    cells = GRID.rows
    found = decode(RawHeads(torch.full((1, 3, cells, cells), -9.0), torch.zeros((1, BOX_CODE, cells, cells))), CONFIG)
    assert found.boxes.shape == (0, 7) and found.scores.shape == (0,)
