"""The plain element-wise maximum, as OpenCOOD's F-Cooper (Chen et al., SEC 2019) and single-agent detectors need it.

Faithful to that code: the maximum over agents of the BEV features, with nothing behind it but the head; an agent alone
keeps its feature. For weights that were trained so; `maximum.py` has the convolution that ours are trained with.
"""

from __future__ import annotations

from torch import Tensor

from carla_cp.perception.fusion.maximum import join
from carla_cp.perception.fusion.team import FusionRule, Team


class FCooperFusion(FusionRule):
    """The maximum over the ego and the valid cells of the others; nothing to train."""

    def forward(self, teams: tuple[Team, ...]) -> tuple[Tensor, ...]:
        """The fused feature (C, H, W) of each team."""
        return tuple(join(team.members[0].features, team.others()) for team in teams)
