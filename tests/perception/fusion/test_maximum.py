"""The maximum over agents, against plain loops."""

from __future__ import annotations

import torch

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion import Member, Team, ego_member, make_rule
from carla_cp.perception.fusion.maximum import join
from carla_cp.perception.fusion.team import IDENTITY


def test_joining_is_the_maximum_over_valid_cells_in_any_order() -> None:
    ego, one, two = torch.rand((3, 4, 8, 8), generator=torch.Generator().manual_seed(2))
    first, second = torch.rand((2, 8, 8), generator=torch.Generator().manual_seed(3)) < 0.5
    expected = ego.clone()
    for feature, mask in ((one, first), (two, second)):
        for row in range(8):
            for column in range(8):
                if mask[row, column]:
                    expected[:, row, column] = torch.maximum(expected[:, row, column], feature[:, row, column])
    torch.testing.assert_close(join(ego, [(one, first), (two, second)]), expected, atol=0, rtol=0)
    torch.testing.assert_close(join(ego, [(two, second), (one, first)]), expected, atol=0, rtol=0)


def test_fusing_with_nothing_valid_is_the_ego_alone() -> None:
    torch.manual_seed(0)
    rule = make_rule("max", DetectorConfig()).eval()
    ego, other = torch.rand((2, 64, 16, 16))
    nothing = torch.zeros((16, 16), dtype=torch.bool)

    def fused(*others: Member) -> torch.Tensor:
        with torch.no_grad():
            return rule((Team((ego_member(ego), *others)),))[0]  # type: ignore[no-any-return]

    assert torch.equal(fused(Member(other, nothing, IDENTITY)), fused())
    assert not torch.equal(fused(Member(other, ~nothing, IDENTITY)), fused())
