from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from carla_cp.geometry import inverse, matrix_from_pose, points_in_boxes, transform_boxes
from carla_cp.opv2v import read_scene

ROOT = Path(__file__).parent.parent.parent
TOOL = ROOT / "tools" / "generate_data.py"


@pytest.fixture(scope="module")
def generate_data() -> ModuleType:
    sys.path.insert(0, str(ROOT / "tools"))
    import generate_data

    return generate_data


def command(out: Path, *options: str) -> list[str]:
    small = ["--frames", "2", "--stride", "0.1", "--split", "train", "--agents", "2-3"]
    return [sys.executable, str(TOOL), str(out), *small, *options]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("data")
    done = subprocess.run(command(out, "--scenes", "3", "--jobs", "1"), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_the_scenes_are_there_on_maps_of_the_split_and_counted(made: tuple[Path, str]) -> None:
    out, said = made
    names = sorted(path.name for path in out.iterdir())
    assert [name[-4:] for name in sorted(names, key=lambda name: name[-4:])] == ["0000", "0001", "0002"]
    assert all(name.startswith("train_") for name in names)
    assert "3 scenes, 6 frames" in said.splitlines()[-1]


def test_boxes_sit_on_the_points_of_every_agent(made: tuple[Path, str]) -> None:
    views = 0
    for folder in made[0].iterdir():
        for frame in read_scene(folder):
            assert 2 <= len(frame.agents) <= 3
            for agent in frame.agents:
                local = transform_boxes(matrix_from_pose(inverse(agent.true_world_from_lidar)), agent.boxes)
                assert (points_in_boxes(agent.sweep.points[:, :3].astype(float), local, 0.05) > 0).all()
                assert 1.7 < agent.sweep.sensor_height_m < 6.1
                views += len(agent.ids)
    assert views > 60


def test_a_finished_scene_is_kept_and_a_lost_one_comes_back_the_same(made: tuple[Path, str]) -> None:
    out, _ = made
    before = files(out)
    lost, *kept = sorted(out.iterdir())
    times = {folder: folder.stat().st_mtime_ns for folder in kept}
    for path in sorted(lost.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    lost.rmdir()
    done = subprocess.run(command(out, "--scenes", "3", "--jobs", "2"), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "2 of 3 scenes are there; making 1" in done.stdout
    assert files(out) == before
    assert {folder: folder.stat().st_mtime_ns for folder in kept} == times


def test_an_interrupt_leaves_whole_scenes_only_and_no_process(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(tmp_path / "data", "--scenes", "50"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and not list((tmp_path / "data").glob("train_*")):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in said
    for folder in (tmp_path / "data").iterdir():
        assert not folder.name.startswith(".")
        assert len(read_scene(folder)) == 2
    deadline = time.monotonic() + 20
    while group_exists(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not group_exists(process.pid)


def group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--agents", "5-2", "5-2"),
        ("--scenes", "0", "'0'"),
        ("--stride", "0.07", "0.07"),
        ("--stride", "inf", "inf"),
        ("--split", "all", "'all'"),
    ],
)
def test_a_bad_option_is_named(
    generate_data: ModuleType, capsys: pytest.CaptureFixture[str], option: str, value: str, named: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        generate_data.parse(["out", "--scenes", "1", "--split", "val", option, value])
    assert named in capsys.readouterr().err


def test_every_scene_has_a_seed_of_its_own_that_does_not_depend_on_the_number_of_scenes(
    generate_data: ModuleType,
) -> None:
    few = generate_data.plan(generate_data.parse(["out", "--scenes", "5", "--split", "test", "--seed", "3"]))
    many = generate_data.plan(generate_data.parse(["out", "--scenes", "20", "--split", "test", "--seed", "3"]))
    assert many[:5] == few
    assert len({job.seed for job in many}) == len({job.folder for job in many}) == 20
