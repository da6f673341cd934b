"""Frames of several scenes, counted through."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from carla_cp.datasets import open_dataset

from .folders import VEHICLE, write_opv2v


def test_frames_are_counted_through_the_scenes(tmp_path: Path) -> None:
    write_opv2v(tmp_path / "a", {"1": VEHICLE}, (2, 4, 6))
    write_opv2v(tmp_path / "b", {"1": VEHICLE}, (10,))
    write_opv2v(tmp_path / "c", {"1": VEHICLE}, (20, 22))
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 6
    places = [dataset.locate(index) for index in range(6)]
    assert [(scene.name, number) for scene, number in places] == [
        ("a", 0),
        ("a", 1),
        ("a", 2),
        ("b", 0),
        ("c", 0),
        ("c", 1),
    ]
    assert [dataset.frame(index).time_us // 50_000 for index in range(6)] == [2, 4, 6, 10, 20, 22]
    for index in (-1, 6):
        with pytest.raises(IndexError):
            dataset.locate(index)


def test_a_data_set_travels_to_another_process(tmp_path: Path) -> None:
    dataset = open_dataset(write_opv2v(tmp_path / "a", {"1": VEHICLE}, (2, 4)))
    copy = pickle.loads(pickle.dumps(dataset))
    assert (copy.folder, copy.format, len(copy)) == (dataset.folder, dataset.format, 2)
    assert (copy.frame(1).agents[0].sweep.points == dataset.frame(1).agents[0].sweep.points).all()
