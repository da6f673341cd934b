"""What a fusion rule gets: the same stage of every agent of one frame, and how their grids lie to one another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion.warp import warp
from carla_cp.types import AgentName, Detections, FloatArray, GridSpec

IDENTITY = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One agent's part in a fusion, in its own grid."""

    features: Tensor  # (C, H, W), >= 0
    valid: Tensor  # (H, W) bool; an invalid cell takes no part
    theta: Tensor  # (2, 3) of `plane_theta`: the ego's to this agent's normalised plane coordinates
    heat: Tensor | None = None  # (rows, columns) of the BEV cells in [0, 1]: how sure the agent by itself is of objects
    roadside: bool = False  # an RSU
    age_s: float = 0.0  # of its sweep
    moved: tuple[Tensor, Tensor] | None = None  # features and validity in the ego's grid, where they are known already

    def in_ego_grid(self) -> tuple[Tensor, Tensor]:
        """Features (C, H, W) and validity (H, W) resampled in the ego's grid."""
        if self.moved is not None:
            return self.moved
        features, valid = warp(self.features[None], self.valid[None], self.theta[None])
        return features[0], valid[0]


def is_roadside(agent: AgentName) -> bool:
    """RSUs have negative numbers, as in V2XSet."""
    return agent.startswith("-")


def ego_member(features: Tensor, heat: Tensor | None = None) -> Member:
    """The ego: everything valid, nothing to resample."""
    valid = torch.ones(features.shape[1:], dtype=torch.bool, device=features.device)
    return Member(features, valid, IDENTITY.to(features), heat, moved=(features, valid))


@dataclass(frozen=True, slots=True, eq=False)
class Team:
    """All agents of one frame at one stage, the ego first."""

    members: tuple[Member, ...]

    @property
    def features(self) -> Tensor:
        """(N, C, H, W), each in its own grid."""
        return torch.stack([member.features for member in self.members])

    @property
    def valid(self) -> Tensor:
        """(N, H, W) bool, each in its own grid; true everywhere for the ego."""
        return torch.stack([member.valid for member in self.members])

    @property
    def theta(self) -> Tensor:
        """(N, 2, 3): the ego's to each agent's normalised plane coordinates."""
        return torch.stack([member.theta for member in self.members])

    @property
    def heat(self) -> Tensor:
        """(N, rows, columns) in [0, 1], each in its own grid, at any scale. Raises ValueError if one is missing."""
        maps = [member.heat for member in self.members if member.heat is not None]
        if len(maps) != len(self.members):
            raise ValueError("a rule that reads heat must say so: set `asks_heat`")
        return torch.stack(maps)

    @property
    def roadside(self) -> Tensor:
        """(N,) bool: the RSUs."""
        return torch.tensor([member.roadside for member in self.members], device=self.members[0].features.device)

    @property
    def age_s(self) -> Tensor:
        """(N,) float32: seconds since each agent's sweep."""
        return torch.tensor([member.age_s for member in self.members], device=self.members[0].features.device)

    def others(self) -> list[tuple[Tensor, Tensor]]:
        """Features (C, H, W) and validity (H, W) of everyone but the ego, in the ego's grid."""
        return [member.in_ego_grid() for member in self.members[1:]]

    def warped(self) -> tuple[Tensor, Tensor]:
        """Features (N, C, H, W) and validity (N, H, W) of everyone, in the ego's grid."""
        features, valid = zip(*(member.in_ego_grid() for member in self.members), strict=True)
        return torch.stack(features), torch.stack(valid)


def side_by_side(ego: Sequence[Member], others: Sequence[Sequence[Member]]) -> tuple[Team, ...]:
    """One team per scale of the ego's members and each sender's."""
    return tuple(Team((own, *heard)) for own, *heard in zip(ego, *others, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What one agent by itself makes of its features."""

    ego_from_agent: FloatArray  # (4, 4), as believed
    bev: Tensor  # (C_bev, rows, columns) in its own grid
    found: Detections  # the boxes that the head reads from `bev`, in its own frame


class FusionRule(nn.Module):
    """How the features of a team become one; every rule lies in a file of its own."""

    scales: ClassVar[bool] = False  # takes every scale of the backbone; otherwise the BEV feature alone
    asks_heat: ClassVar[bool] = False
    aligns: ClassVar[bool] = False  # corrects believed poses by what agents see, before anything is resampled

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the widths of `config.filters` (one per scale) or `config.bev_channels`, untrained."""
        super().__init__()
        self.widths: Sequence[int] = config.filters if self.scales else (config.bev_channels,)

    def corrected_poses(self, sights: Sequence[Sight], grid: GridSpec) -> tuple[FloatArray, ...]:
        """The matrices ego_from_agent (4, 4) to fuse with, the ego's first; only rules that align change any."""
        return tuple(sight.ego_from_agent for sight in sights)

    @abstractmethod
    def forward(self, teams: tuple[Team, ...]) -> tuple[Tensor, ...]:
        """The fused feature (C, H, W) of each given team, one per scale; an ego alone is a team too."""
