"""What is DAIR-V2X-C's own: files by name, mirrored axes, two clocks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carla_cp.datasets import DatasetError, open_dataset
from carla_cp.geometry import inverse, matrix_from_pose, transform_boxes
from carla_cp.types import ObjectClass

from .folders import write_dair

CORNERS = [[x, y, z] for z in (0, 1.5) for x, y in ((12, 6), (12, 4), (8, 4), (8, 6))]  # 4 x 2 m, 10 m ahead


def edit(path: Path, change: Callable[[Any], object]) -> None:
    """Edits a JSON file in place."""
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_what_is_to_the_left_has_negative_y_and_turns_the_other_way(tmp_path: Path) -> None:
    root = write_dair(tmp_path)
    eye = {"rotation": np.eye(3).tolist(), "translation": [[0.0], [0.0], [0.0]]}
    (root / "vehicle-side/calib/lidar_to_novatel/000010.json").write_text(json.dumps({"transform": eye}))
    (root / "vehicle-side/calib/novatel_to_world/000010.json").write_text(json.dumps(eye))
    turn = np.array([[np.cos(0.3), -np.sin(0.3), 0], [np.sin(0.3), np.cos(0.3), 0], [0, 0, 1]])  # to the left
    label = [{"type": "Van", "world_8_points": (np.array(CORNERS) @ turn.T).tolist()}]
    (root / "cooperative/label_world/000010.json").write_text(json.dumps(label))
    cloud = np.array([[*(turn @ [10, 5.5, 1]), 255.0]], "<f4")
    head = "FIELDS x y z intensity\nSIZE 4 4 4 4\nTYPE F F F F\nPOINTS 1\nDATA binary\n"
    (root / "vehicle-side/velodyne/000010.pcd").write_bytes(head.encode() + cloud.tobytes())
    agent = open_dataset(root).frame(0).agents[0]
    assert agent.sweep.points == pytest.approx(np.array([[cloud[0, 0], -cloud[0, 1], 1, 1]]), abs=1e-5)
    local = transform_boxes(matrix_from_pose(inverse(agent.true_world_from_lidar)), agent.boxes)
    x, y, _ = turn @ [10, 5, 0.75]
    assert local == pytest.approx(np.array([[x, -y, 0.75, 4, 2, 1.5, -0.3]]))


def test_the_agents_are_a_vehicle_and_a_unit_with_their_own_times(tmp_path: Path) -> None:
    root = write_dair(tmp_path)
    times = [{"pointcloud_path": "velodyne/005010.pcd", "pointcloud_timestamp": "-30000"}]
    (root / "infrastructure-side/data_info.json").write_text(json.dumps(times))
    frame = open_dataset(root).frame(0)
    assert frame.time_us == 0
    assert [(agent.sweep.agent, agent.sweep.time_us) for agent in frame.agents] == [("0", 0), ("-1", -30000)]
    assert [agent.ids.tolist() for agent in frame.agents] == [[0, 1], [0, 2]]
    assert frame.agents[1].labels.tolist() == [ObjectClass.VEHICLE] * 2


def test_a_pause_begins_a_new_scene_and_frames_are_in_the_order_of_time(tmp_path: Path) -> None:
    frames, stamps = ("000010", "000020", "000011", "000021"), (0, 9_000_000, 100_000, 9_100_000)
    dataset = open_dataset(write_dair(tmp_path, frames, stamps))
    assert [(scene.name, len(scene)) for scene in dataset.scenes] == [("000010", 2), ("000020", 2)]
    assert [dataset.frame(index).time_us for index in range(4)] == [0, 100_000, 9_000_000, 9_100_000]


def test_a_split_file_chooses_frames(tmp_path: Path) -> None:
    root = write_dair(tmp_path)
    (root / "val.json").write_text('["000011"]')
    dataset = open_dataset(root / "val.json")
    assert (dataset.format, len(dataset), dataset.frame(0).time_us) == ("dair", 1, 100_000)
    (root / "val.json").write_text('["000099"]')
    with pytest.raises(DatasetError, match=r"val\.json: frame 000099 is not in"):
        open_dataset(root / "val.json")


def test_an_offset_that_is_an_empty_text_is_none(tmp_path: Path) -> None:
    root = write_dair(tmp_path)
    moved = open_dataset(root).frame(0).agents[1].true_world_from_lidar
    edit(root / "cooperative/data_info.json", lambda infos: infos[0].update(system_error_offset=""))
    pose = open_dataset(root).frame(0).agents[1].true_world_from_lidar
    assert (moved.x - pose.x, moved.y - pose.y) == pytest.approx((0.5, 0.25))  # y is mirrored


def test_without_the_units_cloud_the_vehicle_is_alone_and_that_is_noted(tmp_path: Path) -> None:
    root = write_dair(tmp_path)
    (root / "infrastructure-side/velodyne/005010.pcd").unlink()
    reading = open_dataset(root).read(0)
    assert [agent.sweep.agent for agent in reading.frame.agents] == ["0"]
    assert [note.reason for note in reading.notes] == ["agent without files at a tick"]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("vehicle-side/calib/novatel_to_world/000010.json", "{}", "no rotation and translation"),
        ("vehicle-side/calib/novatel_to_world/000010.json", '{"rotation": [[2,0,0],[0,1,0],[0,0,1]], '
         '"translation": [[0],[0],[0]]}', "does not rotate"),
        ("infrastructure-side/calib/virtuallidar_to_world/005010.json", "[", "no JSON"),
        ("cooperative/label_world/000010.json", "{}", "no JSON list"),
        ("cooperative/label_world/000010.json", '[{"type": "Car"}]', "world_8_points"),
        ("cooperative/label_world/000010.json", '[{"type": "Car", "world_8_points": [[NaN, 0, 0]]}]', "8 corners"),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_by_name(tmp_path: Path, file: str, content: str, message: str) -> None:
    root = write_dair(tmp_path)
    (root / file).write_text(content)
    dataset = open_dataset(root)
    with pytest.raises(DatasetError, match=rf"{Path(file).name}: .*{message}"):
        dataset.frame(0)
    (root / file).unlink()
    with pytest.raises(DatasetError, match=rf"{Path(file).name}: No such file"):
        dataset.frame(0)
    assert len(dataset.frame(1).agents) == 2


def test_a_list_of_frames_without_a_key_is_refused_at_once(tmp_path: Path) -> None:
    root = write_dair(tmp_path)
    edit(root / "cooperative/data_info.json", lambda infos: infos[1].pop("cooperative_label_path"))
    with pytest.raises(DatasetError, match=r"data_info\.json: an entry lacks cooperative_label_path"):
        open_dataset(root)
