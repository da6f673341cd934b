"""Confidence-aware fusion of Where2comm (Hu et al., NeurIPS 2022, section 4.4: message fusion).

Faithful: multi-head attention over agents in every cell gives weights only, the messages themselves are the values;
an agent's weight is multiplied by its spatial confidence map; a feed-forward network follows; the ego's row is the
fused feature, at every scale of the backbone. Different from the paper: the product is normalised over agents again,
since confidence is near zero on empty ground, where all would fade; and the network is residual and starts as zero,
so that the rule starts as attention weighted by confidence. OpenCOOD's multi-scale variant differs: it is AttFuse at
each scale over features multiplied by the sender's selection mask, and no confidence enters the weights.
Left out here: request maps, selection of cells and smoothing, which decide what is sent and belong to the codec.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion.cells import known_cells
from carla_cp.perception.fusion.team import FusionRule, Team
from carla_cp.perception.fusion.warp import warp

HEADS = 4
LEAST_CONFIDENCE = 1e-3  # where nobody sees an object, agents still count alike


class Where2commFusion(FusionRule):
    """Attention over agents with their confidence as prior, at every scale."""

    scales = True
    asks_heat = True

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the widths of `config.filters`, untrained. Raises ValueError if HEADS does not divide a width."""
        super().__init__(config)
        self.levels = nn.ModuleList(ConfidentAttention(width) for width in self.widths)

    def forward(self, teams: tuple[Team, ...]) -> tuple[Tensor, ...]:
        """The fused feature (C, H, W) of each team."""
        confidence = _in_ego_grid(teams[0])
        fused = []
        for level, team in zip(self.levels, teams, strict=True):
            features, valid = known_cells(team)
            fused.append(level(features, valid, F.adaptive_max_pool2d(confidence, features.shape[2:])))
        return tuple(fused)


class ConfidentAttention(nn.Module):
    """One scale's attention over agents, and the feed-forward network behind it."""

    def __init__(self, width: int) -> None:
        """Starts with plain dot products per head, and without a change by the feed-forward network."""
        super().__init__()
        if width % HEADS:
            raise ValueError(f"where2comm needs widths that {HEADS} heads divide, not {width}")
        self.query, self.key = (nn.Conv2d(width, width, 1, bias=False) for _ in range(2))
        for projection in (self.query, self.key):
            nn.init.dirac_(projection.weight)
        last = nn.Conv2d(width, width, 1, bias=False)
        nn.init.zeros_(last.weight)
        self.feed = nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU(), last)

    def forward(self, features: Tensor, valid: Tensor, confidence: Tensor) -> Tensor:
        """Of features (N, C, H, W), >= 0, validity and confidence (N, H, W): the ego's fused feature (C, H, W)."""
        agents, width, *place = features.shape
        by_head = (HEADS, width // HEADS, *place)
        query, key = self.query(features[:1]).view(1, *by_head), self.key(features).view(agents, *by_head)
        scores = (query * key).sum(dim=2, dtype=torch.float32) / math.sqrt(width // HEADS)
        prior = confidence.clamp(min=LEAST_CONFIDENCE).log().masked_fill(~valid, -math.inf)
        weights = (scores + prior[:, None]).softmax(dim=0).to(features)
        joined = (weights[:, :, None] * features.view(agents, *by_head)).sum(dim=0).reshape(width, *place)
        return torch.relu(joined + self.feed(joined[None])[0])


def _in_ego_grid(team: Team) -> Tensor:
    """Every agent's confidence (N, rows, columns) in the ego's grid; zero outside an agent's own."""
    heat = team.heat[:, None]
    if len(heat) == 1:
        return heat[:, 0]
    moved, _ = warp(heat[1:], torch.ones_like(heat[1:, 0], dtype=torch.bool), team.theta[1:])
    return torch.cat([heat[:1], moved])[:, 0]
