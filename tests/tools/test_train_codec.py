"""Codec training: windows, the distillation loss, and a short run that resumes."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from carla_cp.codecs import load_codec
from carla_cp.datasets import open_dataset
from carla_cp.perception.checkpoint import load_detector, save_detector
from carla_cp.perception.config import CheckpointError, DetectorConfig
from carla_cp.perception.detector import Detector
from tests.perception.synthetic import write

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector without training, and three frames."""
    path = tmp_path_factory.mktemp("codec")
    torch.manual_seed(0)
    save_detector(Detector(DetectorConfig()), path / "checkpoint")
    write(path / "data" / "scene", 3, 1)
    return path


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    sys.path.insert(0, str(TOOLS))
    try:
        return importlib.import_module("train_codec")
    finally:
        sys.path.remove(str(TOOLS))


def arguments(folder: Path, codec: str, minutes: float) -> list[str]:
    paths = ["--detector", str(folder / "checkpoint"), "--data", str(folder / "data"), "--work", str(folder / "work")]
    return [codec, *paths, "--frames", "3", "--batch", "2", "--time-budget", str(minutes)]


def test_features_are_kept_and_come_back(tool: ModuleType, folder: Path) -> None:
    detector = load_detector(folder / "checkpoint")
    dataset = open_dataset(folder / "data")
    data = tool.features(detector, dataset, folder / "work", 3)
    again = tool.features(detector, dataset, folder / "work", 3)
    view = detector.view(dataset.frame(0).agents[0].sweep)
    assert torch.allclose(again.pillar_map(0, 256), view.pillars, atol=0.01)
    assert torch.allclose(data.bev_map(0), view.bev, atol=0.01)
    partner = data.partner(0, np.random.default_rng(0))
    assert partner is not None and data.frames[partner] == data.frames[0] and partner != 0


def test_a_perfect_codec_has_no_loss_and_a_wrong_one_has(tool: ModuleType, folder: Path) -> None:
    lessons = sys.modules["codec_lessons"]
    detector = load_detector(folder / "checkpoint").requires_grad_(False)
    data = tool.features(detector, open_dataset(folder / "data"), folder / "work", 3)
    batch = lessons.lesson(detector, data, [0, 1], np.random.default_rng(0), False)
    original = lessons.windows(batch.bev, batch.corners, lessons.WINDOW)
    everywhere = torch.ones(2, lessons.WINDOW, lessons.WINDOW, dtype=torch.bool)
    assert float(lessons.distil(detector, batch, original, everywhere)) == pytest.approx(0.0, abs=1e-4)
    assert float(lessons.distil(detector, batch, torch.ones_like(original), everywhere)) > 0.01


@pytest.mark.parametrize("name", ["revqom", "infocom"])
def test_a_short_run_leaves_weights_that_load_and_resumes(tool: ModuleType, folder: Path, name: str) -> None:
    options = tool.parse(arguments(folder, name, 0.001))
    tool.train(options)
    codec = load_codec(name, folder / "checkpoint")
    state = torch.load(folder / "work" / f"{name}.pt", weights_only=True)
    tool.train(tool.parse([*arguments(folder, name, state["seconds"] / 60 + 0.0001), "--resume"]))
    assert torch.load(folder / "work" / f"{name}.pt", weights_only=True)["step"] > state["step"]
    assert load_codec(name, folder / "checkpoint").fingerprint != codec.fingerprint


def test_a_run_goes_on_from_a_codecs_own_file_in_the_middle_of_the_schedule(
    tool: ModuleType, folder: Path, tmp_path: Path
) -> None:
    tool.train(tool.parse(arguments(folder, "dense_sparse", 0.001)))
    start = shutil.copy(folder / "checkpoint" / "codecs" / "dense_sparse.safetensors", tmp_path)
    given = [*arguments(folder, "dense_sparse", 0.001), "--work", str(tmp_path), "--start", str(start)]
    training = tool.Training(tool.parse(given), load_detector(folder / "checkpoint").requires_grad_(False))
    assert training.fraction == 0.5
    kept = load_codec("dense_sparse", folder / "checkpoint").state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in training.codec.state_dict().items())


def test_weights_of_another_codec_are_named_and_refused(tool: ModuleType, folder: Path, tmp_path: Path) -> None:
    tool.train(tool.parse(arguments(folder, "revqom", 0.001)))
    start = folder / "checkpoint" / "codecs" / "revqom.safetensors"
    with pytest.raises(CheckpointError, match=r"revqom\.safetensors: no weights of this codec"):
        tool.train(tool.parse([*arguments(folder, "infocom", 0.001), "--work", str(tmp_path), "--start", str(start)]))
