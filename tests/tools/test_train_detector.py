"""Training: what it keeps of frames, its schedule, its loss, and a whole short run that resumes."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from carla_cp.opv2v import Opv2vError
from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector
from tests.perception.synthetic import make_frame, write

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def load_tool(name: str) -> ModuleType:
    sys.path.insert(0, str(TOOLS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(TOOLS))


train_detector = load_tool("train_detector")


def one_batch(frames: int, seed: int) -> object:
    rng = np.random.default_rng(seed)
    config, vary = DetectorConfig(), train_detector.Augmentation()
    samples = [train_detector.make_sample(make_frame(seed + i), config, rng, vary) for i in range(frames)]
    return train_detector.make_batch(samples, config, rng, frames)


def test_a_kept_frame_has_the_same_objects_and_the_points_that_a_turned_grid_can_hold(tmp_path: Path) -> None:
    frame = make_frame(2)
    train_detector.save_frame(tmp_path / "frame.npz", frame)
    again = train_detector.load_frame(tmp_path / "frame.npz")
    for old, new in zip(frame.agents, again.agents, strict=True):
        assert old.sweep.agent == new.sweep.agent and old.true_world_from_lidar == new.true_world_from_lidar
        assert old.sweep.sensor_height_m == new.sweep.sensor_height_m
        for name in ("boxes", "ids", "labels"):
            np.testing.assert_array_equal(getattr(old, name), getattr(new, name))
        kept = old.sweep.points[np.hypot(*old.sweep.points[:, :2].T) < 51.2 * 2**0.5]
        assert set(map(bytes, kept)) <= set(map(bytes, new.sweep.points))


def test_scenes_that_appear_later_are_found_and_half_written_ones_are_not(tmp_path: Path) -> None:
    write(tmp_path / "data" / "one", 2, 1)
    store = train_detector.FrameStore(tmp_path / "data", tmp_path / "cache")
    assert store.rescan() == 2
    write(tmp_path / "data" / "two", 1, 5)
    (tmp_path / "data" / "two").rename(tmp_path / "data" / ".two.partial")
    assert store.rescan() == 2
    (tmp_path / "data" / ".two.partial").rename(tmp_path / "data" / "two")
    assert store.rescan() == 3
    first, kept = store.frame(2), store.frame(2)
    np.testing.assert_array_equal(first.agents[0].sweep.points, kept.agents[0].sweep.points)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_folder_without_scenes_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Opv2vError, match="holds no OPV2V scene; make some"):
        train_detector.FrameStore(tmp_path, tmp_path).rescan()


def test_the_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    rates = [train_detector.rate_at(progress) for progress in np.linspace(0, 1, 101)]
    peak = int(np.argmax(rates))
    assert 0.0 < rates[0] < rates[peak] and rates[peak] == pytest.approx(train_detector.PEAK_RATE)
    assert (np.diff(rates[: peak + 1]) > 0).all() and (np.diff(rates[peak:]) < 0).all() and rates[-1] < 1e-9


def test_the_loss_falls_when_the_same_batch_is_learnt() -> None:
    torch.manual_seed(1)
    detector = Detector(DetectorConfig()).train()
    batch = one_batch(1, 3)
    optimiser = torch.optim.AdamW(detector.parameters(), lr=3e-3)
    totals = []
    for _ in range(8):
        total = torch.stack(train_detector.losses(detector, batch)).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(total.item())
    assert totals[-1] < 0.7 * totals[0]


def test_every_weight_learns() -> None:
    torch.manual_seed(1)
    detector = Detector(DetectorConfig()).train()
    torch.stack(train_detector.losses(detector, one_batch(2, 8))).sum().backward()
    idle = [name for name, value in detector.named_parameters() if value.grad is None or not value.grad.any()]
    assert idle == []


def test_a_short_run_leaves_a_checkpoint_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "data" / "one", 2, 1)
    command = [str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--val", str(tmp_path / "data")]
    command += ["--threads", str(torch.get_num_threads()), "--batch", "1", "--val-frames", "1"]
    batches = [one_batch(1, seed) for seed in range(3)]
    monkeypatch.setattr(train_detector, "DataLoader", lambda *_args, **_more: iter(batches))
    train_detector.train(train_detector.parse([*command, "--time-budget", "0.0001"]))
    first = load_detector(tmp_path / "out")
    state = torch.load(tmp_path / "data.work" / "training.pt", weights_only=True)
    assert state["step"] == 1 and len(state["curve"]) == 1 and (tmp_path / "out" / "training.png").exists()
    longer = str(state["seconds"] / 60 + 0.0001)
    train_detector.train(train_detector.parse([*command, "--time-budget", longer, "--resume"]))
    state = torch.load(tmp_path / "data.work" / "training.pt", weights_only=True)
    assert state["step"] == 2 and len(state["curve"]) == 2
    assert load_detector(tmp_path / "out").fingerprint != first.fingerprint
