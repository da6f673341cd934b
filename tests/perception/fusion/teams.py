"""Small made-up teams for the tests of fusion rules."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion import FusionRule, Member, Team, ego_member
from carla_cp.perception.fusion.team import IDENTITY

BEV_SHAPE = (20, 28)  # rows and columns differ; the coarser scales are no whole windows


def facing(turn: float, forward: float, right: float) -> Tensor:
    """A (2, 3) map of normalised plane coordinates: a turn and a shift."""
    cos, sin = torch.cos(torch.tensor(turn)), torch.sin(torch.tensor(turn))
    return torch.stack([torch.stack([cos, sin, torch.tensor(forward)]), torch.stack([-sin, cos, torch.tensor(right)])])


def frame(
    rule: FusionRule, others: int, seed: int = 0, shape: tuple[int, int] = BEV_SHAPE, garbage: float | None = None
) -> tuple[Team, ...]:
    """A frame's teams as `rule` takes them; `garbage` fills the cells that are invalid."""
    generator = torch.Generator().manual_seed(seed)
    heats = torch.rand((1 + others, *shape), generator=generator)
    turns = 0.6 * torch.rand((others, 3), generator=generator) - 0.3
    teams = []
    for scale, width in enumerate(rule.widths):
        rows, columns = -(-shape[0] // 2**scale), -(-shape[1] // 2**scale)
        features = torch.rand((1 + others, width, rows, columns), generator=generator)
        valid = torch.rand((others, rows, columns), generator=generator) < 0.7
        members = [ego_member(features[0], heats[0])]
        for index in range(others):
            own = features[1 + index]
            if garbage is not None:
                own = torch.where(valid[index], own, garbage)
            theta = facing(*turns[index].tolist())
            members.append(
                Member(own, valid[index], theta, heats[1 + index], roadside=index % 2 == 1, age_s=0.1 * index)
            )
        teams.append(Team(tuple(members)))
    return tuple(teams)


def reordered(teams: tuple[Team, ...], order: Sequence[int]) -> tuple[Team, ...]:
    """The same teams with the other agents in another order."""
    return tuple(Team((team.members[0], *(team.members[1 + index] for index in order))) for team in teams)


def aligned(features: Tensor, valid: Tensor | None = None) -> Team:
    """A team (N, C, H, W) whose agents all use the ego's grid, all of it valid but for `valid` (N, H, W)."""
    everywhere = torch.ones((len(features), *features.shape[2:]), dtype=torch.bool)
    masks = everywhere if valid is None else valid
    others = [Member(own, mask, IDENTITY, moved=(own, mask)) for own, mask in zip(features[1:], masks[1:], strict=True)]
    return Team((ego_member(features[0]), *others))


def small() -> DetectorConfig:
    """The default detector's widths."""
    return DetectorConfig()
