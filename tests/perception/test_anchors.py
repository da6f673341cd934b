"""The anchor head against OpenCOOD's own results and against plain loops; CoAlign's direction head."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from carla_cp.perception.anchors import AnchorHead, anchor_boxes, boxes_from_code, code_from_boxes
from carla_cp.perception.config import AnchorSpec, DetectorConfig
from carla_cp.perception.head import RawHeads
from carla_cp.types import FloatArray, GridSpec, ObjectClass
from tests.perception.opencood_case import KNOWN

EXPECTED: dict[str, Any] = KNOWN["anchors"]
HEIGHT_M = 1.9
GRID = GridSpec(half_length_m=25.6, half_width_m=12.8, z_min_m=-1.1, z_max_m=2.9)
CONFIG = replace(
    DetectorConfig(),
    grid=GRID,
    head="anchors",
    network_z_m=HEIGHT_M,
    score_threshold=0.5,
    filters=(8, 8, 8),
    bev_channels=8,
)
SWAPPED = [0, 1, 2, 5, 4, 3, 6]  # to x, y, z, height, width, length, yaw and back


def boxes() -> FloatArray:
    """Twelve boxes in the network's frame: two almost upright, two that overlap the first one's anchors."""
    rng = np.random.default_rng(7)
    sides = ((-22, 22), (-10, 10), (-1.3, -0.7), (3.5, 5), (1.5, 2.1), (1.4, 1.9), (-0.25, 0.25))
    found = np.stack([rng.uniform(low, high, 12) for low, high in sides], axis=1)
    found[4::2, 6] += np.pi / 2
    found[5::4, 6] -= np.pi
    found[0, 6], found[1, 6] = 0.02, 1.6
    found[2:4] = found[0]
    found[2, 0] += 0.7
    found[3, 1] += 9
    return found


def in_agent_frame(found: FloatArray) -> FloatArray:
    return found + [0, 0, HEIGHT_M, 0, 0, 0, 0]


def vehicles(count: int) -> Any:
    return np.zeros(count, np.int64)


def raw(directions: bool = False) -> RawHeads:
    parts = []
    for seed, spread, channels in ((8, 1.0, 2), (9, 0.3, 14), (10, 1.0, 4)):
        drawn = np.random.default_rng(seed).normal(0, spread, (1, channels, 32, 64))
        parts.append(torch.from_numpy(drawn.astype(np.float32)))
    return RawHeads(parts[0], parts[1], parts[2] if directions else None)


def test_anchors_lie_where_opencoods_do() -> None:
    anchors = anchor_boxes(CONFIG.anchors, GRID)
    np.testing.assert_allclose(anchors[0, 0][:, SWAPPED], EXPECTED["first"], atol=1e-12)
    np.testing.assert_allclose(anchors[-1, -1][:, SWAPPED], EXPECTED["last"], atol=1e-12)
    coarse = anchor_boxes(CONFIG.anchors, replace(GRID, bev_stride=4))
    anchor, shape = EXPECTED["wide"]
    assert list(coarse.shape) == shape
    np.testing.assert_allclose(coarse[3, 5, 1][SWAPPED], anchor, atol=1e-12)


def test_boxes_are_assigned_as_opencood_assigns_them() -> None:
    targets = AnchorHead(CONFIG).targets(in_agent_frame(boxes()), vehicles(12))
    assert np.argwhere(targets.positive).tolist() == EXPECTED["positives"]
    assert targets.negative.sum() == EXPECTED["negatives"]
    assert zlib.crc32(targets.negative.tobytes()) == EXPECTED["negatives_crc"]
    np.testing.assert_allclose(targets.boxes[targets.positive], EXPECTED["codes"], atol=1e-5)
    assert not targets.boxes[~targets.positive].any()


def test_the_loss_is_opencoods() -> None:
    head = AnchorHead(CONFIG)
    targets = head.targets(in_agent_frame(boxes()), vehicles(12))
    assert float(head.loss(raw(), (targets,))) == pytest.approx(EXPECTED["loss"], rel=1e-5)


def test_codes_are_read_as_opencood_reads_them() -> None:
    code = raw().boxes[0].permute(1, 2, 0).reshape(-1, 7).double().numpy()
    found = boxes_from_code(code, anchor_boxes(CONFIG.anchors, GRID).reshape(-1, 7))
    np.testing.assert_allclose(found[::503][:, SWAPPED], EXPECTED["decoded"], atol=1e-5, rtol=1e-5)


def test_a_code_and_its_box_are_inverse() -> None:
    anchors = anchor_boxes(CONFIG.anchors, GRID).reshape(-1, 7)[:12]
    np.testing.assert_allclose(boxes_from_code(code_from_boxes(boxes(), anchors), anchors), boxes(), atol=1e-12)


def upright(box: FloatArray) -> tuple[float, float, float, float]:
    reach_x = abs(box[3] / 2 * math.cos(box[6])) + abs(box[4] / 2 * math.sin(box[6]))
    reach_y = abs(box[3] / 2 * math.sin(box[6])) + abs(box[4] / 2 * math.cos(box[6]))
    return box[0] - reach_x, box[1] - reach_y, box[0] + reach_x, box[1] + reach_y


def overlap(first: FloatArray, second: FloatArray) -> float:
    a, b = upright(first), upright(second)
    wide, high = min(a[2], b[2]) - max(a[0], b[0]) + 1, min(a[3], b[3]) - max(a[1], b[1]) + 1
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return wide * high / (areas[0] + areas[1] - wide * high)


def test_assignment_equals_plain_loops() -> None:
    """Of boxes whose overlaps are no ties."""
    grid = GridSpec(half_length_m=12.8, half_width_m=6.4)
    config = replace(CONFIG, grid=grid, network_z_m=0.0)
    rng = np.random.default_rng(4)
    given = rng.uniform([-11, -5, -1, 3.6, 1.5, 1.4, -0.2], [11, 5, -0.5, 4.4, 1.8, 1.7, 0.2], (6, 7))
    anchors = anchor_boxes(config.anchors, grid).reshape(-1, 7)
    table = np.array([[overlap(anchor, box) for box in given] for anchor in anchors])
    owner, negative = np.full(len(anchors), -1), np.ones(len(anchors), bool)
    for anchor, row in enumerate(table):
        over = [box for box, iou in enumerate(row) if iou > 0.6]
        best = [box for box in range(6) if table[:, box].argmax() == anchor]
        owner[anchor] = (over + best + [-1])[0]
        negative[anchor] = all(iou < 0.45 for iou in row) and not best
    targets = AnchorHead(config).targets(given, vehicles(6))
    np.testing.assert_array_equal(targets.positive.ravel(), owner >= 0)
    np.testing.assert_array_equal(targets.negative.ravel(), negative)
    chosen = targets.boxes.reshape(-1, 7)[owner >= 0]
    np.testing.assert_allclose(chosen, code_from_boxes(given[owner[owner >= 0]], anchors[owner >= 0]), atol=1e-5)


def test_other_classes_and_empty_frames_have_no_positives() -> None:
    head = AnchorHead(CONFIG)
    walkers = head.targets(in_agent_frame(boxes()), np.full(12, int(ObjectClass.PEDESTRIAN)))
    assert not walkers.positive.any() and walkers.negative.all()
    assert torch.isfinite(head.loss(raw(), (walkers, head.targets(np.zeros((0, 7)), vehicles(0)))[:1]))


def test_found_boxes_are_vehicles_in_the_agent_frame_by_falling_score() -> None:
    head = AnchorHead(CONFIG)
    said = raw()
    said.heat.fill_(-9.0)
    said.boxes.zero_()
    said.heat[0, 0, 10, 20], said.heat[0, 1, 20, 40], said.heat[0, 0, 10, 21] = 1.0, 2.0, 0.5
    found = head.decode(said)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp([-2.0, -1.0])), atol=1e-6)  # the third overlaps
    anchors = anchor_boxes(CONFIG.anchors, GRID)
    np.testing.assert_allclose(found.boxes, in_agent_frame(np.stack([anchors[20, 40, 1], anchors[10, 20, 0]])))
    assert (found.labels == ObjectClass.VEHICLE).all()
    heat = head.heat(said)
    assert heat.shape == (1, 3, 32, 64) and float(heat[0, 0, 20, 40]) == pytest.approx(found.scores[0])
    assert not heat[0, 1:].any()


def test_directions_turn_a_box_but_never_its_axis() -> None:
    config = replace(CONFIG, anchors=AnchorSpec(directions=2), score_threshold=0.9)
    head = AnchorHead(config)
    plain, said = head.decode(raw()), raw(directions=True)
    assert said.directions is not None
    for turned in (0, 1):
        said.directions[0, turned::2], said.directions[0, 1 - turned :: 2] = 1.0, 0.0
        found = head.decode(said)
        np.testing.assert_allclose(found.boxes[:, :6], plain.boxes[:, :6])
        difference = found.boxes[:, 6] - plain.boxes[:, 6]
        np.testing.assert_allclose(np.sin(difference), 0.0, atol=1e-9)
        within = (found.boxes[:, 6] - config.anchors.direction_offset) % (2 * np.pi)
        assert (np.floor(within / np.pi) == turned).all()
    assert len(plain.scores) > 10


def test_directions_are_learnt_where_a_box_is() -> None:
    spec = AnchorSpec(directions=2, direction_weight=1.0, score_weight=0.0, box_weight=0.0)
    head = AnchorHead(replace(CONFIG, anchors=spec))
    given = boxes()[:1].copy()
    given[0, 6] = 2.0  # of the first bin: from 0.7853 to half a turn more
    targets = head.targets(in_agent_frame(given), vehicles(1))
    said = raw(directions=True)
    assert said.directions is not None
    said.directions[0, 0::2], said.directions[0, 1::2] = 20.0, -20.0
    assert float(head.loss(said, (targets,))) < 1e-6
    said.directions.neg_()
    assert float(head.loss(said, (targets,))) == pytest.approx(40.0, rel=1e-4)


def test_anchors_between_the_thresholds_may_say_nothing() -> None:
    given = in_agent_frame(boxes())
    strict, lenient = (
        AnchorHead(replace(CONFIG, anchors=AnchorSpec(ignore_between=ignore, box_weight=0.0)))
        for ignore in (False, True)
    )
    targets = strict.targets(given, vehicles(12))
    between = torch.from_numpy(~targets.positive & ~targets.negative).permute(2, 0, 1)
    assert between.any()
    said = raw()
    before = float(lenient.loss(said, (targets,)))
    said.heat[0][between] += 3.0
    assert float(lenient.loss(said, (targets,))) == pytest.approx(before)
    assert float(strict.loss(said, (targets,))) > float(lenient.loss(said, (targets,)))


@pytest.mark.parametrize("wrong", [{"length_m": 0.0}, {"yaws_deg": ()}, {"directions": -1}, {"negative_iou": 0.7}])
def test_anchors_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="anchors need"):
        AnchorSpec(**wrong)
