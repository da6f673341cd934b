"""InfoCom's three networks: information-aware encoder, sparse mask generator, multi-scale decoder.

See `infocom.py` for the paper and for what differs from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carla_cp.codecs.infocom_symbols import LEVELS


@dataclass(frozen=True, slots=True)
class InfocomConfig:
    """Sizes; the defaults are what is trained here."""

    channels: int = 32  # of the pillar map
    pool: int = 2  # mask network and decoder work on pillars folded pool x pool into channels
    encoder_pool: int = 4
    encoder: tuple[int, ...] = (32, 16, 8)  # the first at stride 1, the others at stride 2
    encoder_blocks: int = 1  # residual blocks per entry
    encoder_side: int = 16
    latent: int = 256
    branches: tuple[int, ...] = (16, 8, 8)  # channels of the 3x3, 5x5 and 7x7 branch
    stem: int = 16
    content: int = 2  # 4-bit channels of a kept pillar beside its rating
    seed_channels: int = 4
    decoder: tuple[int, ...] = (32, 32, 32)  # channels behind each doubling
    refine: int = 48

    @property
    def extent(self) -> int:
        """Pillars along a side of one cell of the seed grid; every map is padded to a multiple of it."""
        return self.pool << len(self.decoder)


# The paper's own widths on a square grid; its first linear layer of the decoder alone has 67 M weights here.
PAPER = InfocomConfig(
    channels=64,
    pool=1,
    encoder_pool=1,
    encoder_blocks=2,
    encoder_side=32,
    branches=(32, 16, 16),
    stem=64,
    content=0,
    seed_channels=256,
    decoder=(128, 128, 64),
    refine=64,
)


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.05)


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), _norm(outputs), nn.ELU(inplace=True)
        )
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), _norm(outputs))
        same = inputs == outputs and stride == 1
        self.skip = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, value: Tensor) -> Tensor:
        return F.elu(self.second(self.first(value)) + self.skip(value))


class InformationEncoder(nn.Module):
    """Pillars (B, C, H, W) to mean and standard deviation of the latent, (B, latent) each."""

    def __init__(self, config: InfocomConfig) -> None:
        super().__init__()
        self.config = config
        blocks: list[nn.Module] = []
        width = config.channels
        for stage, outputs in enumerate(config.encoder):
            for block in range(config.encoder_blocks):
                blocks.append(_Residual(width, outputs, 2 if stage and not block else 1))
                width = outputs
        self.blocks = nn.Sequential(*blocks)
        self.shrink = nn.Linear(width * config.encoder_side**2, config.latent)
        self.mean, self.spread = nn.Linear(config.latent, config.latent), nn.Linear(config.latent, config.latent)

    def forward(self, pillars: Tensor) -> tuple[Tensor, Tensor]:
        value = _pooled(pillars, self.config.encoder_pool)
        value = F.adaptive_max_pool2d(self.blocks(torch.sigmoid(value)), self.config.encoder_side)
        flat = F.elu(self.shrink(value.flatten(1)))
        return self.mean(flat).float(), F.softplus(self.spread(flat)).float().clamp(min=1e-6)


def _pooled(maps: Tensor, pool: int) -> Tensor:
    """The maximum over squares of `pool` cells, a power of two; far faster on CPU than max pooling."""
    while pool > 1:
        maps = torch.maximum(maps[:, :, ::2], maps[:, :, 1::2])
        maps = torch.maximum(maps[..., ::2], maps[..., 1::2])
        pool //= 2
    return maps


class MaskNet(nn.Module):
    """Pillars (B, C, H, W) and their use (B, 1, H, W) to rating and content of each, (B, 1 + content, H, W).

    All are in [0, 1].
    """

    def __init__(self, config: InfocomConfig) -> None:
        super().__init__()
        folded = config.stem * config.pool**2
        inner = max(config.stem, 16)
        self.stem = nn.Sequential(nn.Conv2d(config.channels, config.stem, 1), nn.ReLU())
        self.fold = nn.PixelUnshuffle(config.pool)
        self.mix = nn.Sequential(nn.Conv2d(folded, inner, 1), nn.ReLU())
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inner, width, size, padding=size // 2, bias=False), _norm(width), nn.ReLU())
            for width, size in zip(config.branches, (3, 5, 7), strict=True)
        )
        total = sum(config.branches) + folded + config.pool**2
        outputs = (1 + config.content) * config.pool**2
        self.out = nn.Sequential(nn.Conv2d(total, 48, 1), nn.ReLU(), nn.Conv2d(48, outputs, 1))
        self.unfold = nn.PixelShuffle(config.pool)

    def forward(self, pillars: Tensor, useful: Tensor) -> Tensor:
        folded = self.fold(self.stem(pillars))
        mixed = self.mix(folded)
        wide = torch.cat([folded, self.fold(useful), *(branch(mixed) for branch in self.branches)], dim=1)
        # Starting from where points fell on what the sender takes for objects spares the training to find both.
        start = 4.0 * (pillars.amax(dim=1, keepdim=True) > 0) + 4.0 * useful.clamp(max=1.0) - 8.0
        rating, content = self.unfold(self.out(wide)).float().tensor_split([1], dim=1)
        return torch.sigmoid(torch.cat([rating + start, content], dim=1))


def mask_sent(steps: Tensor, chosen: Tensor, channels: int) -> Tensor:
    """What the decoder sees (B, 1 + content, H, W): ratings from 0, content around 0; 0 where nothing was sent."""
    content = steps[:, 1:] * (2 / LEVELS) - 1
    content = torch.cat([content[:, :channels], torch.zeros_like(content[:, channels:])], dim=1)
    return torch.cat([steps[:, :1] / LEVELS, content], dim=1) * chosen


class MaskDecoder(nn.Module):
    """Latent (B, latent) and mask (B, 1 + content, H, W) to pillars (B, C, H, W), >= 0.

    H and W are those of a seed grid, `rows` x `columns`, times the configuration's extent.
    """

    def __init__(self, config: InfocomConfig, rows: int, columns: int) -> None:
        super().__init__()
        self.shape = (config.seed_channels, rows, columns)
        self.seed = nn.Linear(config.latent, config.seed_channels * rows * columns)
        self.fold = nn.PixelUnshuffle(config.pool)
        finest = config.decoder[-1]
        self.look = nn.Sequential(
            nn.Conv2d((1 + config.content) * config.pool**2, finest, 3, 1, 1, bias=False),
            _norm(finest),
            nn.ELU(inplace=True),
        )
        self.looks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(finest, finest, 3, 2, 1, bias=False), _norm(finest), nn.ELU(inplace=True))
            for _ in config.decoder[1:]
        )
        widths = (config.seed_channels, *config.decoder)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), _norm(after), nn.ELU(inplace=True))
            for before, after in pairwise(widths)
        )
        self.gates = nn.ModuleList(nn.Conv2d(finest, 2 * width, 1) for width in config.decoder)
        self.refine = nn.Sequential(
            nn.Conv2d(finest, config.refine, 3, 1, 1, bias=False),
            _norm(config.refine),
            nn.ELU(inplace=True),
            nn.Conv2d(config.refine, config.refine, 3, 1, 1, bias=False),
            _norm(config.refine),
            nn.ELU(inplace=True),
            nn.Conv2d(config.refine, config.channels * config.pool**2, 1),
        )
        self.unfold = nn.PixelShuffle(config.pool)

    def forward(self, latent: Tensor, mask: Tensor) -> Tensor:
        return self.rebuild(self.seeds(latent), mask)

    def seeds(self, latent: Tensor) -> Tensor:
        """The seed grids (B, seed_channels, rows, columns)."""
        return torch.as_tensor(self.seed(latent)).view(-1, *self.shape)

    def rebuild(self, seeds: Tensor, mask: Tensor) -> Tensor:
        """Pillars of seed grids and mask, whole or any part of both that fits together."""
        looks = [self.look(self.fold(mask).contiguous(memory_format=torch.channels_last))]
        for look in self.looks:
            looks.append(look(looks[-1]))
        value = seeds.contiguous(memory_format=torch.channels_last)
        for up, gate, seen in zip(self.ups, self.gates, reversed(looks), strict=True):
            gain, shift = gate(seen).chunk(2, dim=1)
            value = up(value) * (1 + gain) + shift
        return torch.relu(self.unfold(self.refine(value)))
