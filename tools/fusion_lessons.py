"""What a fusion rule learns from a batch: the trunk's features of all views as teams, and the losses behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from batches import Batch
from torch import Tensor

from carla_cp.codecs.taps import spread
from carla_cp.codecs.where2comm import selection
from carla_cp.perception.detector import Detector
from carla_cp.perception.fusion import Member, Team, ego_member, warp
from carla_cp.perception.fusion.coalign import CoalignFusion, box_errors, spread_loss
from carla_cp.perception.head import box_loss, heat_loss

OBJECT_WEIGHT = 0.6  # of a target's box code: its own cell, and those beside it that are nearly as good


@dataclass(frozen=True, eq=False)
class Stages:
    """What the trunk makes of all views of a batch, and the same resampled in each frame's ego grid."""

    maps: tuple[Tensor, ...]  # per scale (views, C, H, W), the BEV feature last
    heat: Tensor  # (views, rows, columns)
    valid: tuple[Tensor, ...]  # per map (senders, H, W)
    moved: tuple[tuple[Tensor, Tensor], ...]  # per map (senders, C, H, W) and (senders, H, W)


def stages(trunk: Detector, batch: Batch) -> Stages:
    """Everything that rules may ask for; no gradient goes back through it."""
    with torch.no_grad():
        with torch.autocast(trunk.device.type, dtype=torch.bfloat16):
            pillars = trunk.pillar_net(batch.points, batch.counts, batch.cells, sum(batch.agents))
            scales = trunk.backbone.scales(trunk.backbone.first(pillars))
            bev = trunk.backbone.merge(scales)
            heat = trunk.heat_from_bev(bev).amax(dim=1).float()
        maps = tuple(value.float() for value in (*scales, bev))
        senders = batch.senders
        valid = _of_all_maps(batch.valid, trunk)
        moved = tuple(warp(values[senders], mask, batch.theta) for values, mask in zip(maps, valid, strict=True))
    return Stages(maps, heat, valid, moved)


def _of_all_maps(valid: Tensor, detector: Detector) -> tuple[Tensor, ...]:
    """Validity (senders, H, W) of the first scale, for every scale and the BEV feature."""
    masks = [valid]
    for stride in detector.config.strides[1:]:
        masks.append(torch.nn.functional.max_pool2d(masks[-1][:, None].float(), stride)[:, 0] > 0)
    return (*masks, valid)


@torch.no_grad()
def partly_sent(detector: Detector, found: Stages, batch: Batch, rng: np.random.Generator) -> Stages:
    """The same where each sender sends a share of its first scale's cells, drawn from U(0, 1): the most confident ones.

    As Where2comm is trained. Receivers compute what comes behind from what they got, heat included.
    """
    first, senders = found.maps[0], batch.senders
    sent = torch.stack([most_confident(found.heat[view], first.shape[2:], rng.random()) for view in senders])
    with torch.autocast(detector.device.type, dtype=torch.bfloat16):
        scales = detector.backbone.scales(first[senders] * sent[:, None])
        bev = detector.backbone.merge(scales)
        heat = detector.heat_from_bev(bev).amax(dim=1).float()
    valid = _of_all_maps(found.valid[0] & sent, detector)
    theirs = tuple(values.float() for values in (*scales, bev))
    moved = tuple(warp(values, mask, batch.theta) for values, mask in zip(theirs, valid, strict=True))
    maps = tuple(_replaced(all_, senders, some) for all_, some in zip(found.maps, theirs, strict=True))
    return Stages(maps, _replaced(found.heat, senders, heat), valid, moved)


def _replaced(values: Tensor, places: list[int], others: Tensor) -> Tensor:
    result = values.clone()
    result[places] = others
    return result


def most_confident(heat: Tensor, shape: torch.Size, share: float) -> Tensor:
    """The mask (H, W) of this share of the cells, at least one, by a view's heat (rows, columns)."""
    rows, columns = shape
    matters = spread(selection(heat[None], None)[None], rows, columns)[0].flatten()
    sent = torch.zeros_like(matters, dtype=torch.bool)
    sent[matters.topk(max(round(share * len(matters)), 1)).indices] = True
    return sent.view(rows, columns)


def teams_of(detector: Detector, found: Stages, batch: Batch) -> list[tuple[Team, ...]]:
    """Per frame, what a rule fuses: one team per scale, or that of the BEV features."""
    chosen = range(len(found.maps) - 1) if detector.fusion.scales else (len(found.maps) - 1,)
    moved = [
        (detector.moved(level, found.moved[index][0], batch.theta), found.moved[index][1])
        for level, index in enumerate(chosen)
    ]
    return [
        tuple(_team(found, part, batch, number, index) for part, index in zip(moved, chosen, strict=True))
        for number in range(len(batch.agents))
    ]


def _team(found: Stages, moved: tuple[Tensor, Tensor], batch: Batch, frame: int, index: int) -> Team:
    ego = batch.egos[frame]
    first = ego - frame  # of the frame's senders, among all senders
    maps, (values, received) = found.maps[index], moved
    members = [ego_member(maps[ego], found.heat[ego])]
    for offset in range(batch.agents[frame] - 1):
        view, sender = ego + 1 + offset, first + offset
        members.append(
            Member(
                maps[view],
                found.valid[index][sender],
                batch.theta[sender],
                found.heat[view],
                batch.roadside[view],
                moved=(values[sender], received[sender]),
            )
        )
    return Team(tuple(members))


def uncertainty_loss(detector: Detector, rule: CoalignFusion, found: Stages, batch: Batch) -> Tensor:
    """How well the rule says of one agent's boxes in each frame how wrong they are; the boxes learn nothing from it."""
    bev, count = found.maps[-1][list(batch.alone)], len(batch.agents)
    with torch.no_grad():
        alone = [tuple(Team((ego_member(scale[view]),)) for scale in found.maps[:-1]) for view in batch.alone]
        raw = detector.raw_heads(torch.stack([detector.fuse(teams) for teams in alone]))
        errors = box_errors(raw.boxes, batch.boxes[count:], detector.config.grid.cell_m)
    at = batch.weight[count:] > OBJECT_WEIGHT
    return spread_loss(rule.log_variances(bev).permute(0, 2, 3, 1)[at], errors.permute(0, 2, 3, 1)[at])


def losses(detector: Detector, found: Stages, batch: Batch) -> tuple[Tensor, Tensor]:
    """Heat and boxes of the teams."""
    fused = [detector.fuse(teams) for teams in teams_of(detector, found, batch)]
    raw, count = detector.raw_heads(torch.stack(fused)), len(batch.agents)
    return heat_loss(raw.heat, batch.heat[:count]), box_loss(raw.boxes, batch.boxes[:count], batch.weight[:count])
