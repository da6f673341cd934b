"""Fusion of what several agents see: one file per rule over the same detector, and the table of their names."""

from __future__ import annotations

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion.attention import AttentionFusion, UnmaskedAttentionFusion
from carla_cp.perception.fusion.coalign import CoalignFusion
from carla_cp.perception.fusion.cobevt import CobevtFusion, PaddedCobevtFusion
from carla_cp.perception.fusion.fcooper import FCooperFusion
from carla_cp.perception.fusion.maximum import MaxFusion
from carla_cp.perception.fusion.team import FusionRule, Member, Sight, Team, ego_member, is_roadside
from carla_cp.perception.fusion.turn import Turn
from carla_cp.perception.fusion.v2vnet import MemorylessV2vnetFusion, V2vnetFusion
from carla_cp.perception.fusion.v2xvit import V2xvitFusion
from carla_cp.perception.fusion.warp import plane_theta, warp
from carla_cp.perception.fusion.where2comm import Where2commFusion

__all__ = [
    "RULES",
    "FusionRule",
    "Member",
    "Sight",
    "Team",
    "Turn",
    "ego_member",
    "is_roadside",
    "make_rule",
    "plane_theta",
    "warp",
]

RULES: dict[str, type[FusionRule]] = {
    "max": MaxFusion,
    "fcooper": FCooperFusion,
    "attention": AttentionFusion,
    "attention_unmasked": UnmaskedAttentionFusion,
    "where2comm": Where2commFusion,
    "coalign": CoalignFusion,
    "cobevt": CobevtFusion,
    "cobevt_padded": PaddedCobevtFusion,
    "v2vnet": V2vnetFusion,
    "v2vnet_memoryless": MemorylessV2vnetFusion,
    "v2xvit": V2xvitFusion,
}


def make_rule(name: str, config: DetectorConfig) -> FusionRule:
    """The untrained rule of that name. Raises ValueError naming those there are."""
    if name not in RULES:
        raise ValueError(f"there is no fusion rule {name!r}; choose one of {', '.join(RULES)}")
    return RULES[name](config)
