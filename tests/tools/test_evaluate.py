"""The evaluation: paired frames, bytes that were really sent, truth without the ego, one line for bad input."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from carla_cp.codecs import load_codec, parse_choice
from carla_cp.perception.checkpoint import save_detector
from carla_cp.perception.config import CheckpointError, DetectorConfig
from carla_cp.perception.detector import Detector
from carla_cp.perception.truth import team_truth
from tests.perception.synthetic import make_frame, write

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def load_tool(name: str) -> ModuleType:
    sys.path.insert(0, str(TOOLS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(TOOLS))


evaluate = load_tool("evaluate")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained detector that claims boxes everywhere."""
    torch.manual_seed(2)
    detector = Detector(DetectorConfig()).eval()
    with torch.no_grad():
        detector.head.heat.weight.mul_(8.0)
        detector.head.heat.bias.fill_(-1.5)
    folder = tmp_path_factory.mktemp("checkpoint")
    save_detector(detector, folder)
    return folder


def test_all_codecs_see_the_same_truth_and_their_own_bytes(checkpoint: Path) -> None:
    choices = tuple(parse_choice(text) for text in ("none", "late@200", "raw"))
    codecs = [load_codec(choice.name, checkpoint) for choice in choices]
    detector = evaluate.load_detector(checkpoint)
    tallies = [evaluate.Tally() for _ in choices]
    frames = [make_frame(seed) for seed in (1, 2)]
    for frame in frames:
        evaluate.add_frame(detector, codecs, choices, frame, tallies)
    for tally in tallies:
        for perceived, frame in zip(tally.perceived, frames, strict=True):
            np.testing.assert_array_equal(perceived.truth_boxes, team_truth(frame, detector.config)[0])
    assert tallies[0].message_bytes == [0, 0]
    assert all(0 < size <= 200 for size in tallies[1].message_bytes)
    assert all(size > 64 * 128 * 128 * 2 for size in tallies[2].message_bytes)
    row = evaluate.summarise(choices[1], tallies[1])
    assert row["messages"] == 2 and row["empty"] == 0 and row["bytes"]["max"] == max(tallies[1].message_bytes)
    assert set(row["ap"]) == {"0.3", "0.5", "0.7"} and row["ap_by_class"]["cyclist"]["0.5"] is None


def test_a_whole_evaluation_writes_what_it_prints(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "data" / "one", 2, 1)
    write(tmp_path / "data" / "two", 1, 7)
    command = [str(tmp_path / "data"), "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out.json")]
    command += ["--codec", "none", "--codec", "late", "--jobs", "1", "--markdown", str(tmp_path / "RESULTS.md")]
    evaluate.run(evaluate.parse(command), "the command")
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["frames"] == 3 and result["scenes"] == 2 and result["command"] == "the command"
    assert [row["label"] for row in result["rows"]] == ["none@max", "late@max"]
    table = (tmp_path / "RESULTS.md").read_text()
    assert table.strip() == capsys.readouterr().out.strip()
    assert "| late | - |" in table and "`the command`" in table


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
    with pytest.raises(evaluate.Opv2vError, match="holds no OPV2V scene; make some"):
        evaluate.run(evaluate.parse([*base, "--checkpoint", str(checkpoint), "--codec", "none"]), "")
    with pytest.raises(evaluate.CodecError, match="oracle"):
        evaluate.run(evaluate.parse([*base, "--checkpoint", str(checkpoint), "--codec", "oracle"]), "")
    with pytest.raises((evaluate.CodecError, CheckpointError), match="not found"):
        evaluate.run(evaluate.parse([*base, "--checkpoint", str(tmp_path / "no"), "--codec", "none"]), "")
