"""Poses corrected by shared boxes, on made-up scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from carla_cp.geometry import matrix_from_pose, relative, transform_boxes
from carla_cp.perception.alignment import align
from carla_cp.types import Detections, FloatArray, Pose

SPREAD = (0.15, 0.15, 0.06)


@dataclass(frozen=True)
class Scene:
    """What some agents see of the same objects."""

    true: list[FloatArray]  # ego_from_agent
    found: list[Detections]

    @property
    def spreads(self) -> list[FloatArray]:
        return [np.tile(SPREAD, (len(boxes.boxes), 1)) for boxes in self.found]


def scene(seed: int, agents: int = 4, objects: int = 14, wrong: float = 0.0, flipped: bool = True) -> Scene:
    """Random poses and objects; some boxes face backwards, `wrong` of them lie a metre off, and some are no objects."""
    rng = np.random.default_rng([seed, 3])
    world = np.zeros((objects, 7))
    world[:, :2], world[:, 3:6] = rng.uniform(-45, 45, (objects, 2)), (4.5, 1.9, 1.6)
    world[:, 6] = rng.uniform(-np.pi, np.pi, objects)
    poses = [Pose()]
    for _ in range(agents - 1):
        x, y = rng.uniform(-25, 25, 2)
        poses.append(Pose(x=x, y=y, z=0.3, pitch=0.01, yaw=rng.uniform(-np.pi, np.pi)))
    true, found = [matrix_from_pose(pose) for pose in poses], []
    for pose in poses:
        boxes = transform_boxes(relative(pose, Pose()), world[rng.random(objects) < 0.6])
        boxes[:, :2] += rng.normal(0, 0.12, (len(boxes), 2))
        boxes[:, :2] += (rng.random(len(boxes)) < wrong)[:, None] * rng.normal(0, 1, (len(boxes), 2))
        boxes[:, 6] += rng.normal(0, 0.04, len(boxes)) + np.pi * (flipped & (rng.random(len(boxes)) < 0.3))
        clutter = np.zeros((2, 7))
        clutter[:, :2], clutter[:, 3:6] = rng.uniform(-45, 45, (2, 2)), 1.0
        boxes = np.concatenate([boxes, clutter])
        found.append(Detections(boxes, np.full(len(boxes), 0.8), np.zeros(len(boxes), np.int64)))
    return Scene(true, found)


def believed(true: Sequence[FloatArray], seed: int, noise_m: float = 0.4, noise_deg: float = 0.4) -> list[FloatArray]:
    """The poses with an error of each agent but the ego."""
    rng = np.random.default_rng([seed, 5])
    result = [true[0]]
    for matrix in true[1:]:
        x, y = rng.normal(0, noise_m, 2)
        turn = matrix_from_pose(Pose(yaw=np.deg2rad(rng.normal(0, noise_deg))))
        moved = matrix.copy()
        moved[:3, :3] = turn[:3, :3] @ matrix[:3, :3]
        moved[:2, 3] += (x, y)
        result.append(moved)
    return result


def residual(true: Sequence[FloatArray], poses: Sequence[FloatArray]) -> FloatArray:
    """Mean error in metres and degrees over all agents but the ego."""
    off = [np.linalg.inv(a) @ b for a, b in zip(true[1:], poses[1:], strict=True)]
    each = [[np.hypot(*m[:2, 3]), abs(np.rad2deg(np.arctan2(m[1, 0], m[0, 0])))] for m in off]
    return np.asarray(np.mean(each, axis=0))


def mean_residuals(**kinds: float) -> tuple[FloatArray, FloatArray]:
    """Before and after, over some scenes."""
    before, after = [], []
    for seed in range(12):
        made = scene(seed, wrong=kinds.get("wrong", 0.0))
        poses = believed(made.true, seed, kinds.get("noise", 0.4), kinds.get("noise", 0.4))
        before.append(residual(made.true, poses))
        after.append(residual(made.true, align(poses, made.found, made.spreads)))
    return np.mean(before, axis=0), np.mean(after, axis=0)


def test_pose_noise_falls_to_a_third_though_boxes_face_backwards() -> None:
    before, after = mean_residuals()
    assert before[0] > 0.4 and before[1] > 0.25
    assert (after < before / 3).all()


def test_some_wrong_boxes_do_not_spoil_it() -> None:
    before, after = mean_residuals(wrong=0.15)
    assert (after < before / 2).all()


def test_large_noise_is_corrected_too() -> None:
    before, after = mean_residuals(noise=0.8)
    assert (after < before / 4).all()


def test_true_poses_move_by_less_than_half_of_a_box_s_own_noise() -> None:
    _, after = mean_residuals(noise=0.0)
    assert after[0] < 0.06 and after[1] < 0.06


def test_turning_any_box_by_half_a_turn_changes_nothing() -> None:
    made = scene(1, flipped=False)
    poses = believed(made.true, 1)
    turned = []
    for boxes in made.found:
        back = boxes.boxes.copy()
        back[::2, 6] += np.pi
        turned.append(Detections(back, boxes.scores, boxes.labels))
    for one, other in zip(align(poses, made.found, made.spreads), align(poses, turned, made.spreads), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_exact_boxes_give_back_the_exact_poses() -> None:
    world = np.array(
        [[10.0, 4, 0, 4, 2, 2, 0.3], [-8, 9, 0, 4, 2, 2, 2], [3, -12, 0, 4, 2, 2, -1], [20, 0, 0, 4, 2, 2, 1]]
    )
    true = [np.eye(4), matrix_from_pose(Pose(x=6.0, y=-2.0, yaw=2.0))]
    boxes = [transform_boxes(np.linalg.inv(matrix), world) for matrix in true]
    found = [Detections(each, np.ones(4), np.zeros(4, np.int64)) for each in boxes]
    tight = [np.tile((0.01, 0.01, 0.01), (4, 1))] * 2
    corrected = align([true[0], matrix_from_pose(Pose(x=6.3, y=-2.4, yaw=2.01))], found, tight)
    # The prior on the believed pose keeps a few millimetres.
    np.testing.assert_allclose(corrected[1], true[1], atol=5e-3)


def test_sure_boxes_outweigh_unsure_ones() -> None:
    world = np.zeros((6, 7))
    world[:, 0], world[:, 1] = (5, 15, -10, -5, 8, 20), (3, -8, 6, -9, 14, 9)
    seen = world.copy()
    seen[:3, 0] += 0.6  # as if the agent were 0.6 m farther back
    found = [Detections(boxes, np.ones(6), np.zeros(6, np.int64)) for boxes in (world, seen)]
    spreads = [np.tile(SPREAD, (6, 1)), np.tile(SPREAD, (6, 1))]
    spreads[1][:3] = 1.0
    unsure_first = align([np.eye(4), np.eye(4)], found, spreads)[1][0, 3]
    spreads[1] = spreads[1][::-1].copy()
    sure_first = align([np.eye(4), np.eye(4)], found, spreads)[1][0, 3]
    assert abs(unsure_first) < 0.15 and sure_first < -0.35


@pytest.mark.parametrize("shared", [0, 1])
def test_too_few_shared_boxes_leave_the_pose_bit_by_bit(shared: int) -> None:
    boxes = np.zeros((3, 7))
    boxes[:, 0] = (5.0, 15.0, 25.0)
    other = boxes + np.array([[0, 30.0, 0, 0, 0, 0, 0]])
    other[:shared, 1] -= 29.8
    found = [Detections(each, np.ones(3), np.zeros(3, np.int64)) for each in (boxes, other)]
    poses = [np.eye(4), matrix_from_pose(Pose(x=0.2, yaw=0.01))]
    corrected = align(poses, found, [np.tile(SPREAD, (3, 1))] * 2)
    np.testing.assert_array_equal(corrected[1], poses[1])


def test_nobody_seeing_anything_leaves_all_poses() -> None:
    poses = [np.eye(4), matrix_from_pose(Pose(x=3.0))]
    corrected = align(poses, [Detections.empty()] * 2, [np.zeros((0, 3))] * 2)
    np.testing.assert_array_equal(corrected, poses)


def test_the_order_of_the_others_does_not_matter_and_height_and_tilt_stay() -> None:
    made = scene(2)
    poses = believed(made.true, 2)
    corrected = align(poses, made.found, made.spreads)
    order = (0, 3, 1, 2)
    again = align([poses[i] for i in order], [made.found[i] for i in order], [made.spreads[i] for i in order])
    for index, matrix in zip(order, again, strict=True):
        np.testing.assert_allclose(matrix, corrected[index], atol=1e-4)
    for before, after in zip(poses, corrected, strict=True):
        np.testing.assert_allclose(after[2], before[2], atol=1e-12)
        np.testing.assert_allclose(after[:3, :3] @ after[:3, :3].T, np.eye(3), atol=1e-9)


def test_spreads_of_another_length_are_refused() -> None:
    made = scene(0, agents=2)
    with pytest.raises(ValueError, match="spreads of agent 1"):
        align(made.true, made.found, [made.spreads[0], made.spreads[1][:-1]])
