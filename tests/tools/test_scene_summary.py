from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from carla_cp.opv2v import read_scene, write_pcd, write_scene
from tests.opv2v.scenes import WORLD, scans


@pytest.fixture(scope="module")
def scene_summary() -> ModuleType:
    sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tools"))
    import scene_summary

    return scene_summary


def test_what_is_counted_is_what_a_reader_finds(scene_summary: ModuleType, tmp_path: Path) -> None:
    folders = [tmp_path / "train_grid_0_0000", tmp_path / "train_grid_0_0006", tmp_path / "train_two_0_0001"]
    for folder in folders:
        write_scene(folder, {}, (scans(time) for time in (0, 100_000)))
    counts = scene_summary.count_scenes(folders)
    frames = [frame for folder in folders for frame in read_scene(folder)]
    seen = [{number for agent in frame.agents for number in agent.ids.tolist()} for frame in frames]
    assert (counts.frames, counts.views) == (6, sum(len(frame.agents) for frame in frames))
    assert sum(counts.objects.values()) == sum(map(len, seen))
    kinds = [thing.label.name for thing in WORLD if thing.id in seen[0] and thing.label is not None]
    of_each = {"vehicles": "VEHICLE", "cyclists": "CYCLIST", "pedestrians": "PEDESTRIAN"}
    assert counts.objects == {ours: 6 * kinds.count(theirs) for ours, theirs in of_each.items()}
    assert counts.size == sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    first, objects, maps = scene_summary.summary(folders).splitlines()
    assert first.startswith("3 scenes, 6 frames, 3.00 agents a frame, ")
    assert objects == "objects a frame: 2.0 vehicles, 1.0 cyclists, 1.0 pedestrians"
    assert maps == "scenes by map: train_grid 2, train_two 1"


def test_nothing_is_counted_too(scene_summary: ModuleType) -> None:
    assert scene_summary.summary([]).splitlines()[-1] == "scenes by map: none"


@pytest.mark.parametrize("binary", [False, True])
def test_the_room_that_is_expected_is_what_a_full_sweep_takes(
    scene_summary: ModuleType, tmp_path: Path, binary: bool
) -> None:
    draw = np.random.default_rng(3)
    points = np.concatenate([draw.uniform(-99.0, 99.0, (58_982, 3)), draw.uniform(0.7, 1.0, (58_982, 1))], axis=1)
    write_pcd(tmp_path / "a.pcd", points.astype(np.float32), binary)
    expected = scene_summary.expected_bytes(1, 64 * 1024, binary) - scene_summary.YAML_BYTES
    assert expected == pytest.approx((tmp_path / "a.pcd").stat().st_size, rel=0.05)
