"""Training of fusion rules over a trunk: what learns, a whole short run that resumes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import fusion_lessons
import pytest
import torch
import train_fusion
from training import Ranks

from carla_cp.perception.checkpoint import load_detector, load_trainable, save_detector, trained_rules
from carla_cp.perception.config import CheckpointError, DetectorConfig
from carla_cp.perception.detector import Detector
from tests.perception.synthetic import write
from tests.tools.training_samples import one_batch


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trunk without training."""
    folder = tmp_path_factory.mktemp("trunk")
    torch.manual_seed(0)
    save_detector(Detector(DetectorConfig()), folder)
    return folder


@pytest.mark.parametrize("name", ["max", "attention", "where2comm", "cobevt", "coalign"])
def test_only_rule_and_head_learn_and_their_loss_falls(checkpoint: Path, name: str) -> None:
    torch.manual_seed(1)
    batch = one_batch(1, 3)
    rule = train_fusion.RuleTraining(load_trainable(checkpoint), name, train_fusion.FUSION, torch.device("cpu"))
    before = {key: value.clone() for key, value in rule.detector.state_dict().items()}
    found = fusion_lessons.stages(load_detector(checkpoint), batch)
    totals = [sum(rule.step(found, batch, 3e-3, Ranks(0, 1), number)) for number in range(1, 7)]
    assert totals[-1] < 0.95 * totals[0]
    changed = {key for key, value in rule.detector.state_dict().items() if not torch.equal(value, before[key])}
    assert changed and all(key.startswith(("fusion.", "head.", "behind.", "turns.")) for key in changed)


def test_a_short_run_leaves_a_rule_that_loads_and_resumes(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "data" / "one", 2, 1)
    batches = [one_batch(1, seed) for seed in range(3)]
    monkeypatch.setattr(train_fusion, "load_ahead", lambda _batches: iter(batches))
    monkeypatch.setattr(train_fusion, "average_precisions", lambda *_: (0.2, 0.4))
    command = [str(tmp_path / "data"), "--checkpoint", str(checkpoint), "--rule", "attention", "--rule", "cobevt"]
    command += ["--val", str(tmp_path / "data"), "--work", str(tmp_path / "work"), "--threads", "1"]
    threads = torch.get_num_threads()
    train_fusion.train(train_fusion.parse([*command, "--steps", "1"]))
    assert trained_rules(checkpoint) == ("attention", "cobevt")
    trunk, fused = load_detector(checkpoint), load_detector(checkpoint, fusion="cobevt")
    assert fused.config.fusion == "cobevt" and fused.fingerprint == trunk.fingerprint
    train_fusion.train(train_fusion.parse([*command, "--steps", "3", "--resume"]))
    torch.set_num_threads(threads)
    state = torch.load(tmp_path / "work" / "fusion-attention-cobevt.pt", weights_only=True)
    assert state["progress"]["step"] == 3 and len(state["progress"]["curve"]) == 2
    assert state["attention"]["best"] == pytest.approx(0.2)


def test_a_state_of_another_trunk_is_not_resumed_and_a_finished_one_makes_no_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "data" / "one", 1, 1)
    monkeypatch.setattr(train_fusion, "load_ahead", lambda _batches: iter([one_batch(1, 1)]))
    for seed in (0, 1):
        torch.manual_seed(seed)
        save_detector(Detector(DetectorConfig()), tmp_path / str(seed))
    command = [str(tmp_path / "data"), "--rule", "max", "--rule", "max", "--work", str(tmp_path / "work")]
    command += ["--threads", "1", "--steps", "1"]
    threads = torch.get_num_threads()
    train_fusion.train(train_fusion.parse([*command, "--checkpoint", str(tmp_path / "0")]))
    state = (tmp_path / "work" / "fusion-max.pt").read_bytes()  # named once
    capsys.readouterr()
    train_fusion.train(train_fusion.parse([*command, "--checkpoint", str(tmp_path / "0"), "--resume"]))
    assert "this training is over" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"fusion-max\.pt: cannot be resumed \(it is of trunk"):
        train_fusion.train(train_fusion.parse([*command, "--checkpoint", str(tmp_path / "1"), "--resume"]))
    torch.set_num_threads(threads)
    assert (tmp_path / "work" / "fusion-max.pt").read_bytes() == state and trained_rules(tmp_path / "1") == ()


def test_a_trunk_with_anchors_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    write(tmp_path / "data" / "one", 1, 1)
    save_detector(Detector(DetectorConfig(head="anchors")), tmp_path / "imported")
    command = [str(tmp_path / "data"), "--checkpoint", str(tmp_path / "imported"), "--rule", "max"]
    with pytest.raises(CheckpointError, match="has a head of anchors"):
        train_fusion.train(train_fusion.parse(command))
