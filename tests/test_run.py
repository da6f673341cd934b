"""The command as a user meets it: results on disk, resume, recording, a picture, and clear refusals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from carla_cp.opv2v import read_scene
from carla_cp.recording import write_ticks
from carla_cp.run import main
from tests.metrics.builders import crossing

ROOT = Path(__file__).resolve().parent.parent
INTERSECTION = ROOT / "scenarios" / "intersection.xml"
SHORT = ("--set", "timeout_s=1.5")


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def comparable(summary: dict[str, object]) -> dict[str, object]:
    """An episode's object without what may differ between runs."""
    return {key: value for key, value in summary.items() if key not in ("wall_s", "latency_ms")}


def test_a_run_writes_what_the_contract_says_and_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    options = (INTERSECTION, "--codec", "none", "--codec", "late@2KB", *SHORT, "--out", out, "--keep-ticks")
    assert run(*options) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["schema"] == 1 and summary["server"] == "embedded" and summary["device"] == "cpu"
    assert [item["codec"] for item in summary["episodes"]] == ["none", "late"]
    assert [row["codec"] for row in summary["comparison"]] == ["none", "late"]
    assert [item["settings"] for item in summary["episodes"]] == [["timeout_s=1.5"]] * 2
    assert (out / "report.html").stat().st_size > 10_000
    assert (out / "episodes" / "intersection" / "late@2000" / "0.ticks").is_file()
    assert "collision" in capsys.readouterr().out

    shutil.rmtree(out / "episodes" / "intersection" / "late@2000")
    untouched = (out / "episodes" / "intersection" / "none@max" / "0.json").stat().st_mtime_ns
    assert run(*options, "--resume") == 0
    assert (out / "episodes" / "intersection" / "none@max" / "0.json").stat().st_mtime_ns == untouched
    again = json.loads((out / "summary.json").read_text())
    assert [comparable(item) for item in again["episodes"]] == [comparable(item) for item in summary["episodes"]]

    (out / "episodes" / "intersection" / "late@2000" / "0.ticks").unlink()
    assert run(*options, "--resume") == 0
    assert (out / "episodes" / "intersection" / "late@2000" / "0.ticks").is_file()

    capsys.readouterr()
    assert run(*options, "--set", "link.loss=0.5", "--resume") == 2
    said = capsys.readouterr().err
    assert "--resume" in said and "0.json" in said and "give another --out" in said

    assert run("--rescore", out) == 0
    scored = json.loads((out / "summary.json").read_text())
    assert {item["codec"] for item in scored["episodes"]} == {"none", "late"}
    assert [item["settings"] for item in scored["episodes"]] == [["timeout_s=1.5"]] * 2


def test_a_recording_is_an_opv2v_scene_and_the_picture_a_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    picture = tmp_path / "view.png"
    options = ("--codec", "none", "--out", tmp_path / "run", "--record", tmp_path / "opv2v", "--screenshot", picture)
    assert run(INTERSECTION, *SHORT, *options) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    (folder,) = (tmp_path / "opv2v").iterdir()
    scene = read_scene(folder)
    assert len(scene) == 16
    frame = scene.frame(3)
    assert len(frame.agents) == 3 and all(len(agent.sweep.points) > 10_000 for agent in frame.agents)


def test_two_jobs_give_the_same_results_as_one(tmp_path: Path) -> None:
    for jobs in (1, 2):
        out = tmp_path / str(jobs)
        options = ("--codec", "none", "--seeds", "0-1", *SHORT, "--out", out, "--record", out / "opv2v")
        assert run(INTERSECTION, *options, "--jobs", jobs) == 0
    first, second = (
        [comparable(item) for item in json.loads((tmp_path / name / "summary.json").read_text())["episodes"]]
        for name in ("1", "2")
    )
    assert first == second
    one, two = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
        for folder in (tmp_path / "1" / "opv2v", tmp_path / "2" / "opv2v")
    )
    assert one and one == two


def test_a_server_started_by_hand_serves_a_run(tmp_path: Path, server_address: tuple[str, int]) -> None:
    host, port = server_address
    options = ("--host", host, "--port", port, "--codec", "none", *SHORT, "--out", tmp_path / "run")
    assert run(INTERSECTION, *options) == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["server"] == f"{host}:{port}"


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def broken(tmp_path: Path, old: str, new: str) -> Path:
    """The intersection with one text replaced."""
    shutil.copytree(ROOT / "scenarios" / "maps", tmp_path / "maps")
    text = INTERSECTION.read_text()
    assert old in text
    (tmp_path / "intersection.xml").write_text(text.replace(old, new))
    return tmp_path / "intersection.xml"


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line on stderr of a command that must exit with status 2."""
    assert run(*arguments) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("carla_cp: ")]
    assert len(said) == 1 and "Traceback" not in said[0]
    return said[0]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("</scenarios>", "", "intersection.xml"),
        ('speed="12"', 'sped="12"', "sped"),
        ("vehicle.lincoln.mkz_2017", "vehicle.lincoln.mkz_1917", "vehicle.lincoln.mkz_2017"),
        ('map="maps/crossing.xodr"', 'map="maps/nowhere.xodr"', "nowhere.xodr"),
        ('<waypoint x="-14" y="5.25"', '<waypoint x="-14" y="45"', "x=-14.0 y=45.0 is not on a driving lane"),
        ('x="15.5" y="-1.75"', 'x="55" y="-75"', "actor 'east_left' at x=55.0 y=-75.0"),
        ('x="5.25" y="15.8"', 'x="1.75" y="17"', "'south_2' at x=1.8 y=17.0 is spawned inside 'south_1'"),
    ],
)
def test_a_broken_scenario_is_named_with_its_mend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, named: str
) -> None:
    line = refused(capsys, broken(tmp_path, old, new), "--codec", "none", "--out", tmp_path / "run")
    assert named in line
    assert not (tmp_path / "run").exists()


def test_other_bad_input_is_named_with_its_mend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ("--out", tmp_path / "run")
    assert "nowhere.xml" in refused(capsys, "nowhere.xml", *out)
    assert "revqom" in refused(capsys, INTERSECTION, "--codec", "revqon", *out)
    assert "abc" in refused(capsys, INTERSECTION, "--codec", "raw@abc", *out)
    assert "-5" in refused(capsys, INTERSECTION, "--codec", "raw@-5", *out)
    port = free_port()
    assert str(port) in refused(capsys, INTERSECTION, "--host", "127.0.0.1", "--port", port, "--codec", "none", *out)
    assert not (tmp_path / "run").exists()


def test_a_seed_that_cannot_be_played_is_named_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = broken(tmp_path, 'yaw="0" speed="12"', 'yaw="0" speed="1"')  # the violator's path is too short for that
    line = refused(capsys, scenario, "--codec", "none", "--jobs", 2, "--out", tmp_path / "run")
    assert "lengthen the path" in line
    assert not (tmp_path / "run").exists()


def test_a_recording_that_is_there_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "opv2v" / "intersection_none_max_1").mkdir(parents=True)
    options = ("--codec", "none", "--seeds", "0-1", "--out", tmp_path / "run", "--record", tmp_path / "opv2v")
    assert "intersection_none_max_1" in refused(capsys, INTERSECTION, *options)
    assert not (tmp_path / "run").exists()


def test_a_result_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_ticks(tmp_path / "episodes" / "intersection" / "revqom@2000" / "0.ticks", crossing())
    (tmp_path / "summary.json").mkdir()
    assert "summary.json" in refused(capsys, "--rescore", tmp_path)


def test_kept_ticks_are_scored_again_whatever_version_scored_them_before(tmp_path: Path) -> None:
    path = tmp_path / "episodes" / "intersection" / "revqom@2000" / "0.json"
    write_ticks(path.with_suffix(".ticks"), crossing())
    assert run("--rescore", tmp_path) == 0
    now = json.loads(path.read_text())
    old = {key: value for key, value in now.items() if key not in ("conflict", "comfort", "success")}
    path.write_text(json.dumps({**old, "wall_s": 7.5, "conditions": "abc"}))
    assert run("--rescore", tmp_path) == 0
    again = json.loads(path.read_text())
    assert (again.pop("wall_s"), again.pop("conditions")) == (7.5, "00000abc")
    assert again == {key: value for key, value in now.items() if key not in ("wall_s", "conditions")}


def test_an_episode_of_another_version_is_named_by_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "episodes" / "intersection" / "none@max" / "0.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"trace": {}, "conditions": "abc", "scenario": "intersection"}))
    line = refused(capsys, INTERSECTION, "--codec", "none", "--out", tmp_path, "--resume")
    assert "0.json" in line and "another version wrote it" in line


def test_a_checkpoint_that_does_not_fit_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(ROOT / "checkpoints" / "mini", tmp_path / "mini")
    config = json.loads((tmp_path / "mini" / "config.json").read_text())
    (tmp_path / "mini" / "config.json").write_text(json.dumps({**config, "pillar_channels": 16}))
    line = refused(capsys, INTERSECTION, "--checkpoint", tmp_path / "mini", "--codec", "none", "--out", tmp_path / "r")
    assert "weights.safetensors" in line


def test_an_interrupt_stops_everything_and_keeps_what_is_finished(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "carla_cp.run", str(INTERSECTION), "--codec", "none", "--seeds", "0-9"]
    process = subprocess.Popen(
        [*command, *SHORT, "--out", str(out)], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    first = out / "episodes" / "intersection" / "none@max" / "0.json"
    deadline = time.monotonic() + 120
    while not first.is_file() and time.monotonic() < deadline:
        time.sleep(0.1)
    children = _children(process.pid)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and "--resume" in said and "Traceback" not in said
    assert json.loads(first.read_text())["seed"] == 0
    assert children and not any(_alive(child) for child in children)
    assert not list(out.rglob("*.part*"))


def test_a_killed_run_leaves_no_worker_and_no_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "carla_cp.run", str(INTERSECTION), "--codec", "none", "--seeds", "0-9"]
    process = subprocess.Popen(
        [*command, "--jobs", "2", "--out", str(tmp_path / "run")], cwd=ROOT, start_new_session=True
    )
    deadline = time.monotonic() + 120
    descendants: list[int] = []
    while len(descendants) < 5 and time.monotonic() < deadline:  # resource tracker, two workers, a server of each
        time.sleep(0.2)
        children = _children(process.pid)
        descendants = children + [grandchild for child in children for grandchild in _children(child)]
    process.kill()
    process.wait()
    while any(_alive(child) for child in descendants) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(descendants) >= 5 and not any(_alive(child) for child in descendants)


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "carla_cp.run", str(INTERSECTION), "--codec", "none", "--seeds", "0-2", *SHORT]
    process = subprocess.Popen([*command, "--jobs", "2", "--out", str(out)], cwd=ROOT, start_new_session=True)
    deadline = time.monotonic() + 120
    owners: list[int] = []
    while not owners and time.monotonic() < deadline:
        time.sleep(0.1)
        owners = [child for child in _children(process.pid) if _children(child)]  # a worker owns a server
    os.kill(owners[0], signal.SIGKILL)
    assert process.wait(timeout=200) == 0
    assert [item["seed"] for item in json.loads((out / "summary.json").read_text())["episodes"]] == [0, 1, 2]


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
