"""Rebuilt two-agent frames become folders, and boxes sit on the points of real ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import real_frames

from carla_cp.datasets import open_dataset
from carla_cp.geometry import (
    box_corners,
    inverse,
    matrix_from_pose,
    points_in_boxes,
    transform_boxes,
    transform_points,
)
from carla_cp.types import FloatArray, PointArray, Pose

REAL = os.environ.get("CARLA_CP_REAL_FRAMES", "")  # a folder with <scene>_<tick>.npz and the scene folder `raw`
GROUND_GAP_M = 0.1  # the road's returns are no returns of a box
EGO, OTHER = Pose(100.0, 50.0, 1.9, 0.01, 0.02, 0.5), Pose(130.0, 60.0, 2.1, -0.01, 0.0, -2.6)
WORLD = np.array(
    [
        [115.0, 52.0, 0.75, 4.6, 2.0, 1.5, 1.0],
        [100.4, 50.2, 0.75, 4.9, 2.1, 1.5, 0.5],
        [129.8, 60.0, 0.95, 4.2, 1.9, 1.5, -2.6],
    ]
)
OPENCOOD_ORDER = [1, 0, 3, 2, 5, 4, 7, 6]  # ours begins at the front right


def six(pose: Pose) -> FloatArray:
    """x, y, z, roll, yaw, pitch in degrees."""
    return np.array([pose.x, pose.y, pose.z, *np.degrees([pose.roll, pose.yaw, pose.pitch])])


def write_npz(path: Path) -> None:
    """Both agents see the first car, and each the other's."""
    boxes = transform_boxes(matrix_from_pose(inverse(EGO)), WORLD)
    rng = np.random.default_rng(3)
    places = [matrix_from_pose(Pose(*box[:3], yaw=box[6])) for box in WORLD]
    on = [rng.uniform(-0.4, 0.4, (30, 3)) * box[3:6] for box in WORLD]
    to_ego = matrix_from_pose(inverse(EGO))
    local = [transform_points(to_ego @ place, cloud) for place, cloud in zip(places, on, strict=True)]
    clouds = {"ego": [local[0], local[2]], "cav2_in_ego": [local[0], local[1]]}
    points = {name: np.column_stack([np.concatenate(two), np.ones(60)]) for name, two in clouds.items()}
    np.savez(
        path,
        gt_corners=box_corners(boxes)[:, OPENCOOD_ORDER],
        ego_pose=six(EGO),
        cav2_pose=six(OTHER),
        **{name: cloud.astype(np.float32) for name, cloud in points.items()},
    )


def test_a_rebuilt_frame_becomes_two_agents_with_their_own_clouds_and_boxes(tmp_path: Path) -> None:
    for tick in (6222, 6234):
        write_npz(tmp_path / f"TwoCars_1_{tick:06d}.npz")
    assert real_frames.main([str(tmp_path), str(tmp_path / "out")]) == 0
    dataset = open_dataset(tmp_path / "out")
    assert [(scene.name, len(scene), scene.agents) for scene in dataset.scenes] == [("TwoCars_1", 2, ("1", "2"))]
    first, second = dataset.frame(0).agents
    assert (first.ids.tolist(), second.ids.tolist()) == ([2, 3], [1, 3])
    assert np.concatenate([first.boxes, second.boxes]) == pytest.approx(WORLD[[2, 0, 1, 0]], abs=2e-3)
    for agent, boxes in ((first, WORLD[[0, 2]]), (second, WORLD[[0, 1]])):
        assert agent.sweep.sensor_height_m == pytest.approx(1.9)
        assert (points_in_boxes(world_points(agent.true_world_from_lidar, agent.sweep.points), boxes, 0.05) == 30).all()


def test_another_file_is_refused_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "TwoCars_1_006222.npz", ego=np.zeros((1, 4)))
    assert real_frames.main([str(tmp_path), str(tmp_path / "out")]) == 2
    assert "TwoCars_1_006222.npz: not a rebuilt frame" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short"])
def test_a_file_that_is_cut_short_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "TwoCars_1_006222.npz").write_bytes(content)
    assert real_frames.main([str(tmp_path), str(tmp_path / "out")]) == 2
    assert "TwoCars_1_006222.npz: not a rebuilt frame" in capsys.readouterr().err


def world_points(world_from_lidar: Pose, points: PointArray) -> FloatArray:
    """The points (N, 3) in the world frame."""
    return transform_points(matrix_from_pose(world_from_lidar), points[:, :3].astype(np.float64))


def shares_inside(points: FloatArray, boxes: FloatArray, grow_m: float = 0.1, around_m: float = 0.5) -> FloatArray:
    """Of every box with at least 20 returns on or around it: the share of them inside the box grown by `grow_m`."""
    bodies = boxes.copy()
    bodies[:, 2] += GROUND_GAP_M / 2
    bodies[:, 5] -= GROUND_GAP_M
    around, inside = (points_in_boxes(points, raised(bodies, grow), 0.0) for grow in (around_m, grow_m))
    enough = around >= 20
    return np.asarray(inside[enough] / around[enough])


def raised(boxes: FloatArray, grow_m: float) -> FloatArray:
    """The boxes grown to all sides but downwards, where the road is."""
    grown = boxes.copy()
    grown[:, 3:5] += 2 * grow_m
    grown[:, 5] += grow_m
    grown[:, 2] += grow_m / 2
    return grown


@pytest.mark.skipif(not REAL, reason="CARLA_CP_REAL_FRAMES names no folder of real frames")
def test_at_least_95_percent_of_real_boxes_hold_most_of_their_points(tmp_path: Path) -> None:
    assert real_frames.main([REAL, str(tmp_path)]) == 0
    found, mirrored = [], []
    for dataset in (open_dataset(tmp_path), open_dataset(Path(REAL) / "raw")):
        for agent in (agent for index in range(len(dataset)) for agent in dataset.frame(index).agents):
            pose, points = agent.true_world_from_lidar, agent.sweep.points
            found.append(shares_inside(world_points(pose, points), agent.boxes))
            mirrored.append(shares_inside(world_points(pose, points * np.float32([1, -1, 1, 1])), agent.boxes))
    good, control = np.concatenate(found) > 0.5, np.concatenate(mirrored) > 0.5
    print(f"{good.sum()} of {len(good)} boxes hold most of their points; with y mirrored {control.sum()} would")
    assert len(good) > 100
    assert good.mean() >= 0.95
    assert control.sum() < 0.6 * len(good)
