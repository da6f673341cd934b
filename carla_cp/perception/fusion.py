"""Warps the senders' BEV features into the ego's frame and fuses them.

The element-wise maximum is F-Cooper's (Chen et al., 2019); the residual convolution behind it is ours. A cell that was
not received, or lies outside the sender's grid, takes no part: filling it with zeros would be a statement ("nothing
here") that nobody made.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carla_cp.perception.config import DetectorConfig
from carla_cp.types import FloatArray, GridSpec


def plane_theta(ego_from_sender: FloatArray, grid: GridSpec) -> Tensor:
    """The (2, 3) float32 affine map from the ego's to the sender's normalised plane coordinates."""
    yaw = np.arctan2(ego_from_sender[1, 0], ego_from_sender[0, 0])
    cos, sin = np.cos(yaw), np.sin(yaw)
    rotation = np.array([[cos, sin], [-sin, cos]])
    shift = -rotation @ ego_from_sender[:2, 3] / grid.half_extent_m
    return torch.from_numpy(np.concatenate([rotation, shift[:, None]], axis=1).astype(np.float32))


def warp(features: Tensor, valid: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Features (B, C, H, W) and validity (B, H, W) of senders, resampled in the ego's grid.

    `theta` (B, 2, 3) comes from `plane_theta`. Bilinear over valid cells only; a result is valid where they carry at
    least half of the weight, and zero elsewhere.
    """
    weight = valid[:, None].to(features.dtype)
    where = _sampling_grid(theta.to(features), features.shape[2], features.shape[3])
    carried = F.grid_sample(weight, where, mode="bilinear", padding_mode="zeros", align_corners=False)
    known = torch.where(valid[:, None], features, 0.0)
    sampled = F.grid_sample(known, where, mode="bilinear", padding_mode="zeros", align_corners=False)
    received = carried >= 0.5
    return sampled * torch.where(received, 1.0 / carried.clamp(min=0.5), 0.0), received[:, 0]


def _sampling_grid(theta: Tensor, height: int, width: int) -> Tensor:
    """Where each cell's middle lies in the sender's normalised plane: (B, H, W, 2).

    Term by term instead of F.affine_grid, whose matrix product autocast would round to eight bits.
    """
    x = (2 * torch.arange(width, device=theta.device, dtype=theta.dtype) + 1) / width - 1
    y = ((2 * torch.arange(height, device=theta.device, dtype=theta.dtype) + 1) / height - 1)[:, None]
    return torch.stack(
        [
            row[:, 0, None, None] * x + row[:, 1, None, None] * y + row[:, 2, None, None]
            for row in (theta[:, 0], theta[:, 1])
        ],
        dim=-1,
    )


class Fusion(nn.Module):
    """The ego's feature joined with what was heard."""

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained."""
        super().__init__()
        width = config.bev_channels
        self.mix = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width, eps=1e-3, momentum=0.02)
        )

    def forward(self, joined: Tensor) -> Tensor:
        """The fused feature (B, C, H, W) of the maximum over agents."""
        joined = joined.contiguous(memory_format=torch.channels_last)
        return torch.relu(joined + self.mix(joined))

    def fuse(self, ego: Tensor, others: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """The fused feature (C, H, W) of the ego's (C, H, W) and others' warped (features, valid)."""
        fused: Tensor = self(join(ego, others)[None])[0]
        return fused


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
