"""Calibration of boxes: what counts as a miss, what is learnt, and the command from data to files."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import calibrate_boxes
import numpy as np
import pytest
import torch
from calibrate_boxes import Found, Tally, look, main, misses, usual
from safetensors.numpy import load_file

from carla_cp.codecs.bitstream import TABLE_TOTAL, Table
from carla_cp.codecs.learnt import FOLDER, made_by
from carla_cp.datasets import Dataset, DatasetError
from carla_cp.perception import certainty, usual_sigmas
from carla_cp.perception.checkpoint import save_detector
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector
from carla_cp.types import Detections
from tests.perception.synthetic import make_frame, write

ROOT = Path(__file__).resolve().parents[2]
MINI = ROOT / "checkpoints" / "mini"
COMMAND = "python tools/calibrate_boxes.py DATA --checkpoint {} --frames {}"


def run(*values: object) -> subprocess.CompletedProcess[str]:
    """The tool as a user calls it."""
    command = [sys.executable, str(ROOT / "tools" / "calibrate_boxes.py"), *map(str, values)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def found(off: float = 0.0, turned: float = 0.0, heading: float = 0.5, label: int = 0) -> Found:
    """A box that is that far off along its own heading, and a true one beside another far away."""
    true = np.array([[10.0, 5.0, 0.8, 4.5, 1.9, 1.6, heading + turned], [-40.0, 0.0, 0.8, 4.5, 1.9, 1.6, 0.0]])
    true[0, :2] += off * np.array([np.cos(heading), np.sin(heading)])
    mine = np.array([[10.0, 5.0, 0.8, 4.5, 1.9, 1.6, heading], [0.0, 30.0, 0.8, 4.5, 1.9, 1.6, 0.0]])
    return Found(Detections(mine, np.array([0.9, 0.4]), np.array([label, label])), true, np.zeros(2, np.int64))


def test_a_miss_is_told_along_and_across_the_box_and_in_heading() -> None:
    matched, off = misses(found(off=0.3, turned=0.1))
    assert matched.tolist() == [0]
    np.testing.assert_allclose(off, [[0.3, 0.0, 0.1]], atol=1e-9)


def test_a_box_the_wrong_way_round_is_not_off_in_heading() -> None:
    np.testing.assert_allclose(misses(found(turned=np.pi))[1], 0.0, atol=1e-9)


def test_boxes_of_another_class_and_views_without_any_have_no_match() -> None:
    nothing = Detections(np.zeros((0, 7)), np.zeros(0), np.zeros(0, np.int64))
    assert not len(misses(found(label=1))[0])
    assert not len(misses(Found(nothing, np.zeros((0, 7)), np.zeros(0, np.int64)))[0])


def test_what_is_usual_grows_with_the_misses_of_that_class_alone() -> None:
    near, far = usual([found(off=0.05)] * 30), usual([found(off=1.0)] * 30)
    assert near.shape == far.shape and far[0, ..., 0].max() > near[0, ..., 0].max()
    assert (near[1:] == far[1:]).all()
    assert near.min() >= 0 and far.max() < certainty.LEVELS


def test_symbols_are_counted_by_their_context_and_unused_tables_stay() -> None:
    tables, tally = [Table.uniform(4), Table(np.array([TABLE_TOTAL - 3, 1, 1, 1]))], Tally()
    tally.put_in_context(np.array([2, 2, 2, 1]), np.zeros(4, np.int64), tables)
    first, second = tally.learnt(tables)
    assert first[2] > first[1] > first[0] == first[3] and sum(first) == TABLE_TOTAL
    assert second == [TABLE_TOTAL - 3, 1, 1, 1]


def test_every_agent_is_told_of_what_the_others_see(detector: Detector) -> None:
    frame = make_frame(1)
    seen = look(detector, frame)
    ids = np.unique(np.concatenate([agent.ids for agent in frame.agents]))
    assert [len(each.truth) for each in seen] == [len(ids)] * 2


def shapes(values: dict[str, object]) -> dict[str, list[int]]:
    """Lengths of the rows of all tables."""
    return {name: [len(row) for row in rows] for name, rows in values.items() if name.isupper()}  # type: ignore[attr-defined]


def test_the_command_writes_files_like_those_of_the_package(tmp_path: Path) -> None:
    write(tmp_path / "data" / "scene", 2, 1)
    done = run(tmp_path / "data", "--checkpoint", MINI, "--frames", 2, "--package", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "2/2" in done.stderr  # the bar
    made = runpy.run_path(str(tmp_path / "out" / "perception" / "usual_sigmas.py"))
    assert shapes(made) == shapes(vars(usual_sigmas))
    ours = COMMAND.format("checkpoints/mini", 300).replace("DATA", "data/train_new")
    assert COMMAND.format(MINI, 2) in made["__doc__"] and ours in str(usual_sigmas.__doc__)
    path = tmp_path / "out" / "codecs" / "boxes.safetensors"
    assert made_by(path) == COMMAND.format(MINI, 2) and made_by(FOLDER / path.name) == ours
    tables, known = load_file(path), load_file(FOLDER / path.name)
    assert {name: rows.shape for name, rows in tables.items()} == {name: rows.shape for name, rows in known.items()}
    assert all((rows.sum(axis=1) == TABLE_TOTAL).all() for rows in tables.values())


def test_what_is_wrong_with_the_input_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "data" / "scene", 1, 1)
    blind = Detector(DetectorConfig())
    for layer in blind.modules():
        if isinstance(layer, torch.nn.Conv2d) and layer.bias is not None:
            torch.nn.init.constant_(layer.bias, -30.0)
    save_detector(blind, tmp_path / "blind")
    for data, checkpoint, reason in (
        ("nowhere", MINI, "no such folder"),
        ("empty", MINI, "holds no scene"),
        ("data", tmp_path / "none", "not found"),
        ("data", tmp_path / "blind", "detects nothing in"),
    ):
        values = (tmp_path / data, "--checkpoint", checkpoint, "--package", tmp_path / "out")
        monkeypatch.setattr(sys, "argv", ["calibrate_boxes.py", *map(str, values)])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 2
        assert reason in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_data_whose_scenes_hold_no_frames_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate_boxes, "open_dataset", lambda folder: Dataset(folder, "opv2v", ()))
    options = calibrate_boxes.parse(None, 7, [str(tmp_path), "--checkpoint", str(MINI)])
    with pytest.raises(DatasetError, match="hold no frames"):
        list(calibrate_boxes.frames_of(options))
