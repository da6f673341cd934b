"""The losses of a detector: they fall, every weight learns, and what partners send counts where it is valid."""

from __future__ import annotations

from dataclasses import replace

import detector_lessons
import torch

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector
from carla_cp.perception.presets import SECOND_MINI
from tests.tools.training_samples import one_batch


def test_the_loss_falls_when_the_same_batch_is_learnt() -> None:
    torch.manual_seed(1)
    detector = Detector(DetectorConfig()).train()
    batch = one_batch(1, 3)
    optimiser = torch.optim.AdamW(detector.parameters(), lr=3e-3)
    totals = []
    for _ in range(8):
        total = torch.stack(detector_lessons.losses(detector, batch)).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(total.item())
    assert totals[-1] < 0.7 * totals[0]


def test_every_weight_learns() -> None:
    torch.manual_seed(1)
    detector = Detector(DetectorConfig()).train()
    torch.stack(detector_lessons.losses(detector, one_batch(2, 8))).sum().backward()
    idle = [name for name, value in detector.named_parameters() if value.grad is None or not value.grad.any()]
    assert idle == []


def test_a_sparse_detector_learns_with_every_weight() -> None:
    grid = replace(SECOND_MINI.grid, half_length_m=25.6, half_width_m=25.6)
    config = replace(SECOND_MINI, grid=grid)
    torch.manual_seed(1)
    detector = Detector(config).train()
    torch.stack(detector_lessons.losses(detector, one_batch(1, 8, config))).sum().backward()
    idle = [name for name, value in detector.named_parameters() if value.grad is None or not value.grad.any()]
    assert idle == []


@torch.no_grad()
def test_what_partners_send_counts_where_it_is_valid() -> None:
    torch.manual_seed(1)
    detector, batch = Detector(DetectorConfig()).eval(), one_batch(1, 7)
    bev = detector.bev_from_pillars(detector_lessons.pillars_of(detector, batch))
    sent, nowhere = bev[batch.senders], torch.zeros_like(batch.valid)
    silent = detector_lessons.fused_losses(detector, batch, bev, sent, nowhere)
    junk = detector_lessons.fused_losses(detector, batch, bev, sent + 50.0, nowhere)
    heard = detector_lessons.fused_losses(detector, batch, bev, sent + 50.0, batch.valid)
    assert batch.valid.any() and silent == junk and heard[1] != silent[1]
