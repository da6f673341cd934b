"""Joint lessons: whose features are coded, what learns from them, and that a codec without loss changes nothing."""

from __future__ import annotations

import codec_teachers
import detector_lessons
import joint_lessons
import numpy as np
import pytest
import torch
from batches import Batch
from codec_lessons import Arrival, Sending
from torch import Tensor

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector
from tests.tools.training_samples import one_batch

LEARNS = {"where2comm": ("bev.",), "revqom": ("down.", "expand."), "infocom": ("encoder.", "rater.", "decoder.")}


class Fixed:
    """A stand-in for a teacher: sends features and an error in each, and remembers what it was asked."""

    def __init__(self, error: float = 0.0) -> None:
        self.error, self.asked = error, list[Sending]()

    def send(self, sending: Sending, progress: float, rng: np.random.Generator) -> Arrival:
        self.asked.append(sending)
        valid = torch.ones(sending.useful.shape, dtype=torch.bool)
        return Arrival(sending.bev + self.error, valid, torch.zeros(()), 0.0)


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    network = Detector(DetectorConfig())
    joint_lessons.to_training(network)
    return network


@pytest.fixture(scope="module")
def batch() -> Batch:
    """A frame with partners."""
    found = one_batch(1, 7)
    assert found.senders and found.valid.all()
    return found


def sure_detector() -> Detector:
    """An untrained one that is sure of objects everywhere, so that every codec has something to send."""
    torch.manual_seed(1)
    network = Detector(DetectorConfig())
    torch.nn.init.constant_(network.own_heat.bias, 3.0)
    return network


def draws(raw: bool) -> np.random.Generator:
    """A generator whose first draw has partners send raw features, or has not."""
    seed = next(s for s in range(99) if (np.random.default_rng(s).random() < joint_lessons.RAW_SHARE) == raw)
    return np.random.default_rng(seed)


def plain(detector: Detector, batch: Batch) -> tuple[Tensor, ...]:
    with torch.autocast("cpu", torch.bfloat16):
        return detector_lessons.losses(detector, batch)


@torch.no_grad()
def test_a_codec_without_loss_has_the_loss_of_raw_features_and_a_lossy_one_has_not(
    detector: Detector, batch: Batch
) -> None:
    wanted = plain(detector, batch)
    *same, aside = joint_lessons.joint_losses(Fixed(), detector, batch, 0.0, draws(raw=False))
    assert aside == 0
    for one, other in zip(same, wanted, strict=True):
        torch.testing.assert_close(one, other)
    own, heat, _, _ = joint_lessons.joint_losses(Fixed(50.0), detector, batch, 0.0, draws(raw=False))
    assert torch.equal(own, wanted[0]) and not torch.isclose(heat, wanted[1])


@torch.no_grad()
def test_partners_alone_are_coded_and_in_raw_draws_nobody(detector: Detector, batch: Batch) -> None:
    teacher = Fixed(50.0)
    raw = joint_lessons.joint_losses(teacher, detector, batch, 0.0, draws(raw=True))
    assert teacher.asked == [] and torch.isclose(raw[1], plain(detector, batch)[1])
    joint_lessons.joint_losses(teacher, detector, batch, 0.0, draws(raw=False))
    with torch.autocast("cpu", torch.bfloat16):
        pillars = detector_lessons.pillars_of(detector, batch)
        bev = detector.bev_from_pillars(pillars).float()
    (asked,) = teacher.asked
    assert asked.corners is None and asked.pillars is not None
    assert torch.equal(asked.bev, bev[batch.senders]) and torch.equal(asked.pillars, pillars[batch.senders].float())


@torch.no_grad()
def test_an_ego_without_partners_asks_no_codec(detector: Detector) -> None:
    alone = next(batch for batch in (one_batch(1, seed) for seed in range(20)) if not batch.senders)
    teacher = Fixed(50.0)
    found = joint_lessons.joint_losses(teacher, detector, alone, 0.0, draws(raw=False))
    assert teacher.asked == [] and found[3] == 0


@pytest.mark.parametrize("name", codec_teachers.JOINT)
def test_gradients_reach_every_part_of_the_detector_and_the_codec(batch: Batch, name: str) -> None:
    detector = sure_detector()
    codec = codec_teachers.make_teacher(name, detector, 0).codec
    joint_lessons.to_training(torch.nn.ModuleList([detector, codec]))
    teacher = codec_teachers.joint_teacher(name, codec, detector, 0)
    loss = joint_lessons.joint_losses(teacher, detector, batch, 0.5, draws(raw=False))
    torch.stack(loss).sum().backward()
    idle = [key for key, value in detector.named_parameters() if value.grad is None or not value.grad.any()]
    assert idle == []
    learning = {key for key, value in codec.named_parameters() if value.grad is not None and value.grad.any()}
    assert all(any(key.startswith(part) for key in learning) for part in LEARNS[name])


@pytest.mark.parametrize("name", codec_teachers.JOINT)
def test_what_arrives_has_a_gradient_in_what_the_sender_saw(name: str) -> None:
    detector = sure_detector().eval()
    codec = codec_teachers.make_teacher(name, detector, 0).codec
    joint_lessons.to_training(codec)
    teacher = codec_teachers.joint_teacher(name, codec, detector, 0)
    pillars = torch.rand(1, 32, 256, 256).requires_grad_()
    bev = torch.rand(1, 64, 128, 128).requires_grad_()
    arrival = joint_lessons.heard(teacher, detector, pillars, bev, 1.0, np.random.default_rng(0))
    assert arrival.bev.shape == bev.shape and arrival.valid.shape == (1, 128, 128) and arrival.valid.any()
    arrival.bev.square().sum().backward()
    seen = pillars if name == "infocom" else bev
    assert seen.grad is not None and seen.grad.any()


def test_batch_norms_keep_their_statistics_and_learn_their_weights(batch: Batch) -> None:
    torch.manual_seed(2)
    detector = Detector(DetectorConfig())
    before = {key: value.clone() for key, value in detector.named_buffers()}
    joint_lessons.to_training(detector)
    torch.stack(joint_lessons.joint_losses(Fixed(), detector, batch, 0.0, draws(raw=False))).sum().backward()
    assert detector.training and all(torch.equal(value, before[key]) for key, value in detector.named_buffers())
    assert detector.backbone.shrink[1].weight.grad is not None
