"""What rules that compare agents cell by cell start from."""

from __future__ import annotations

import torch
from torch import Tensor

from carla_cp.perception.fusion.team import Team


def zeroed(features: Tensor, valid: Tensor) -> Tensor:
    """Features (N, C, H, W), channels last, with zeros where they are not valid (N, H, W)."""
    # One layout for all agents: arithmetic over two layouts takes ten times as long.
    return torch.where(valid[:, None], features, 0.0).contiguous(memory_format=torch.channels_last)


def known_cells(team: Team) -> tuple[Tensor, Tensor]:
    """Features (N, C, H, W), channels last, and validity (N, H, W) of a team in the ego's grid; zero where invalid."""
    features, valid = team.warped()
    return zeroed(features, valid), valid


def mean_over_agents(features: Tensor, valid: Tensor) -> Tensor:
    """The mean (C, H, W) of features (N, C, H, W) over the agents that are valid (N, H, W) in a cell; zero of none."""
    share = valid / valid.sum(dim=0).clamp(min=1)
    mean: Tensor = (features * share[:, None].to(features)).sum(dim=0)
    return mean
