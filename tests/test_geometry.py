"""Poses, boxes, rotated IoU and NMS, against plain loops and shapely."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_cp.geometry import (
    GROUND_GAP_M,
    bev_corners,
    box_corners,
    compose,
    count_returns,
    inverse,
    matrix_from_pose,
    nms,
    points_in_boxes,
    pose_from_matrix,
    relative,
    rotated_iou,
    transform_boxes,
    transform_points,
    wrap_angle,
)
from carla_cp.types import FloatArray, Pose

angle = st.floats(-1.4, 1.4)
metre = st.floats(-500, 500)
poses = st.builds(Pose, metre, metre, metre, angle, angle, st.floats(-3.1, 3.1))


def random_boxes(rng: np.random.Generator, count: int) -> FloatArray:
    """Overlapping boxes far from the origin, where cancellation would show."""
    centre = rng.uniform(-6, 6, (count, 3)) + [310.0, -120.0, 0.0]
    size = rng.uniform(0.4, 6.0, (count, 3))
    return np.concatenate([centre, size, rng.uniform(-4, 4, (count, 1))], axis=1)


def shapely_iou(first: FloatArray, second: FloatArray) -> FloatArray:
    left, right = (shapely.polygons(bev_corners(boxes)) for boxes in (first, second))
    inter = shapely.area(shapely.intersection(left[:, None], right[None]))
    return np.asarray(inter / (shapely.area(left)[:, None] + shapely.area(right)[None] - inter))


@given(poses)
def test_a_pose_survives_its_matrix(pose: Pose) -> None:
    again = pose_from_matrix(matrix_from_pose(pose))
    assert np.allclose(matrix_from_pose(again), matrix_from_pose(pose), atol=1e-9)


@given(poses, poses)
def test_relative_undoes_compose(first: Pose, second: Pose) -> None:
    assert np.allclose(relative(first, compose(first, second)), matrix_from_pose(second), atol=1e-6)
    assert np.allclose(matrix_from_pose(compose(inverse(first), first)), np.eye(4), atol=1e-6)


def test_yaw_turns_x_towards_y_and_pitch_lifts_the_nose() -> None:
    assert np.allclose(matrix_from_pose(Pose(yaw=math.pi / 2))[:3, 0], [0, 1, 0])
    assert np.allclose(matrix_from_pose(Pose(pitch=math.pi / 6))[:3, 0], [math.cos(math.pi / 6), 0, 0.5])


@given(st.floats(-50, 50))
def test_a_wrapped_angle_lies_in_the_half_open_circle(value: float) -> None:
    assert -math.pi <= wrap_angle(value) < math.pi
    assert math.isclose(math.cos(wrap_angle(value)), math.cos(value), abs_tol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_rotated_iou_equals_shapely(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = random_boxes(rng, 40), random_boxes(rng, 50)
    assert np.abs(rotated_iou(first, second) - shapely_iou(first, second)).max() < 1e-9


def test_a_box_overlaps_itself_fully_and_its_neighbour_not_at_all() -> None:
    box = np.array([[10.0, 5.0, 0.8, 4.5, 2.0, 1.6, 0.3]])
    aside = box + [[0, 30.0, 0, 0, 0, 0, 0]]
    assert rotated_iou(box, box)[0, 0] == pytest.approx(1.0)
    assert rotated_iou(box, aside)[0, 0] == 0.0
    assert rotated_iou(box, np.zeros((0, 7))).shape == (1, 0)


def test_a_box_without_area_overlaps_nothing() -> None:
    point, line = np.zeros((1, 7)), np.array([[0.0, 0.0, 0.0, 0.0, 2.0, 1.0, 0.3]])
    turned_in = np.array([[0.0, 0.0, 0.0, -1.0, 2.0, 1.0, 0.0]])
    box = np.array([[0.02, 0.08, 0.0, 0.07, 0.15, 1.0, 0.2]])
    for empty in (point, line, turned_in):
        assert rotated_iou(box, empty)[0, 0] == rotated_iou(empty, box)[0, 0] == rotated_iou(empty, empty)[0, 0] == 0.0


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_nms_equals_a_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boxes, scores = random_boxes(rng, 30), rng.integers(0, 9, 30) / 9
    overlaps = shapely_iou(boxes, boxes)
    kept: list[int] = []
    for index in sorted(range(30), key=lambda i: (-scores[i], i)):
        if all(overlaps[index, other] <= 0.2 for other in kept):
            kept.append(index)
    assert nms(boxes, scores, 0.2).tolist() == kept


def test_points_are_counted_in_the_turned_box_that_holds_them() -> None:
    box = np.array([[2.0, 1.0, 0.5, 4.0, 2.0, 1.0, 0.7]])
    inside = box_corners(box)[0] * 0.98 + box[0, :3] * 0.02
    outside = box_corners(box)[0] * 1.1 - box[0, :3] * 0.1
    assert points_in_boxes(np.concatenate([inside, outside]), box).tolist() == [8]
    assert points_in_boxes(outside, box, grow_m=0.5).tolist() == [8]


def test_a_bodys_returns_are_counted_and_the_roads_beneath_it_are_not() -> None:
    world_from_lidar = Pose(x=10.0, y=-4.0, z=2.0, pitch=0.1, yaw=2.0)
    box = np.array([[14.0, -4.0, 0.75, 4.0, 2.0, 1.5, 0.3]])
    in_world = np.array([[14.0, -4.0, 0.7], [14.1, -4.1, 1.4], [14.0, -4.0, 0.02], [14.0, -4.0, 1.6]])
    points = np.zeros((4, 4), np.float32)
    points[:, :3] = transform_points(relative(world_from_lidar, Pose()), in_world)
    assert count_returns(world_from_lidar, points, box).tolist() == [2]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spread_m", [3.0, 60.0, 9000.0])
def test_the_raster_loses_no_return(seed: int, spread_m: float) -> None:
    rng = np.random.default_rng([seed, 5])
    boxes = random_boxes(rng, 40)
    boxes[:, :2] += rng.uniform(-spread_m, spread_m, (40, 2))
    pose = Pose(300.0, -100.0, 2.0, 0.02, -0.03, rng.uniform(-3, 3))
    world = np.concatenate(
        [boxes[rng.integers(40, size=3000), :3] + rng.normal(0, 2.5, (3000, 3)), rng.uniform(-400, 400, (500, 3))]
    )
    local = transform_points(matrix_from_pose(inverse(pose)), world).astype(np.float32)
    local[7], local[8] = np.nan, np.inf
    bodies = boxes + [0, 0, GROUND_GAP_M / 2, 0, 0, -GROUND_GAP_M, 0]
    points = np.concatenate([local, np.ones((len(local), 1), np.float32)], axis=1)
    with np.errstate(invalid="ignore"):  # infinity times zero
        expected = points_in_boxes(transform_points(matrix_from_pose(pose), local.astype(np.float64)), bodies)
        counted = count_returns(pose, points, boxes)
    assert counted.tolist() == expected.tolist()
    assert expected.sum() > 200
    assert count_returns(pose, points, boxes[:0]).tolist() == []


def test_boxes_and_their_corners_move_together() -> None:
    boxes = random_boxes(np.random.default_rng(1), 8)
    matrix = matrix_from_pose(Pose(3.0, -4.0, 1.0, yaw=0.8))
    moved = box_corners(transform_boxes(matrix, boxes))
    assert np.allclose(moved, transform_points(matrix, box_corners(boxes).reshape(-1, 3)).reshape(-1, 8, 3))
