"""Joint training: a short run that loads and resumes, what is kept, and what is refused."""

from __future__ import annotations

import shutil
import sys
from argparse import Namespace
from pathlib import Path

import codec_teachers
import joint_training
import pytest
import torch
import train_codec

from carla_cp.codecs import CodecError, load_codec
from carla_cp.codecs.weights import save_weights
from carla_cp.perception.checkpoint import load_detector, save_detector
from carla_cp.perception.config import CheckpointError, DetectorConfig
from carla_cp.perception.detector import Detector
from tests.perception.synthetic import write
from tests.tools.training_samples import one_batch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector with codecs, all without training, and two frames."""
    path = tmp_path_factory.mktemp("joint")
    torch.manual_seed(0)
    detector = Detector(DetectorConfig())
    save_detector(detector, path / "start")
    for name in codec_teachers.JOINT:
        save_weights(codec_teachers.make_teacher(name, detector, 0).codec, path / "start", detector.fingerprint)
    write(path / "data" / "scene", 2, 1)
    return path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, ...]]:
    """One batch for every step; validations take their figures from the list while it lasts."""
    figures = list[tuple[float, ...]]()
    monkeypatch.setattr(joint_training, "load_ahead", lambda _batches: iter([one_batch(1, 3)] * 9))
    monkeypatch.setattr(
        joint_training, "average_precisions", lambda *_: figures.pop(0) if figures else (0.1, 0.2, 0.3, 0.3)
    )
    return figures


def options(folder: Path, out: Path, name: str, *more: str, minutes: float = 1e-4) -> Namespace:
    places = ["--detector", str(folder / "start"), "--data", str(folder / "data"), "--val", str(folder / "data")]
    told = [name, *places, "--joint", str(out / "out"), "--work", str(out / "work"), "--time-budget", str(minutes)]
    return train_codec.parse([*told, "--threads", str(torch.get_num_threads()), *more])


@pytest.mark.parametrize("name", codec_teachers.JOINT)
def test_a_short_run_leaves_a_checkpoint_that_loads_and_resumes(
    folder: Path, tmp_path: Path, quick: list[tuple[float, ...]], name: str
) -> None:
    quick += [(0.1, 0.2, 0.1, 0.1), (0.1, 0.2, 0.2, 0.3), (0.1, 0.2, 0.4, 0.4)]
    joint_training.train(options(folder, tmp_path, name))
    detector, codec = load_detector(tmp_path / "out"), load_codec(name, tmp_path / "out")
    assert detector.fingerprint != load_detector(folder / "start").fingerprint
    first, state = codec.fingerprint, tmp_path / "work" / f"joint-{name}.pt"
    saved = torch.load(state, weights_only=True)
    assert saved["progress"]["step"] == 1 and len(saved["progress"]["curve"]) == 2  # with that of the start
    joint_training.train(options(folder, tmp_path, name, "--resume", minutes=saved["progress"]["seconds"] / 60 + 1e-4))
    saved = torch.load(state, weights_only=True)
    assert saved["progress"]["step"] == 2 and saved["progress"]["best"] == pytest.approx(0.4)
    assert load_codec(name, tmp_path / "out").fingerprint != first
    assert (tmp_path / "out" / "codecs" / f"{name}.png").is_file()


def test_the_start_stays_until_something_is_better(
    folder: Path, tmp_path: Path, quick: list[tuple[float, ...]]
) -> None:
    quick += [(0.1, 0.2, 0.5, 0.5), (0.9, 0.9, 0.6, 0.3)]
    joint_training.train(options(folder, tmp_path, "where2comm"))
    kept, start = load_detector(tmp_path / "out"), load_detector(folder / "start")
    assert kept.fingerprint == start.fingerprint
    load_codec("where2comm", tmp_path / "out")


def test_without_validation_the_last_is_kept(folder: Path, tmp_path: Path, quick: list[tuple[float, ...]]) -> None:
    given = options(folder, tmp_path, "where2comm")
    given.val = None
    joint_training.train(given)
    assert load_detector(tmp_path / "out").fingerprint != load_detector(folder / "start").fingerprint


def test_a_run_may_start_from_weights_of_another_folder(
    folder: Path, tmp_path: Path, quick: list[tuple[float, ...]]
) -> None:
    file = folder / "start" / "codecs" / "where2comm.safetensors"
    shutil.copytree(folder / "start", tmp_path / "start", ignore=shutil.ignore_patterns("codecs"))
    (tmp_path / "data").symlink_to(folder / "data")
    with pytest.raises(CodecError, match=r"where2comm\.safetensors: not found"):
        joint_training.train(options(tmp_path, tmp_path, "where2comm"))
    joint_training.train(options(tmp_path, tmp_path, "where2comm", "--start", str(file)))
    load_codec("where2comm", tmp_path / "out")
    with pytest.raises(CheckpointError, match="no weights of this codec"):
        joint_training.train(options(tmp_path, tmp_path, "revqom", "--start", str(file)))


def test_a_state_of_another_detector_is_not_resumed(
    folder: Path, tmp_path: Path, quick: list[tuple[float, ...]]
) -> None:
    joint_training.train(options(folder, tmp_path, "where2comm"))
    torch.manual_seed(9)
    other = Detector(DetectorConfig())
    save_detector(other, tmp_path / "start")
    codec = codec_teachers.make_teacher("where2comm", other, 0).codec
    save_weights(codec, tmp_path / "start", other.fingerprint)
    (tmp_path / "data").symlink_to(folder / "data")
    with pytest.raises(ValueError, match=r"joint-where2comm\.pt: cannot be resumed \(it began at detector"):
        joint_training.train(options(tmp_path, tmp_path, "where2comm", "--resume"))


@pytest.mark.parametrize("name", sorted(codec_teachers.TEACHERS.keys() - set(codec_teachers.JOINT)))
def test_codecs_that_learn_behind_a_fixed_detector_are_refused_in_one_line(
    folder: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--detector", str(folder / "start"), "--data", str(folder / "data"), "--joint", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["train_codec", name, *places, "--work", str(tmp_path / "work")])
    with pytest.raises(SystemExit) as ended:
        train_codec.main()
    said = capsys.readouterr()
    assert ended.value.code == 2 and said.out == "" and said.err.count("\n") == 1
    assert said.err.startswith(f"train_codec: --joint {tmp_path / 'out'}: {name} is trained behind a detector")
    assert not (tmp_path / "out").exists()


def test_the_detectors_own_folder_features_alone_and_other_heads_are_refused(folder: Path, tmp_path: Path) -> None:
    given = options(folder, tmp_path, "infocom")
    given.joint = folder / "start"
    with pytest.raises(ValueError, match="is the folder of the detector to start from"):
        joint_training.train(given)
    with pytest.raises(ValueError, match="leave --features-only out"):
        joint_training.train(options(folder, tmp_path, "infocom", "--features-only"))
    for config in (DetectorConfig(head="anchors"), DetectorConfig(fusion="fcooper")):
        save_detector(Detector(config), tmp_path / config.fusion)
        with pytest.raises(CheckpointError, match="a centre head behind fusion max"):
            joint_training.start_detector(tmp_path / config.fusion)
