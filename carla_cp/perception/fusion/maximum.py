"""Element-wise maximum (F-Cooper; Chen et al., "F-Cooper: Feature based Cooperative Perception", SEC 2019).

Faithful: the maximum over agents of the BEV features. Added by us: a residual convolution behind it, since an edge
between what two agents saw is a pattern that no single view has. Left out: the point features of the paper's VFF.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion.team import FusionRule, Team


class MaxFusion(FusionRule):
    """The maximum over the ego and the valid cells of the others, then a residual convolution."""

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained."""
        super().__init__(config)
        width = config.bev_channels
        self.mix = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width, eps=1e-3, momentum=0.02)
        )

    def forward(self, teams: tuple[Team, ...]) -> tuple[Tensor, ...]:
        """The fused feature (C, H, W) of each team."""
        return tuple(self.refine(join(team.members[0].features, team.others())[None])[0] for team in teams)

    def refine(self, joined: Tensor) -> Tensor:
        """The fused feature (B, C, H, W) of maxima over agents."""
        joined = joined.contiguous(memory_format=torch.channels_last)
        return torch.relu(joined + self.mix(joined))


def join(ego: Tensor, others: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The maximum over the ego's feature (C, H, W) and the valid cells of others' (features, valid).

    Features are >= 0 behind a ReLU, so an invalid cell set to zero cannot win; the order of senders is irrelevant.
    """
    if not others:
        return ego
    heard = torch.where(others[0][1], others[0][0], 0.0)
    for features, valid in others[1:]:
        heard = torch.maximum(heard, torch.where(valid, features, 0.0))
    # Into the ego's memory layout: a maximum over two layouts takes ten times as long.
    return torch.maximum(ego, heard[None].contiguous(memory_format=torch.channels_last)[0])
