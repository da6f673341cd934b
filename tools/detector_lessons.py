"""What a detector learns from a batch: the losses of its heads, whatever the senders' features went through."""

from __future__ import annotations

from bisect import bisect_right

import torch
from batches import Batch
from torch import Tensor

from carla_cp.perception.detector import Detector
from carla_cp.perception.fusion import warp
from carla_cp.perception.fusion.maximum import MaxFusion, join
from carla_cp.perception.head import box_loss, heat_loss

LOSSES = ("own heat", "heat", "boxes")


def losses(detector: Detector, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Each agent's own heat, then heat and boxes of teams and single agents."""
    pillars = pillars_of(detector, batch)
    bev = detector.bev_from_pillars(pillars)
    return own_loss(detector, batch, bev), *fused_losses(detector, batch, bev, bev[batch.senders], batch.valid)


def pillars_of(detector: Detector, batch: Batch) -> Tensor:
    """The pillar maps (views, C_pillar, pillar_rows, pillar_columns) of all views."""
    maps: Tensor = detector.pillar_net(batch.points, batch.counts, batch.cells, sum(batch.agents))
    return maps


def own_loss(detector: Detector, batch: Batch, bev: Tensor) -> Tensor:
    """That of each agent's own heat, of the BEV features (views, C, H, W)."""
    return heat_loss(detector.own_heat(bev), batch.own_heat)


def fused_losses(detector: Detector, batch: Batch, bev: Tensor, sent: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Heat and boxes of teams and single agents.

    `bev` (views, C, H, W) is what each agent has itself; `sent` (senders, C, H, W), where `valid` (senders, H, W), is
    what egos have of the others.
    """
    egos, senders = batch.egos, batch.senders
    joined = [bev[ego].float() for ego in egos]
    if senders:
        moved, received = warp(sent.float(), valid, batch.theta)
        for number, view in enumerate(senders):
            frame = bisect_right(egos, view) - 1
            joined[frame] = join(joined[frame], [(moved[number], received[number])])
    assert isinstance(detector.fusion, MaxFusion)
    fused = detector.fusion.refine(torch.cat([torch.stack(joined), bev[list(batch.alone)].float()]))
    raw = detector.raw_heads(fused)
    return heat_loss(raw.heat, batch.heat), box_loss(raw.boxes, batch.boxes, batch.weight)
