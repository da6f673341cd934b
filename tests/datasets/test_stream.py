"""The order and content of a stream, and what becomes of broken files."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import yaml

from carla_cp.datasets import Dataset, DatasetError, Tally, open_dataset, stream_frames
from carla_cp.opv2v import write_pcd

from .folders import SECOND, VEHICLE, write_dair, write_opv2v, write_v2v4real

ORDER = (7, 0, 3, 1, 6, 2, 5, 4, 0)


@pytest.fixture
def damaged(tmp_path: Path) -> Dataset:
    """Eight frames of two agents; five are broken or odd, each in its own way."""
    scene = write_opv2v(tmp_path / "scene", {"1": VEHICLE, "2": SECOND}, range(70, 86, 2))
    cloud = scene / "2" / "000072.pcd"
    cloud.write_bytes(cloud.read_bytes()[:-7])
    data = yaml.safe_load((scene / "1" / "000074.yaml").read_text())
    del data["lidar_pose"]
    (scene / "1" / "000074.yaml").write_text(yaml.safe_dump(data))
    write_pcd(scene / "2" / "000076.pcd", np.zeros((0, 4), np.float32))
    for agent in "12":
        text = (scene / agent / "000078.yaml").read_text()
        (scene / agent / "000078.yaml").write_text(text.split("vehicles:")[0] + "vehicles: {}\n")
    write_pcd(scene / "1" / "000080.pcd", np.array([[1, 2, 3, 0.5], [np.nan, 0, 0, 0]], np.float32), binary=True)
    (scene / "2" / "000082.yaml").unlink()
    return open_dataset(tmp_path)


EXPECTED = """7 frames read, 2 left out
  left out: broken cloud, 1 x; first: {0}/2/000072.pcd: cut short: 10873 bytes of points, 10880 announced
  left out: yaml without a key, 1 x; first: {0}/1/000074.yaml: not an OPV2V frame: lacks the key 'lidar_pose'
  noticed: agent without files at a tick, 1 x; first: {0}/2/000082.yaml
  noticed: cloud with points that are not finite (left out), 1 x; first: {0}/1/000080.pcd
  noticed: empty cloud, 1 x; first: {0}/2/000076.pcd
  noticed: frame without objects, 1 x; first: {0}/1/000078.yaml"""


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_frames_are_left_out_counted_and_named_for_any_number_of_workers(damaged: Dataset, workers: int) -> None:
    tally = Tally()
    got = list(stream_frames(damaged, ORDER, workers, tally))
    assert [index for index, _ in got] == [index for index in ORDER if index not in (1, 2)]
    for index, frame in got:
        expected = damaged.frame(index)
        assert frame.time_us == expected.time_us
        assert [agent.sweep.agent for agent in frame.agents] == [agent.sweep.agent for agent in expected.agents]
        for agent, same in zip(frame.agents, expected.agents, strict=True):
            assert np.array_equal(agent.sweep.points, same.sweep.points)
            assert np.array_equal(agent.boxes, same.boxes)
    assert str(tally) == EXPECTED.format(damaged.folder / "scene")
    assert multiprocessing.active_children() == []


def test_a_worker_that_dies_is_told_and_none_outlives_its_reader(damaged: Dataset) -> None:
    stream = stream_frames(damaged, [0] * 50, workers=1)
    next(stream)
    multiprocessing.active_children()[0].kill()
    with pytest.raises(RuntimeError, match="a worker that reads frames died"):
        for _ in stream:
            pass
    assert multiprocessing.active_children() == []


def test_a_wrong_index_is_told_before_anything_is_read(damaged: Dataset) -> None:
    with pytest.raises(IndexError):
        next(stream_frames(damaged, [0, 8]))


def test_an_empty_order_gives_nothing(damaged: Dataset) -> None:
    assert list(stream_frames(damaged, [], workers=2)) == []


@pytest.mark.parametrize("write", [write_dair, write_v2v4real, lambda path: write_opv2v(path / "s", {"1": VEHICLE})])
def test_whatever_is_wrong_with_a_file_the_one_documented_error_tells(tmp_path: Path, write: object) -> None:
    assert callable(write)
    dataset = open_dataset(write(tmp_path))
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file() and path.name != "data_info.json")
    refused = 0
    for number in range(240):
        rng = np.random.default_rng([number])
        path = files[int(rng.integers(len(files)))]
        whole = path.read_bytes()
        path.write_bytes(damage(whole, rng))
        for index in range(len(dataset)):
            try:
                dataset.frame(index)
            except DatasetError as error:
                assert path.name in str(error) or path.stem in str(error)
                refused += 1
        path.write_bytes(whole)
    assert refused > 40


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes cut, with some of them changed, or with a piece removed; mostly near the start, where headers are."""
    reach = len(data) if rng.random() < 0.4 else min(len(data), 200)
    at = int(rng.integers(reach))
    kind = int(rng.integers(4))
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + data[at + int(rng.integers(1, 40)) :]
    changed = bytearray(data)
    letters = bytes(range(256)) if kind == 2 else b"0123456789-.eE[]{}:,\n"
    for _ in range(int(rng.integers(1, 4))):
        changed[int(rng.integers(reach))] = letters[int(rng.integers(len(letters)))]
    return bytes(changed)
