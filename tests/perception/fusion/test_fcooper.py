"""The plain maximum."""

from __future__ import annotations

import torch

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion.fcooper import FCooperFusion
from tests.perception.fusion.teams import aligned


def test_it_is_the_maximum_over_agents_where_they_are_valid() -> None:
    rule = FCooperFusion(DetectorConfig())
    assert not list(rule.parameters())
    features = torch.rand((3, 64, 4, 6), generator=torch.Generator().manual_seed(1))
    valid = torch.ones((3, 4, 6), dtype=torch.bool)
    valid[1, :2], valid[2, 1:] = False, False
    (fused,) = rule((aligned(features, valid),))
    expected = torch.where(valid[:, None], features, 0.0).amax(dim=0)
    torch.testing.assert_close(fused, expected, rtol=0, atol=0)


def test_an_agent_alone_keeps_its_feature() -> None:
    features = torch.rand((1, 64, 4, 6))
    (fused,) = FCooperFusion(DetectorConfig())((aligned(features),))
    assert torch.equal(fused, features[0])
