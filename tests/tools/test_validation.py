"""Validation: AP of several uses of the same views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from validation import average_precisions, everyone_shares, through

from carla_cp.codecs.none import NoneCodec
from carla_cp.codecs.raw import RawCodec
from carla_cp.datasets import DatasetError, open_dataset
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector
from carla_cp.perception.truth import team_truth
from carla_cp.types import Detections
from tests.perception.synthetic import write


@pytest.fixture
def detector() -> Detector:
    torch.manual_seed(0)
    return Detector(DetectorConfig(score_threshold=0.01)).eval()


def test_the_truth_itself_has_an_ap_of_one_and_nothing_has_none(tmp_path: Path, detector: Detector) -> None:
    write(tmp_path / "one", 2, 1)
    data = open_dataset(tmp_path)
    truths = [team_truth(data.frame(index), detector.config) for index in range(2)]
    found = iter([Detections(boxes, torch.ones(len(boxes)).double().numpy(), labels) for boxes, labels in truths])
    uses = (lambda _views: next(found), lambda _views: Detections.empty())
    assert average_precisions(data, 5, uses, detector) == (1.0, 0.0)


def test_broken_validation_frames_are_said_and_nothing_but_broken_ones_refused(
    tmp_path: Path, detector: Detector, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "one", 2, 1)
    clouds = sorted((tmp_path / "one").rglob("*.pcd"))
    clouds[0].write_bytes(b"")
    average_precisions(open_dataset(tmp_path), 5, (lambda _views: Detections.empty(),), detector)
    assert "1 frames read, 1 left out" in capsys.readouterr().out
    for path in clouds:
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match="no validation frame can be read"):
        average_precisions(open_dataset(tmp_path), 5, (lambda _views: Detections.empty(),), detector)


def test_everyone_shares_uses_every_agents_features(tmp_path: Path, detector: Detector) -> None:
    write(tmp_path / "one", 1, 1)
    frame = open_dataset(tmp_path).frame(0)
    views = [detector.view(agent.sweep) for agent in frame.agents]
    assert len(views) > 1
    together, alone = everyone_shares(detector)(views), everyone_shares(detector)(views[:1])
    assert together.boxes.shape != alone.boxes.shape or (together.boxes != alone.boxes).any()


def test_through_a_codec_the_ego_has_what_its_messages_say(tmp_path: Path, detector: Detector) -> None:
    write(tmp_path / "one", 1, 1)
    frame = open_dataset(tmp_path).frame(0)
    views = [detector.view(agent.sweep) for agent in frame.agents]
    raw, none = RawCodec.for_detector(0, detector.config), NoneCodec()
    raw.variant = "fp32"
    whole, alone = everyone_shares(detector)(views), views[0].boxes
    for codec, wanted in ((raw, whole), (none, alone)):  # by scores: nearly equal ones may change places
        np.testing.assert_allclose(through(detector, codec, None)(views).scores, wanted.scores, atol=1e-5)
    assert len(whole.scores) != len(alone.scores) or np.abs(whole.scores - alone.scores).max() > 1e-4
    some = through(detector, raw, 9000)(views)
    assert len(some.scores) != len(whole.scores) or np.abs(some.scores - whole.scores).max() > 1e-4
