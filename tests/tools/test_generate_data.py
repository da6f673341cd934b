from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml

from carla_cp.geometry import inverse, matrix_from_pose, points_in_boxes, transform_boxes, transform_points
from carla_cp.opv2v import read_pcd, read_scene
from carla_cp.types import FloatArray

PATIENCE_S = 400.0  # for what takes seconds; the cores may be busy with other things
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
    done = subprocess.run(
        command(out, "--scenes", "3", "--jobs", "1"), capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_the_scenes_are_there_on_maps_of_the_split_and_counted(made: tuple[Path, str]) -> None:
    out, said = made
    names = sorted(path.name for path in out.iterdir())
    assert [name[-4:] for name in sorted(names, key=lambda name: name[-4:])] == ["0000", "0001", "0002"]
    assert all(name.startswith("train_") for name in names)
    rate, counted, objects, maps = said.splitlines()[-4:]
    assert rate.startswith("made 6 frames in ")
    assert counted.startswith("3 scenes, 6 frames, 2.") and counted.endswith(" GB")
    assert "vehicles" in objects and "pedestrians" in objects
    assert maps == "scenes by map: " + ", ".join(f"{name[:-7]} 1" for name in names)


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


# ---------------------------------------------------------------------------- how OpenCOOD reads, told in our own words


def opencood_agents(scene: Path) -> list[str]:
    """Sorted as text; every name is a number; one leading negative one, a roadside unit, goes to the end."""
    names = sorted(path.name for path in scene.iterdir() if path.is_dir())
    return [*names[1:], names[0]] if int(names[0]) < 0 else names


def opencood_matrix(pose: list[float]) -> FloatArray:
    """World from x, y, z [m], roll, yaw, pitch [deg]: by turns about x, then y, then z of CARLA's left-handed frame."""
    x, y, z, roll, yaw, pitch = pose
    cos, sin = (dict(zip("ryp", f(np.radians([roll, yaw, pitch])), strict=True)) for f in (np.cos, np.sin))
    about_x = [[1, 0, 0], [0, cos["r"], sin["r"]], [0, -sin["r"], cos["r"]]]
    about_y = [[cos["p"], 0, -sin["p"]], [0, 1, 0], [sin["p"], 0, cos["p"]]]
    about_z = [[cos["y"], -sin["y"], 0], [sin["y"], cos["y"], 0], [0, 0, 1]]
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(about_z) @ np.array(about_y) @ np.array(about_x)
    matrix[:3, 3] = x, y, z
    return matrix


def opencood_inside(points: FloatArray, body: dict[str, list[float]]) -> FloatArray:
    """Which world points (N, 3) lie in a box of half lengths `extent` about `location + center`, turned by `angle`."""
    centre = [a + b for a, b in zip(body["location"], body["center"], strict=True)]
    local = transform_points(np.linalg.inv(opencood_matrix([*centre, *body["angle"]])), points)
    return np.asarray((np.abs(local) <= np.array(body["extent"]) + 0.05).all(axis=1))


def test_opencoods_rules_find_agents_ticks_poses_and_boxes(made: tuple[Path, str]) -> None:
    units = 0
    for scene in made[0].iterdir():
        agents = opencood_agents(scene)
        assert all(int(name) < 0 for name in agents[2:] if name.startswith("-")) and int(agents[0]) > 0
        ticks = sorted(path.stem for path in (scene / agents[0]).glob("*.yaml"))
        assert ticks == ["000000", "000002"]  # every second tick of 0.05 s
        for tick in ticks:
            views = {}
            for name in agents:
                assert {path.name for path in (scene / name).iterdir()} == {
                    f"{t}.{e}" for t in ticks for e in ("pcd", "yaml")
                }
                data = yaml.safe_load((scene / name / f"{tick}.yaml").read_text())
                cloud = read_pcd(scene / name / f"{tick}.pcd")[:, :3].astype(float)
                world = transform_points(opencood_matrix(data["lidar_pose"]), cloud)
                assert data["RSU"] == (int(name) < 0)
                units += data["RSU"]
                views[int(name)] = (data, world)
                for body in (*data["vehicles"].values(), *data["walkers"].values()):
                    assert opencood_inside(world, body).any()
                assert int(name) not in data["vehicles"]
            listed = set().union(*(view["vehicles"] for view, _ in views.values()))
            assert len(listed) > 8
    assert 0 < units < 9


# ------------------------------------------------------------------------------------ stopped, killed, and gone on with


def test_a_finished_scene_is_kept_and_a_lost_one_comes_back_the_same(made: tuple[Path, str]) -> None:
    out, _ = made
    before = files(out)
    lost, *kept = sorted(out.iterdir())
    times = {folder: folder.stat().st_mtime_ns for folder in kept}
    for path in sorted(lost.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    lost.rmdir()
    done = subprocess.run(
        command(out, "--scenes", "3", "--jobs", "2"), capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    assert "2 of 3 scenes are there; making 1" in done.stdout
    assert files(out) == before
    assert {folder: folder.stat().st_mtime_ns for folder in kept} == times


@contextmanager
def running(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The tool in a session of its own, so that signals reach it and its processes alone."""
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stop_when(condition: Callable[[], object], tool: subprocess.Popen[str]) -> None:
    """Stops a running tool and its workers, though not their servers, at a moment at which the condition holds."""
    while True:
        wait_for(lambda: condition() or tool.poll() is not None)
        assert tool.poll() is None, "the tool ended before"
        os.killpg(tool.pid, signal.SIGSTOP)
        wait_for(lambda: states_of(tool.pid) <= {"T", "Z"})
        if condition():
            return
        os.killpg(tool.pid, signal.SIGCONT)


def states_of(group: int) -> set[str]:
    """Of the processes of a group: T is stopped, Z waits to be buried."""
    states = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            state, _, its_group, *_ = path.read_text().rpartition(")")[2].split()
            if int(its_group) == group:
                states.add(state)
    return states


def servers_of(tool: int) -> set[int]:
    """The servers that a running tool's workers have started."""
    parents: dict[int, int] = {}
    servers = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if b"carla_cp.server" in (entry / "cmdline").read_bytes():
                servers.add(int(entry.name))
    return {server for server in servers if parents.get(parents.get(server, 0)) == tool}


def group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def alive(process: int) -> bool:
    """Whether it runs; one that waits to be buried does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def half_done(out: Path, number: str) -> bool:
    """Whether a frame of the scene lies in its unfinished folder."""
    return any(out.glob(f".train_*_{number}.partial/*/*.yaml"))


def test_after_a_kill_in_the_middle_the_same_command_gives_the_same_bytes(
    made: tuple[Path, str], tmp_path: Path
) -> None:
    out = tmp_path / "data"
    (first,) = made[0].glob("*_0000")
    shutil.copytree(first, out / first.name)
    arguments = command(out, "--scenes", "2", "--jobs", "1")
    with running(arguments) as process:
        stop_when(lambda: half_done(out, "0001"), process)
        servers = servers_of(process.pid)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)
    wait_for(lambda: not any(alive(server) for server in servers))
    assert len(servers) == 1
    left = sorted(path.name for path in out.iterdir())
    assert len(left) == 2 and left[0].endswith("_0001.partial") and left[1] == first.name
    (out / ".of_another_map.partial").mkdir()
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 scenes are there; making 1" in done.stdout
    wanted = {name: data for name, data in files(made[0]).items() if "_0002/" not in name}
    assert files(out) == wanted
    assert not list(out.glob(".*"))


def test_a_scene_whose_server_died_is_made_on_a_fresh_one(made: tuple[Path, str], tmp_path: Path) -> None:
    out = tmp_path / "data"
    with running(command(out, "--scenes", "1", "--jobs", "1")) as process:
        stop_when(lambda: half_done(out, "0000"), process)
        (server,) = servers_of(process.pid)
        os.kill(server, signal.SIGKILL)
        os.killpg(process.pid, signal.SIGCONT)
        said, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert "1 scenes, 2 frames" in said
    assert files(out) == {name: data for name, data in files(made[0]).items() if "_0000/" in name}


def test_an_interrupt_leaves_whole_scenes_only_and_no_process(tmp_path: Path) -> None:
    out = tmp_path / "data"
    with running(command(out, "--scenes", "50", "--binary")) as process:
        wait_for(lambda: list(out.glob("train_*")))
        servers = servers_of(process.pid)
        second = subprocess.run(command(out, "--scenes", "1"), capture_output=True, text=True, timeout=PATIENCE_S)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130
    assert "Traceback" not in said
    assert second.returncode == 2 and "another run makes scenes there" in second.stderr
    for folder in out.iterdir():
        assert not folder.name.startswith(".")
        assert len(read_scene(folder)) == 2
    wait_for(lambda: not group_exists(process.pid) and not any(alive(server) for server in servers))


# ----------------------------------------------------------------------------------------------------- before it starts


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--agents", "5-2", "5-2"),
        ("--scenes", "0", "'0'"),
        ("--stride", "0.07", "0.07"),
        ("--stride", "inf", "inf"),
        ("--split", "all", "'all'"),
        ("--lidar", "radar", "'radar'"),
    ],
)
def test_a_bad_option_is_named(
    generate_data: ModuleType, capsys: pytest.CaptureFixture[str], option: str, value: str, named: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        generate_data.parse(["out", "--scenes", "1", "--split", "val", option, value])
    assert named in capsys.readouterr().err


def test_what_the_disk_cannot_hold_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path, "--scenes", "2", "--frames", "99999999"), capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert str(tmp_path) in line and "--binary" in line and " GB" in line
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_named(
    generate_data: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(generate_data.fcntl, "flock", no_locks)
    with (
        pytest.raises(generate_data.RefusedError, match=f"{tmp_path}: .* give a folder"),
        generate_data.alone_in(tmp_path),
    ):
        pass


@pytest.mark.parametrize(("option", "value"), [("--frames", "3"), ("--stride", "0.2")])
def test_a_folder_with_scenes_of_other_frames_is_refused_and_not_mixed(
    generate_data: ModuleType, made: tuple[Path, str], option: str, value: str
) -> None:
    usual = command(made[0], "--scenes", "3")[2:]
    generate_data.check_made(generate_data.plan(generate_data.parse(usual)))
    other = generate_data.parse([*usual, option, value])
    with pytest.raises(generate_data.RefusedError, match=r"_0000: holds 2 frames, .* --frames and --stride"):
        generate_data.make(other)


def test_every_scene_has_a_seed_of_its_own_that_does_not_depend_on_the_number_of_scenes(
    generate_data: ModuleType,
) -> None:
    few = generate_data.plan(generate_data.parse(["out", "--scenes", "5", "--split", "test", "--seed", "3"]))
    many = generate_data.plan(generate_data.parse(["out", "--scenes", "20", "--split", "test", "--seed", "3"]))
    assert many[:5] == few
    assert len({job.seed for job in many}) == len({job.folder for job in many}) == 20
