"""The networks of dense_sparse: its quantisers, and what brings features to them and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carla_cp.codecs.rvq import nearest


@dataclass(frozen=True, slots=True)
class DenseSparseConfig:
    """Sizes; the defaults are what is trained here."""

    channels: int = 64
    width: int = 24  # of what is quantised
    code_width: int = 64  # d, of the frozen codes
    codes: int = 64  # K
    stages: int = 6  # of a fine token, at most
    stride: int = 4  # cells along a coarse token
    patch: int = 2  # cells along a patch
    wide: int = 16  # cells along a patch of the paper
    hidden: int = 32


class SimVq(nn.Module):
    """Residual stages of SimVQ: frozen random codes, moved all together by a learnt linear map (Zhu et al., 2024)."""

    def __init__(self, stages: int, codes: int, code_width: int, width: int) -> None:
        super().__init__()
        self.frozen: Tensor
        self.register_buffer("frozen", (torch.randn(stages, codes, code_width) * code_width**-0.5).half().float())
        self.maps = nn.Parameter(torch.randn(stages, code_width, width) * 0.1)

    def books(self) -> Tensor:
        """(stages, codes, width)"""
        return torch.bmm(self.frozen, self.maps)

    def search(self, vectors: Tensor, stages: int) -> tuple[Tensor, Tensor]:
        """Of vectors (N, width): indices (stages, N), and the squared distance that each stage leaves (stages, N)."""
        residual, found, left = vectors, [], []
        for book in self.books()[:stages]:
            found.append(nearest(residual, book))
            residual = residual - book[found[-1]]
            left.append(residual.square().sum(1))
        return torch.stack(found), torch.stack(left)

    def look_up(self, indices: Tensor, depth: Tensor) -> Tensor:
        """The sums (N, width) of the first `depth` (N,) codes that indices (stages, N) stand for."""
        total = torch.zeros(indices.shape[1], self.maps.shape[2], device=indices.device)
        for stage, (book, index) in enumerate(zip(self.books(), indices, strict=False)):
            total = total + book[index] * (depth > stage)[:, None]
        return total


class FineNet(nn.Module):
    """Features to what is quantised cell by cell, and back by what was sent of the cells around as well."""

    def __init__(self, config: DenseSparseConfig) -> None:
        super().__init__()
        channels, width = config.channels, config.width
        self.stages = config.stages
        self.down = nn.Sequential(nn.Conv2d(channels, 48, 1), nn.ReLU(), nn.Conv2d(48, width, 1))
        self.up = nn.Sequential(nn.Conv2d(width, channels, 1), nn.ReLU(), nn.Conv2d(channels, channels, 1))
        self.around = nn.Sequential(nn.Conv2d(width + 1, 48, 3, padding=1), nn.ReLU(), nn.Conv2d(48, channels, 1))
        nn.init.zeros_(self.around[2].weight)  # type: ignore[arg-type]

    def expand(self, coded: Tensor, depth: Tensor) -> Tensor:
        """Features (B, C, H, W) of vectors (B, width, H, W) of so many stages (B, H, W); 0 where that is 0."""
        coded = coded.contiguous()  # another memory layout may round otherwise
        sent = (depth > 0)[:, None]
        known = torch.cat([coded * sent, depth[:, None] / self.stages], 1)
        features: Tensor = torch.relu(self.up(coded) + self.around(known)) * sent
        return features


class CoarseNet(nn.Module):
    """Features to one vector per `stride` x `stride` cells, by average pooling, and back to all of these cells."""

    def __init__(self, config: DenseSparseConfig) -> None:
        super().__init__()
        self.stride = config.stride
        hidden = config.hidden
        self.lift = nn.Sequential(nn.Conv2d(config.channels, hidden, 1), nn.ReLU())
        self.down = nn.Conv2d(hidden, config.width, 1)
        self.spread = nn.Sequential(
            nn.Conv2d(config.width, 2 * hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * hidden, hidden * config.stride**2, 1),
            nn.PixelShuffle(config.stride),
            nn.ReLU(),
        )
        self.out = nn.Conv2d(hidden, config.channels + 1, 1)

    def shrink(self, features: Tensor) -> Tensor:
        """(B, width, H / stride, W / stride)"""
        shrunk: Tensor = self.down(F.avg_pool2d(self.lift(features), self.stride))
        return shrunk

    def expand(self, coded: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, C, H, W), and a logit (B, H, W) of whether a cell's are of use."""
        both = self.out(self.spread(coded.contiguous()))
        return torch.relu(both[:, :-1]), both[:, -1]
