"""Vehicle-to-everything transformer (V2X-ViT; Xu et al., ECCV 2022).

Faithful: a delay-aware positional encoding of each agent's age; heterogeneous self-attention over agents in every cell
with projections per kind of agent (vehicle, roadside unit) and matrices per pair of kinds; multi-scale window attention
within each agent's map, its three scales joined by split attention; feed-forward networks, all pre-norm and residual;
the ego's row is the fused feature. Different from the authors' code: the age enters the sinusoids as it is instead of
in steps; maps of any size are padded to whole windows, whose padding is masked; the last layer computes the ego alone,
which changes nothing; no dropout. Left out: vehicles' speeds, which the authors' code carries along unused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion.cells import known_cells
from carla_cp.perception.fusion.team import FusionRule, Team

KINDS = 2  # vehicles, roadside units
WINDOWS = (4, 8, 16)
WINDOW_HEAD_WIDTHS = (16, 32, 64)
AGENT_HEAD_WIDTH = 32
AGE_STEP_S = 0.05  # of one position of the encoding


@dataclass(frozen=True, slots=True, eq=False)
class Crew:
    """Which cells of each agent are known, and what kind each agent is of."""

    valid: Tensor  # (N, H, W) bool
    kinds: tuple[int, ...]


class V2xvitFusion(FusionRule):
    """Attention over agents and over windows of the BEV features."""

    def __init__(self, config: DetectorConfig) -> None:
        """Three layers from 128 channels on, one below; untrained. Raises ValueError for a width that is not whole."""
        super().__init__(config)
        width = config.bev_channels
        if width % max(WINDOW_HEAD_WIDTHS):
            raise ValueError(f"v2xvit needs bev_channels that are a multiple of {max(WINDOW_HEAD_WIDTHS)}, not {width}")
        self.age = nn.Linear(width, width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(3 if width >= 128 else 1))

    def forward(self, teams: tuple[Team, ...]) -> tuple[Tensor, ...]:
        """The fused feature (C, H, W) of each team."""
        return tuple(self._fuse(team) for team in teams)

    def _fuse(self, team: Team) -> Tensor:
        features, valid = known_cells(team)
        delay = self.age(sinusoids(team.age_s, features.shape[1]))
        tokens: Tensor = features.permute(0, 2, 3, 1) + delay[:, None, None]
        crew = Crew(valid, tuple(int(member.roadside) for member in team.members))
        for number, layer in enumerate(self.layers, 1):
            tokens = layer(tokens, crew, 1 if number == len(self.layers) else len(tokens))
        return tokens[0].permute(2, 0, 1)


class Layer(nn.Module):
    """Attention over agents, over windows, and a feed-forward network."""

    def __init__(self, width: int) -> None:
        """Untrained layers of `width` channels."""
        super().__init__()
        self.agents, self.windows = AgentAttention(width), PyramidAttention(width)
        self.feed = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, tokens: Tensor, crew: Crew, receivers: int) -> Tensor:
        """The tokens (receivers, H, W, C) of the first agents, of all agents' (N, H, W, C)."""
        tokens = tokens[:receivers] + self.agents(tokens, crew, receivers)
        tokens = tokens + self.windows(tokens)
        result: Tensor = tokens + self.feed(tokens)
        return result


class AgentAttention(nn.Module):
    """Heterogeneous multi-agent self-attention in every cell."""

    def __init__(self, width: int) -> None:
        """Projections per kind, and matrices per pair of kinds and head, as xavier draws them."""
        super().__init__()
        self.heads, self.each = width // AGENT_HEAD_WIDTH, AGENT_HEAD_WIDTH
        self.norm = nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (
            nn.ModuleList(nn.Linear(width, width) for _ in range(KINDS)) for _ in range(4)
        )
        pairs = (KINDS, KINDS, self.heads, self.each, self.each)
        self.compare, self.carry = (nn.Parameter(nn.init.xavier_uniform_(torch.empty(pairs))) for _ in range(2))

    def forward(self, tokens: Tensor, crew: Crew, receivers: int) -> Tensor:
        """What the first agents hear (receivers, H, W, C)."""
        tokens = self.norm(tokens)
        keys = [self._heads(self.key[kind](own)) for kind, own in zip(crew.kinds, tokens, strict=True)]
        values = [self._heads(self.value[kind](own)) for kind, own in zip(crew.kinds, tokens, strict=True)]
        heard = []
        for own, kind in zip(tokens[:receivers], crew.kinds, strict=False):
            query = self._heads(self.query[kind](own))
            asked = [torch.einsum("hwmp,mpq->hwmq", query, self.compare[kind, other]) for other in range(KINDS)]
            scores = [(asked[other] * key).sum(dim=-1) for other, key in zip(crew.kinds, keys, strict=True)]
            masked = torch.stack(scores) / math.sqrt(self.each)
            weights = masked.float().masked_fill(~crew.valid[..., None], -math.inf).softmax(dim=0).to(own)
            told = torch.zeros_like(query)
            for other in sorted(set(crew.kinds)):
                of_kind = [index for index, found in enumerate(crew.kinds) if found == other]
                mixed = sum((weights[index, ..., None] * values[index] for index in of_kind), torch.zeros_like(query))
                told = told + torch.einsum("hwmp,mpc->hwmc", mixed, self.carry[kind, other])
            heard.append(self.out[kind](told.flatten(2)))
        return torch.stack(heard)

    def _heads(self, tokens: Tensor) -> Tensor:
        """(H, W, heads, C / heads)."""
        return tokens.view(*tokens.shape[:-1], self.heads, self.each)


class PyramidAttention(nn.Module):
    """Attention within windows of three sizes, weighted against one another channel by channel (split attention)."""

    def __init__(self, width: int) -> None:
        """Untrained layers of `width` channels."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.scales = nn.ModuleList(
            WindowAttention(width, each, window) for each, window in zip(WINDOW_HEAD_WIDTHS, WINDOWS, strict=True)
        )
        self.squeeze = nn.Sequential(nn.Linear(width, width, bias=False), nn.LayerNorm(width), nn.ReLU())
        self.split = nn.Linear(width, len(WINDOWS) * width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """What each of the tokens (N, H, W, C) hears of its neighbours."""
        tokens = self.norm(tokens)
        heard = [scale(tokens) for scale in self.scales]
        overall = torch.stack([scale.mean(dim=(1, 2)) for scale in heard]).sum(dim=0)
        shares: Tensor = self.split(self.squeeze(overall)).view(len(tokens), len(WINDOWS), -1).softmax(dim=1)
        result = torch.zeros_like(tokens)
        for number, scale in enumerate(heard):
            result = result + scale * shares[:, number, None, None]
        return result


class WindowAttention(nn.Module):
    """Multi-head attention within windows of one size, with a bias by relative position."""

    places: Tensor

    def __init__(self, width: int, each: int, window: int) -> None:
        """Untrained; heads of `each` channels, windows of `window` cells a side."""
        super().__init__()
        self.heads, self.window = width // each, window
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros((2 * window - 1) ** 2))
        at = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        row, column = (at[:, None] - at[:, :, None] + window - 1).unbind()
        self.register_buffer("places", row * (2 * window - 1) + column, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """What each of the tokens (N, H, W, C) hears in its window."""
        agents, height, width, channels = tokens.shape
        side, edges = self.window, (0, 0, 0, -width % self.window, 0, -height % self.window)
        padded = F.pad(tokens, edges)
        rows, columns = padded.shape[1] // side, padded.shape[2] // side
        cut = (agents, rows, side, columns, side)
        parts = self.query_key_value(padded).view(*cut, 3, self.heads, -1).permute(5, 0, 1, 3, 6, 2, 4, 7)
        query, key, value = parts.reshape(3, agents, rows * columns, self.heads, side * side, -1)
        mask = self.bias[self.places]
        if any(edges):
            real = F.pad(torch.ones_like(tokens[:1, :, :, :1], dtype=torch.bool), edges)
            real = real.view(rows, side, columns, side).transpose(1, 2).reshape(rows * columns, 1, 1, side * side)
            mask = mask.masked_fill(~real, -math.inf)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask.to(query))
        back = seen.view(agents, rows, columns, self.heads, side, side, -1).permute(0, 1, 4, 2, 5, 3, 6)
        result: Tensor = self.out(back.reshape(agents, rows * side, columns * side, channels))
        return result[:, :height, :width]


def sinusoids(age_s: Tensor, width: int) -> Tensor:
    """The encoding (N, width) of ages (N,) in seconds: sines and cosines of falling frequency."""
    rate = torch.exp(torch.arange(0, width, 2, device=age_s.device) * (-math.log(10000.0) / width))
    angle = age_s.clamp(min=0.0)[:, None] / AGE_STEP_S * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1) / math.sqrt(width)
