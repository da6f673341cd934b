"""The evaluation's command: rows, frames, files, and one line for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from carla_cp.perception.config import CheckpointError
from tests.perception.synthetic import write
from tests.tools.claims import TOOLS, load_tool, save_claimer

evaluate = load_tool("evaluate")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_claimer(tmp_path_factory.mktemp("checkpoint"))


def test_a_whole_evaluation_writes_what_it_prints(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "data" / "one", 2, 1)
    write(tmp_path / "data" / "two", 1, 7)
    command = [str(tmp_path / "data"), "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out.json")]
    command += ["--codec", "none", "--codec", "late", "--jobs", "1", "--markdown", str(tmp_path / "all.md")]
    command += ["--noise", "none", "--noise", "gaussian:0.4/0.4", "--table", str(tmp_path / "RESULTS.md")]
    evaluate.run(evaluate.parse(command), "the command")
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["frames"] == 3 and result["scenes"] == 2 and result["command"] == "the command"
    assert [(row["label"], row["noise"]) for row in result["rows"]] == [
        ("none@max", "none"),
        ("late@max", "none"),
        ("late@max", "gaussian:0.4/0.4"),
    ]
    assert result["agents"] == {"2": 3} and result["protocol"]["name"] == "ours"
    table = (tmp_path / "all.md").read_text()
    assert table.strip() == capsys.readouterr().out.strip()
    assert "| late | - | - | gaussian:0.4/0.4 | 0 | - |" in table and "`the command`" in table
    assert "| late |" in (tmp_path / "RESULTS.md").read_text() and (tmp_path / "RESULTS.png").is_file()


def test_the_result_does_not_depend_on_the_number_of_workers(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(TOOLS)  # workers take it over
    for number in range(2):
        write(tmp_path / "data" / f"scene_{number}", 1, 10 * number)
    monkeypatch.setattr(evaluate, "commit", lambda: "a commit")  # others may work in the tree
    outputs = []
    for jobs in ("1", "2"):
        out = tmp_path / f"{jobs}.json"
        command = [str(tmp_path / "data"), "--checkpoint", str(checkpoint), "--out", str(out), "--jobs", jobs]
        evaluate.run(evaluate.parse([*command, "--codec", "raw", "--noise", "laplace:0.2/0.2"]), "")
        outputs.append(out.read_text())
    assert outputs[0] == outputs[1]


def test_frames_are_picked_evenly_from_all_scenes(checkpoint: Path, tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"scene_{number}", 3, 10 * number)
    options = evaluate.parse([str(tmp_path), "--checkpoint", str(checkpoint), "--out", "x", "--frames", "3"])
    jobs = evaluate.find_jobs(options, ())
    assert [(job.scene.name, job.frames) for job in jobs] == [
        ("scene_0", (0,)),
        ("scene_1", (1,)),
        ("scene_2", (2,)),
    ]


def test_one_frame_is_the_first(checkpoint: Path, tmp_path: Path) -> None:
    write(tmp_path / "scene", 3, 1)
    options = evaluate.parse([str(tmp_path), "--checkpoint", str(checkpoint), "--out", "x", "--frames", "1"])
    assert [job.frames for job in evaluate.find_jobs(options, ())] == [(0,)]


def test_bad_input_is_named(checkpoint: Path, tmp_path: Path) -> None:
    base = [str(tmp_path), "--out", "x"]
    with pytest.raises(evaluate.DatasetError, match="holds no scene"):
        evaluate.run(evaluate.parse([*base, "--checkpoint", str(checkpoint), "--codec", "none"]), "")
    with pytest.raises(evaluate.CodecError, match="oracle"):
        evaluate.run(evaluate.parse([*base, "--checkpoint", str(checkpoint), "--codec", "oracle"]), "")
    with pytest.raises((evaluate.CodecError, CheckpointError), match="not found"):
        evaluate.run(evaluate.parse([*base, "--checkpoint", str(tmp_path / "no"), "--codec", "none"]), "")
    with pytest.raises(CheckpointError, match="keeps nothing under"):
        evaluate.run(evaluate.parse([*base, "--checkpoint", str(checkpoint), "--codec", "none", "--score", "0.01"]), "")


def test_a_folder_of_broken_frames_alone_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    write(tmp_path / "data" / "one", 1, 1)
    for cloud in (tmp_path / "data").rglob("*.pcd"):
        cloud.write_bytes(b"")
    command = [str(tmp_path / "data"), "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out.json")]
    with pytest.raises(evaluate.DatasetError, match=r"none of 1 frames could be read: one frame 0: .*\.pcd"):
        evaluate.run(evaluate.parse([*command, "--codec", "none", "--jobs", "1"]), "")
    assert not (tmp_path / "out.json").exists()


def test_the_commit_is_that_of_the_beginning(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "data" / "one", 1, 1)
    commits = iter(["first", "second"])
    monkeypatch.setattr(evaluate, "commit", lambda: next(commits))
    played = evaluate.run_all
    monkeypatch.setattr(evaluate, "run_all", lambda *given: (evaluate.commit(), played(*given))[1])
    command = [str(tmp_path / "data"), "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out.json")]
    evaluate.run(evaluate.parse([*command, "--codec", "none", "--jobs", "1"]), "")
    assert json.loads((tmp_path / "out.json").read_text())["commit"] == "first"
