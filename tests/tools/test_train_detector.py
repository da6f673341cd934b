"""Training of a detector: a whole short run that resumes, alone and with two processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import train_detector

from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.config import DetectorConfig
from tests.perception.synthetic import write
from tests.tools.training_samples import one_batch

TOOL = Path(train_detector.__file__)


def command(folder: Path, *more: str) -> list[str]:
    options = ["--out", str(folder / "out"), "--val", str(folder / "data"), "--work", str(folder / "work")]
    return [str(folder / "data"), *options, "--threads", "1", "--batch", "1", "--val-frames", "1", *more]


def test_a_short_run_leaves_a_checkpoint_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "data" / "one", 2, 1)
    batches = [one_batch(1, seed) for seed in range(7)]
    monkeypatch.setattr(train_detector, "load_ahead", lambda _batches: iter(batches))
    threads = torch.get_num_threads()
    train_detector.train(train_detector.parse(command(tmp_path, "--steps", "6")))
    torch.set_num_threads(threads)
    assert "about 0 minutes on this machine" in capsys.readouterr().out
    assert load_detector(tmp_path / "out").config == DetectorConfig() and (tmp_path / "out" / "training.png").exists()
    state = torch.load(tmp_path / "work" / "training.pt", weights_only=True)
    assert state["progress"]["step"] == 6 and len(state["progress"]["curve"]) == 1
    train_detector.train(train_detector.parse(command(tmp_path, "--steps", "8", "--resume")))
    torch.set_num_threads(threads)
    state = torch.load(tmp_path / "work" / "training.pt", weights_only=True)
    assert state["progress"]["step"] == 8 and len(state["progress"]["curve"]) == 2


def test_it_stops_early_when_validation_gets_no_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "data" / "one", 1, 1)
    recipe = train_detector.Recipe(steps=100, batch=1, validate_every=1, patience=2)
    monkeypatch.setitem(train_detector.TRUNKS, "mini", recipe)
    monkeypatch.setattr(train_detector, "average_precisions", lambda *_: (0.3, 0.2))
    monkeypatch.setattr(train_detector, "load_ahead", lambda _batches: iter([one_batch(1, 3)] * 9))
    threads = torch.get_num_threads()
    train_detector.train(train_detector.parse(command(tmp_path)))
    torch.set_num_threads(threads)
    state = torch.load(tmp_path / "work" / "training.pt", weights_only=True)
    assert state["progress"]["step"] == 3 and state["progress"]["best"] == 0.3


def test_two_processes_of_torchrun_train_one_detector(tmp_path: Path) -> None:
    write(tmp_path / "data" / "one", 1, 1)
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(TOOL)]
    done = subprocess.run(
        [*run, *command(tmp_path, "--steps", "1", "--device", "cpu")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert load_detector(tmp_path / "out").config == DetectorConfig()
