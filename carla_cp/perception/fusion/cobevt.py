"""Fused axial attention of CoBEVT (Xu et al., CoRL 2022, section 3.2; "swap fusion" in the authors' code).

Faithful: 3-D windows of agents x 4 x 4 cells; in turn, windows of neighbours (local) and of cells spread evenly over
the map (global) attend to one another with a learnt bias by relative position, pre-norm and residual, a feed-forward
network behind each; the mean over agents and a linear layer end it. Different from the authors' code: the mean runs
over the agents that are valid in a cell, where theirs also counts the empty places up to the largest team
(`PaddedCobevtFusion` does that, for weights trained so); maps of any size are padded to whole windows; the other
agents come in the order of their distance, so that the result does not depend on the order of messages; no dropout.
Small detectors attend in cells twice as wide (as wide as the paper's), beside the mean of the features as they came.
Left out: the camera encoder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion.cells import known_cells, mean_over_agents
from carla_cp.perception.fusion.coarse import Coarse
from carla_cp.perception.fusion.team import FusionRule, Member, Team

LARGEST_TEAM = 5  # the published configuration's


@dataclass(frozen=True, slots=True)
class AxialSize:
    """The size of the fused axial attention."""

    width: int
    depth: int
    hidden: int  # of the feed-forward networks
    head_width: int = 32
    window: int = 4
    stride: int = 1  # of the tokens, in cells

    def __post_init__(self) -> None:
        """Raises ValueError for a width that its heads do not divide."""
        if self.width % self.head_width:
            raise ValueError(f"cobevt needs bev_channels that are a multiple of {self.head_width}, not {self.width}")


def axial_size(config: DetectorConfig) -> AxialSize:
    """The published size from 128 channels on; below, one layer of wider cells, which a CPU can afford."""
    width = config.bev_channels
    return AxialSize(width, depth=3, hidden=256) if width >= 128 else AxialSize(width, depth=1, hidden=width, stride=2)


class CobevtFusion(FusionRule):
    """Fused axial attention over all agents' BEV features."""

    padded: ClassVar[bool] = False  # the mean counts the empty places up to LARGEST_TEAM

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the size that suits `config`, untrained."""
        super().__init__(config)
        self.size = axial_size(config)
        width, stride = self.size.width, self.size.stride
        self.layers = nn.ModuleList(AxialLayer(self.size) for _ in range(self.size.depth))
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, width)
        nn.init.eye_(self.out.weight)  # starts close to what the head behind it knows
        self.coarse = Coarse(width, stride) if stride > 1 else None

    def forward(self, teams: tuple[Team, ...]) -> tuple[Tensor, ...]:
        """The fused feature (C, H, W) of each team; of more agents than LARGEST_TEAM, the nearest take part."""
        return tuple(self._fuse(team) for team in teams)

    def _fuse(self, team: Team) -> Tensor:
        features, valid = known_cells(Team(_nearest(team)))
        height, width = features.shape[2:]
        whole = self.size.window * self.size.stride
        edges = (0, -width % whole, 0, -height % whole)
        features, valid = F.pad(features, edges), F.pad(valid, edges)
        if self.coarse is None:
            fused = self._attended(features, valid)
        else:
            wide = self._attended(*self.coarse.narrow(features, valid))
            fused = mean_over_agents(features, valid) + self.coarse.widen(wide)
        result: Tensor = self.out(self.norm(fused[:, :height, :width].permute(1, 2, 0)))
        return result.permute(2, 0, 1)

    def _attended(self, features: Tensor, valid: Tensor) -> Tensor:
        """The mean over agents (C, H, W) behind all layers."""
        empty = LARGEST_TEAM - len(features) if self.padded else 0
        tokens = F.pad(features.permute(0, 2, 3, 1), (0, 0, 0, 0, 0, 0, 0, empty))
        valid = F.pad(valid, (0, 0, 0, 0, 0, empty))
        for layer in self.layers:
            tokens = layer(tokens, valid)
        return mean_over_agents(tokens.permute(0, 3, 1, 2), torch.ones_like(valid) if self.padded else valid)


class PaddedCobevtFusion(CobevtFusion):
    """As the authors' code computes it: empty places count in the mean over agents."""

    padded = True


class AxialLayer(nn.Module):
    """Attention in windows of neighbours, then in windows spread over the map, a feed-forward network behind each."""

    def __init__(self, size: AxialSize) -> None:
        """Of the given size, untrained."""
        super().__init__()
        self.window = size.window
        self.local, self.local_feed = WindowAttention(size), feed_forward(size)
        self.spread, self.spread_feed = WindowAttention(size), feed_forward(size)

    def forward(self, tokens: Tensor, valid: Tensor) -> Tensor:
        """Tokens (N, H, W, C) attend to those that are valid (N, H, W); H and W are whole windows."""
        agents, height, width, channels = tokens.shape
        side, rows, columns = self.window, height // self.window, width // self.window
        # (N, row, in window, column, in window, C) to one row of tokens per window, and back.
        local = (agents, rows, side, columns, side)
        there, back = (1, 3, 0, 2, 4), (2, 0, 3, 1, 4)
        tokens = tokens.view(*local, channels).permute(*there, 5).reshape(rows * columns, -1, channels)
        known = valid.view(local).permute(there).reshape(rows * columns, -1)
        tokens = self.local(tokens, known)
        tokens = tokens + self.local_feed(tokens)
        tokens = tokens.view(rows, columns, agents, side, side, channels).permute(*back, 5)
        spread = (agents, side, rows, side, columns)
        there, back = (2, 4, 0, 1, 3), (2, 3, 0, 4, 1)
        tokens = tokens.reshape(*spread, channels).permute(*there, 5).reshape(rows * columns, -1, channels)
        known = valid.view(spread).permute(there).reshape(rows * columns, -1)
        tokens = self.spread(tokens, known)
        tokens = tokens + self.spread_feed(tokens)
        tokens = tokens.view(rows, columns, agents, side, side, channels).permute(*back, 5)
        return tokens.reshape(agents, height, width, channels)


class WindowAttention(nn.Module):
    """Residual multi-head attention among the tokens of each window, with a bias by relative position."""

    places: Tensor

    def __init__(self, size: AxialSize) -> None:
        """Of the given size, untrained; without bias by position."""
        super().__init__()
        self.heads, self.window = size.width // size.head_width, size.window
        self.norm = nn.LayerNorm(size.width)
        self.query_key_value = nn.Linear(size.width, 3 * size.width, bias=False)
        self.out = nn.Linear(size.width, size.width, bias=False)
        apart = (2 * LARGEST_TEAM - 1) * (2 * size.window - 1) ** 2
        self.bias = nn.Parameter(torch.zeros(apart, self.heads))
        self.register_buffer("places", relative_places(LARGEST_TEAM, size.window), persistent=False)

    def forward(self, tokens: Tensor, valid: Tensor) -> Tensor:
        """Tokens (windows, T, C) attend to the valid (windows, T) of their window; T = agents x window x window."""
        windows, count, channels = tokens.shape
        parts = self.query_key_value(self.norm(tokens)).view(windows, count, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        bias = self.bias[self.places[:count, :count]].permute(2, 0, 1)
        mask = bias.masked_fill(~valid[:, None, None], -math.inf)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask.to(query))
        result: Tensor = tokens + self.out(seen.transpose(1, 2).reshape(windows, count, channels))
        return result


def feed_forward(size: AxialSize) -> nn.Sequential:
    """Pre-norm, two layers and a GELU between."""
    return nn.Sequential(
        nn.LayerNorm(size.width), nn.Linear(size.width, size.hidden), nn.GELU(), nn.Linear(size.hidden, size.width)
    )


def relative_places(agents: int, window: int) -> Tensor:
    """The row of the bias table for each pair of an agents x window x window block's tokens: (T, T).

    Rows count (agent, row, column) offsets, each from its most negative one, the last fastest; tokens likewise.
    """
    axes = [torch.arange(agents), torch.arange(window), torch.arange(window)]
    at = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)
    agent, row, column = (at[:, :, None] - at[:, None]).unbind()
    span = 2 * window - 1
    return ((agent + agents - 1) * span + row + window - 1) * span + column + window - 1


def _nearest(team: Team) -> tuple[Member, ...]:
    others = sorted(team.members[1:], key=lambda member: float(member.theta[:, 2].square().sum()))
    return (team.members[0], *others[: LARGEST_TEAM - 1])
