"""Attentive fusion (AttFuse; Xu et al., "OPV2V", ICRA 2022): self-attention over agents, cell by cell.

Faithful: at every scale of the backbone, each cell's features of all agents are queries, keys and values of one
scaled dot-product attention without parameters, and the ego's row is the fused feature. Different from the authors'
code: a cell that an agent has not sent, or that lies outside its grid, is masked out of the softmax, where their code
lets a vector of zeros take part (`UnmaskedAttentionFusion` does that, for weights trained so; the same holds for the
attention in OpenCOOD's CoAlign). Left out: their auto-encoder (messages are the codecs' business).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from carla_cp.perception.fusion.cells import known_cells, zeroed
from carla_cp.perception.fusion.team import FusionRule, Team
from carla_cp.perception.fusion.warp import resample


class AttentionFusion(FusionRule):
    """The ego's row of per-cell self-attention over agents, at every scale; nothing to train but the head."""

    scales = True

    def forward(self, teams: tuple[Team, ...]) -> tuple[Tensor, ...]:
        """The fused feature (C, H, W) of each team; an ego alone keeps its own, bit by bit."""
        return tuple(attend(*known_cells(team)) for team in teams)


class UnmaskedAttentionFusion(FusionRule):
    """As OpenCOOD's AttFuse and CoAlign compute it: what an agent does not cover or send is a vector of zeros."""

    scales = True

    def forward(self, teams: tuple[Team, ...]) -> tuple[Tensor, ...]:
        """The fused feature (C, H, W) of each team."""
        fused = []
        for team in teams:
            known = zeroed(team.features, team.valid)
            features = torch.cat([known[:1], resample(known[1:], team.theta[1:])])
            fused.append(attend(features, torch.ones_like(team.valid)))
        return tuple(fused)


def attend(features: Tensor, valid: Tensor) -> Tensor:
    """The first agent's row (C, H, W) of attention over agents (N, C, H, W) that are valid (N, H, W) in a cell."""
    scores = (features * features[0]).sum(dim=1, dtype=torch.float32) / math.sqrt(features.shape[1])
    weights = scores.masked_fill(~valid, -math.inf).softmax(dim=0).to(features)
    return (weights[:, None] * features).sum(dim=0)
