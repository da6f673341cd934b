"""What is V2V4Real's own in a yaml file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from carla_cp.datasets import DatasetError, open_dataset
from carla_cp.datasets.v2v4real import class_of
from carla_cp.types import ObjectClass

from .folders import write_v2v4real


def test_an_object_that_both_cars_list_has_one_id_and_others_have_their_own(tmp_path: Path) -> None:
    frame = open_dataset(write_v2v4real(tmp_path / "scene")).frame(0)
    assert [agent.ids.tolist() for agent in frame.agents] == [[500, 6], [500, 106]]


def change(scene: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Edits the ego's first file."""
    path = scene / "0" / "000000.yaml"
    data = yaml.safe_load(path.read_text())
    edit(data)
    path.write_text(yaml.safe_dump(data))
    return scene


def test_a_pose_of_six_numbers_is_read_too(tmp_path: Path) -> None:
    write_v2v4real(tmp_path / "scene")
    change(tmp_path / "scene", lambda data: data.update(lidar_pose=[1.0, 2.0, 3.0, 4.0, 90.0, 6.0]))
    pose = open_dataset(tmp_path, "v2v4real").frame(0).agents[0].true_world_from_lidar
    assert (pose.x, pose.y, pose.z) == (1, 2, 3)
    assert np.degrees([pose.roll, pose.pitch, pose.yaw]) == pytest.approx([4, 6, 90])


@pytest.mark.parametrize("pose", [[[1.0, 0.0], [0.0, 1.0]], (2 * np.eye(4)).tolist(), [[float("nan")] * 4] * 4])
def test_a_matrix_that_is_no_pose_is_refused_by_name(tmp_path: Path, pose: list[list[float]]) -> None:
    write_v2v4real(tmp_path / "scene")
    change(tmp_path / "scene", lambda data: data.update(lidar_pose=pose))
    with pytest.raises(DatasetError, match=r"000000\.yaml.*lidar_pose"):
        open_dataset(tmp_path, "v2v4real").frame(0)


def test_a_file_without_types_or_shared_ids_is_read(tmp_path: Path) -> None:
    def strip(data: dict[str, Any]) -> None:
        for body in data["vehicles"].values():
            del body["obj_type"], body["ass_id"]

    agent = open_dataset(change(write_v2v4real(tmp_path / "scene"), strip)).frame(0).agents[0]
    assert agent.ids.tolist() == [5, 6]
    assert set(agent.labels.tolist()) == {ObjectClass.VEHICLE}


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Car", ObjectClass.VEHICLE),
        ("Truck", ObjectClass.VEHICLE),
        ("Pedestrian", ObjectClass.PEDESTRIAN),
        ("BicycleRider", ObjectClass.CYCLIST),
        ("Motorcycle", ObjectClass.CYCLIST),
    ],
)
def test_types_become_classes(name: str, label: ObjectClass) -> None:
    assert class_of(name) is label
