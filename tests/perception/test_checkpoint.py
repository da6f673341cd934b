"""A detector's folder: what is wrong with a rule's file is told in one line with the mend."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from carla_cp.perception.checkpoint import (
    load_detector,
    load_trainable,
    rule_path,
    save_detector,
    save_rule,
    start_rule,
    trained_rules,
)
from carla_cp.perception.config import CheckpointError, DetectorConfig
from carla_cp.perception.detector import Detector


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An untrained trunk with an untrained rule."""
    torch.manual_seed(0)
    save_detector(Detector(DetectorConfig()), tmp_path)
    save_rule(start_rule(load_trainable(tmp_path), "attention"), tmp_path)
    return tmp_path


def refused(checkpoint: Path, reason: str, rule: str = "attention") -> None:
    """Loading the rule says why not, which file, and how to mend it."""
    with pytest.raises(CheckpointError) as caught:
        load_detector(checkpoint, fusion=rule)
    line = str(caught.value)
    assert reason in line and line.startswith(str(rule_path(checkpoint, rule))) and "\n" not in line
    assert f"tools/train_fusion.py --rule {rule} --checkpoint {checkpoint}" in line


def rewritten(path: Path, trunk: dict[str, str], **more: torch.Tensor) -> None:
    state = load_file(path)
    save_file({**state, **more}, path, trunk)


def test_a_rule_loads_over_its_trunk(checkpoint: Path) -> None:
    assert trained_rules(checkpoint) == ("attention",)
    assert load_detector(checkpoint, fusion="attention").fingerprint == load_detector(checkpoint).fingerprint


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\xff" * 64])
def test_a_damaged_rule_file_is_named(checkpoint: Path, content: bytes) -> None:
    rule_path(checkpoint, "attention").write_bytes(content)
    refused(checkpoint, "cannot be read")


def test_a_truncated_rule_file_is_named(checkpoint: Path) -> None:
    path = rule_path(checkpoint, "attention")
    path.write_bytes(path.read_bytes()[:-100])
    refused(checkpoint, "cannot be read")


def test_a_rule_that_is_not_trained_is_named(checkpoint: Path) -> None:
    refused(checkpoint, "not found", "cobevt")


def test_a_rule_of_another_trunk_is_refused(checkpoint: Path) -> None:
    torch.manual_seed(1)
    save_detector(Detector(DetectorConfig()), checkpoint)
    refused(checkpoint, "trained for trunk")


def test_a_file_that_names_no_trunk_is_refused(checkpoint: Path) -> None:
    rewritten(rule_path(checkpoint, "attention"), {})
    refused(checkpoint, "trained for trunk unknown")


def test_a_file_of_another_rule_is_refused_with_the_rule_named(checkpoint: Path) -> None:
    rule_path(checkpoint, "attention").rename(rule_path(checkpoint, "cobevt"))
    refused(checkpoint, "is not of rule cobevt", "cobevt")


def test_a_rule_file_cannot_change_the_trunk(checkpoint: Path) -> None:
    detector = load_trainable(checkpoint)
    name = next(name for name in detector.state_dict() if name.startswith("backbone."))
    weights = torch.zeros_like(detector.state_dict()[name])
    rewritten(rule_path(checkpoint, "attention"), {"trunk": f"{detector.fingerprint:08x}"}, **{name: weights})
    refused(checkpoint, f"holds {name}")


def test_damaged_weights_and_weights_of_another_size_are_named(checkpoint: Path) -> None:
    path = checkpoint / "weights.safetensors"
    DetectorConfig(up_channels=64).save(checkpoint / "config.json")
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: does not fit its config\.json"):
        load_detector(checkpoint)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: cannot be read"):
        load_detector(checkpoint)
