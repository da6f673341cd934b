"""Codec weights and the detector they belong to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from carla_cp.codecs import CODECS, CodecError, PayloadError, load_codec
from carla_cp.codecs.revqom import RevqomCodec
from carla_cp.codecs.weights import codec_path, detector_fingerprint, save_weights
from carla_cp.perception.checkpoint import save_detector
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector
from carla_cp.types import GridSpec
from tests.codecs.fake import fake_view

MINI = Path(__file__).resolve().parents[2] / "checkpoints" / "mini"


def test_the_fingerprint_is_the_detectors_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    detector = Detector(DetectorConfig())
    save_detector(detector, tmp_path)
    assert detector_fingerprint(tmp_path) == detector.fingerprint


def test_codecs_work_on_the_detectors_grid_and_channels() -> None:
    config = DetectorConfig()
    assert config.grid == GridSpec()
    assert (config.bev_channels, config.pillar_channels) == (64, 32)


def test_weights_come_back(checkpoint: Path) -> None:
    torch.manual_seed(3)
    fresh, loaded = RevqomCodec(), load_codec("revqom", checkpoint)
    for name, value in loaded.state_dict().items():
        assert torch.allclose(value, fresh.state_dict()[name], atol=1e-3), name


def test_missing_weights_are_named_with_the_mend(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copy(checkpoint / "weights.safetensors", tmp_path)
    with pytest.raises(
        CodecError, match=r"codecs/revqom\.safetensors: not found; train them with tools/train_codec\.py"
    ):
        load_codec("revqom", tmp_path)


def test_weights_for_another_detector_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "copy")
    save_file({"some.weight": torch.arange(5.0)}, tmp_path / "copy" / "weights.safetensors")
    with pytest.raises(CodecError, match=r"trained for detector [0-9a-f]{8}, not for [0-9a-f]{8}; train them"):
        load_codec("infocom", tmp_path / "copy")


def test_damaged_and_foreign_weights_are_refused_in_one_line(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "copy")
    path = codec_path(RevqomCodec, tmp_path / "copy")
    metadata = {"detector": f"{detector_fingerprint(checkpoint):08x}"}
    save_file({"other": torch.zeros(3)}, path, metadata)
    with pytest.raises(CodecError, match=r"^[^\n]+does not fit codec revqom[^\n]+$"):
        load_codec("revqom", tmp_path / "copy")
    path.write_bytes(b"nonsense")
    with pytest.raises(CodecError, match=r"^[^\n]+cannot be read[^\n]+$"):
        load_codec("revqom", tmp_path / "copy")


def test_messages_of_other_weights_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "copy")
    torch.manual_seed(4)
    save_weights(RevqomCodec(), tmp_path / "copy", detector_fingerprint(checkpoint))
    payload = load_codec("revqom", tmp_path / "copy").encode(fake_view(), 2000)
    with pytest.raises(PayloadError, match="weights"):
        load_codec("revqom", checkpoint).decode(payload)


@pytest.mark.parametrize("name", [name for name, kind in CODECS.items() if kind.learned])
def test_the_committed_weights_load_and_stay_small(name: str) -> None:
    path = codec_path(CODECS[name], MINI)
    if not path.exists():
        pytest.skip(f"{path} is not there yet")
    assert path.stat().st_size < 2_500_000
    codec = load_codec(name, MINI)
    payload = codec.encode(fake_view(), 2000)
    assert 0 < len(payload) <= 2000
    assert codec.decode(payload).valid is not None
