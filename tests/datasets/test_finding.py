"""What every format has in common, and how they are told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from carla_cp.datasets import Dataset, DatasetError, open_dataset
from carla_cp.geometry import matrix_from_pose, points_in_boxes, transform_points
from carla_cp.opv2v.reader import Scene

from .folders import BOXES, GROUND_Z, PER_BOX, SECOND, UNIT, VEHICLE, scan, write_dair, write_opv2v, write_v2v4real

CAR_HEIGHT, UNIT_HEIGHT = VEHICLE.z - GROUND_Z, UNIT.z - GROUND_Z


def write(format: str, folder: Path) -> Path:
    """A data set of one scene with two frames in the given format."""
    if format == "dair":
        return write_dair(folder)
    if format == "v2v4real":
        write_v2v4real(folder / "testoutput_CAV_data_1")
    elif format == "v2xset":
        write_opv2v(folder / "2021_08_22", {"9": VEHICLE, "-1": UNIT}, ground={"-1": UNIT.z - 1.9})
    else:
        write_opv2v(folder / "2021_08_22", {"12": VEHICLE, "7": SECOND})
    return folder


@pytest.mark.parametrize("format", ["opv2v", "v2xset", "v2v4real", "dair"])
def test_a_format_is_recognised_and_its_boxes_sit_on_the_points_of_tilted_sensors(tmp_path: Path, format: str) -> None:
    dataset = open_dataset(write(format, tmp_path))
    assert (dataset.format, len(dataset), len(dataset.scenes)) == (format, 2, 1)
    poses = (VEHICLE, UNIT if format in ("v2xset", "dair") else SECOND)
    for index in range(2):
        reading = dataset.read(index)
        assert reading.notes == ()
        for agent, pose in zip(reading.frame.agents, poses, strict=True):
            assert agent.sweep.agent == dataset.scenes[0].agents[poses.index(pose)]
            expected = BOXES[list(scan(pose).boxes)]
            assert agent.boxes[:, :6] == pytest.approx(expected[:, :6], abs=1e-6)
            turn = agent.boxes[:, 6] - expected[:, 6]
            assert np.abs(np.sin(turn)).max() < 2e-3 and np.cos(turn).min() > 0
            world = transform_points(matrix_from_pose(agent.true_world_from_lidar), agent.sweep.points.astype(float))
            assert (points_in_boxes(world, agent.boxes, grow_m=0.05) >= PER_BOX).all()
            assert world[-600:, 2] == pytest.approx(GROUND_Z, abs=0.03)
            found = agent.true_world_from_lidar
            assert (found.roll, found.pitch, found.yaw) == pytest.approx((pose.roll, pose.pitch, pose.yaw), abs=1e-6)


@pytest.mark.parametrize(
    ("format", "heights"),
    [
        ("opv2v", (CAR_HEIGHT, CAR_HEIGHT)),
        ("v2xset", (CAR_HEIGHT, UNIT_HEIGHT)),
        ("v2v4real", (CAR_HEIGHT, CAR_HEIGHT)),
        ("dair", (CAR_HEIGHT, UNIT_HEIGHT)),
    ],
)
def test_the_height_of_a_sensor_is_the_files_or_the_clouds(
    tmp_path: Path, format: str, heights: tuple[float, float]
) -> None:
    frame = open_dataset(write(format, tmp_path)).frame(0)
    assert [agent.sweep.sensor_height_m for agent in frame.agents] == pytest.approx(heights, abs=0.05)


@pytest.mark.parametrize(("format", "tick"), [("opv2v", 70), ("v2xset", 70), ("v2v4real", 0), ("dair", 0)])
def test_the_points_are_those_of_the_sensor_with_intensity_from_nothing_to_one(
    tmp_path: Path, format: str, tick: int
) -> None:
    points = open_dataset(write(format, tmp_path)).frame(0).agents[0].sweep.points
    assert points == pytest.approx(scan(VEHICLE, tick).points, abs=1e-4)


def test_scenes_at_any_depth_are_found_in_order_and_hidden_ones_are_not(tmp_path: Path) -> None:
    for name in ("train/b", "train/a", ".c.partial"):
        write_opv2v(tmp_path / name, {"1": VEHICLE}, (70,))
    (tmp_path / "train" / "notes").mkdir()
    dataset = open_dataset(tmp_path)
    assert [scene.name for scene in dataset.scenes] == ["train/a", "train/b"]
    assert [scene.name for scene in open_dataset(tmp_path / "train" / "a").scenes] == ["a"]


def test_a_broken_first_file_does_not_hide_the_format(tmp_path: Path) -> None:
    write_v2v4real(tmp_path / "scene")
    (tmp_path / "scene" / "0" / "000000.yaml").write_text("a: [")
    assert open_dataset(tmp_path).format == "v2v4real"


def test_an_empty_pose_in_the_first_file_is_told_when_it_is_read(tmp_path: Path) -> None:
    scene = open_dataset(write("opv2v", tmp_path)).scenes[0]
    assert isinstance(scene, Scene)
    path = scene.folder / scene.agents[0] / f"{scene.stems[0]}.yaml"
    path.write_text("lidar_pose: []\nvehicles: {}\n")
    assert open_dataset(tmp_path).format == "opv2v"
    with pytest.raises(DatasetError, match=path.name):
        open_dataset(tmp_path).frame(0)


def test_a_given_format_is_not_guessed(tmp_path: Path) -> None:
    dataset: Dataset = open_dataset(write("v2v4real", tmp_path), "opv2v")
    assert isinstance(dataset.scenes[0], Scene)
    with pytest.raises(DatasetError, match=r"000000\.yaml"):
        dataset.frame(0)


def test_what_cannot_be_a_data_set_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        open_dataset(tmp_path / "absent")
    with pytest.raises(DatasetError, match="holds no scene"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match=r"kitti.*known: auto, opv2v"):
        open_dataset(tmp_path, "kitti")  # type: ignore[arg-type]
