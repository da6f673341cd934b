"""What detector and codec learn together: the detector's own losses, of partners that are heard through the codec."""

from __future__ import annotations

import numpy as np
import torch
from batches import Batch
from codec_lessons import Arrival, JointTeacher, Sending
from detector_lessons import fused_losses, own_loss, pillars_of
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from carla_cp.codecs.ranking import usefulness
from carla_cp.perception.detector import Detector

RAW_SHARE = 0.25  # of the steps: partners send their features as they are
TRAINED_FROM = 0.5  # of a codec's own schedule, which its joint training is the second half of


def joint_losses(
    teacher: JointTeacher, detector: Detector, batch: Batch, progress: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Each agent's own heat, heat and boxes of teams and single agents, and the codec's own losses.

    The ego's features, and those of the single agents, are its own; its partners' come through the codec at a random
    rate, or as they are in RAW_SHARE of the draws. Own heat learns from the first loss only: as what a codec chooses
    by, it has no gradient.
    """
    raw = rng.random() < RAW_SHARE
    with torch.autocast(detector.device.type, torch.bfloat16):
        pillars = pillars_of(detector, batch)
        bev = detector.bev_from_pillars(pillars)
        own = own_loss(detector, batch, bev)
    sent, valid, aside = bev[batch.senders], batch.valid, own.new_zeros(())
    if batch.senders and not raw:
        whole = TRAINED_FROM + (1 - TRAINED_FROM) * progress
        arrival = heard(teacher, detector, pillars[batch.senders], sent, whole, rng)
        sent, valid, aside = arrival.bev, valid & arrival.valid, arrival.aside
    with torch.autocast(detector.device.type, torch.bfloat16):
        heat, boxes = fused_losses(detector, batch, bev, sent, valid)
    return own, heat, boxes, aside


def heard(
    teacher: JointTeacher, detector: Detector, pillars: Tensor, bev: Tensor, progress: float, rng: np.random.Generator
) -> Arrival:
    """What arrives of senders' whole maps (senders, C, H, W)."""
    bev = bev.float()
    with torch.no_grad():
        useful = usefulness(detector.heat_from_bev(bev))
    return teacher.send(Sending(pillars.float(), bev, useful, None), progress, rng)


def to_training(networks: nn.Module) -> None:
    """Training mode, but for batch norms: the statistics of one frame are too few to follow, so they stay as loaded."""
    networks.train()
    for part in networks.modules():
        if isinstance(part, _BatchNorm):
            part.eval()
