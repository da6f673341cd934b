"""How many pillars InfoCom's training keeps, and what its joint training minimises besides."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from codec_lessons import JointTeacher, Sending
from codec_teachers import joint_teacher, make_teacher
from lessons_infocom import FEWEST_PILLARS, JOINT_RATE_WEIGHT, _count, _extras

from carla_cp.codecs.base import Codec
from carla_cp.codecs.infocom import InfocomRate
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector


def counts(progress: float) -> list[int]:
    return [_count(10_000, progress, np.random.default_rng([5, draw])) for draw in range(400)]


def test_the_ratio_falls_from_one_to_a_tenth_by_the_middle_of_the_training() -> None:
    for progress, falling in ((0.0, 10_000), (0.25, 5_000), (0.6, 1_000), (1.0, 1_000)):
        share = np.mean(np.array(counts(progress)) == falling)
        assert 0.2 < share < 0.4


def test_other_steps_keep_what_budgets_would() -> None:
    found = np.array(counts(0.0))
    assert FEWEST_PILLARS <= found.min() < 2 * FEWEST_PILLARS
    assert 0.4 < np.mean(found < 1_000) < 0.6
    assert 0.1 < np.mean((found > 1_000) & (found < 10_000)) < 0.3


def test_content_and_latent_are_left_out_by_chance() -> None:
    drawn = [_extras(2, np.random.default_rng([6, draw])) for draw in range(400)]
    assert {channels for channels, _ in drawn} == {0, 1, 2}
    assert 0.8 < np.mean([latent for _, latent in drawn]) < 0.9


def test_beside_the_detectors_losses_stand_a_small_price_and_the_divergence() -> None:
    torch.manual_seed(0)
    detector = Detector(DetectorConfig()).eval()
    codec = make_teacher("infocom", detector, 0).codec.eval()
    pillars, useful = torch.rand(1, 32, 256, 256), torch.full((1, 128, 128), 0.5)
    sending = Sending(pillars, torch.rand(1, 64, 128, 128), useful, None)
    with torch.no_grad():
        early, late = (_teacher(codec, detector).send(sending, part, np.random.default_rng(0)) for part in (0.4, 0.6))
        rating = codec(pillars, useful, InfocomRate(80, 2, True)).rating
    price = JOINT_RATE_WEIGHT * 0.5 * rating.mean()
    torch.testing.assert_close(early.aside, price, rtol=0.02, atol=0.0)
    torch.testing.assert_close(late.aside, price + 1e-3 * late.rate_nats, rtol=0.02, atol=0.0)


def _teacher(codec: Codec[Any], detector: Detector) -> JointTeacher:
    return joint_teacher("infocom", codec, detector, 0)
