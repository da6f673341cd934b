"""Resamples one agent's map in another's grid.

A cell that was not received, or lies outside the sender's grid, stays invalid: filling it with zeros would be a
statement ("nothing here") that nobody made.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from carla_cp.types import FloatArray, GridSpec


def plane_theta(ego_from_sender: FloatArray, grid: GridSpec) -> Tensor:
    """The (2, 3) float32 affine map from the ego's to the sender's normalised plane coordinates."""
    yaw = np.arctan2(ego_from_sender[1, 0], ego_from_sender[0, 0])
    cos, sin = np.cos(yaw), np.sin(yaw)
    rotation = np.array([[cos, sin], [-sin, cos]])
    half = np.array([grid.half_length_m, grid.half_width_m])
    shift = -rotation @ ego_from_sender[:2, 3] / half
    rotation = rotation * half / half[:, None]
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


def resample(features: Tensor, theta: Tensor) -> Tensor:
    """Features (B, C, H, W) of senders in the ego's grid, bilinear, with zeros around each sender's own grid."""
    where = _sampling_grid(theta.to(features), features.shape[2], features.shape[3])
    return F.grid_sample(features, where, mode="bilinear", padding_mode="zeros", align_corners=False)


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
