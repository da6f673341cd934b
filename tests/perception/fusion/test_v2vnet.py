"""Message passing: warps between any two agents, rounds, and masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from carla_cp.geometry import matrix_from_pose, relative
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion import Member, Team, ego_member, make_rule, plane_theta, warp
from carla_cp.perception.fusion.v2vnet import GatedUnit, V2vnetFusion
from carla_cp.types import GridSpec, Pose
from tests.perception.fusion.teams import aligned

WIDE = replace(DetectorConfig(), bev_channels=128)


def full_rule(name: str = "v2vnet") -> V2vnetFusion:
    torch.manual_seed(2)
    rule = make_rule(name, WIDE).eval()
    assert isinstance(rule, V2vnetFusion) and rule.coarse is None
    return rule


class Average(nn.Module):
    """Takes the message for the new state."""

    def forward(self, state: torch.Tensor, message: torch.Tensor) -> torch.Tensor:
        return message


def carrying(rule: V2vnetFusion) -> V2vnetFusion:
    """The rule with messages that are the mean of what is known, passed on as they are."""
    with torch.no_grad():
        rule.message.weight.zero_()
        rule.message.bias.zero_()  # type: ignore[union-attr]
        rule.message.weight[:, :128, 1, 1] = torch.eye(128)
        rule.out.weight.copy_(torch.eye(128))
        rule.out.bias.zero_()
    rule.gate = Average()
    return rule


def test_what_only_a_third_agent_knows_reaches_the_ego_through_the_second_at_its_place() -> None:
    grid = GridSpec(half_length_m=12.8, half_width_m=9.6)
    poses = [Pose(), Pose(x=4.0, y=1.0, yaw=0.5), Pose(x=-2.0, y=-2.0, yaw=-1.0)]
    shape = (grid.rows, grid.columns)
    rows, columns = torch.meshgrid(torch.arange(shape[0]), torch.arange(shape[1]), indexing="ij")
    blob = torch.exp(-((rows - 14.0) ** 2 + (columns - 13.0) ** 2) / 18)
    features = torch.zeros((3, 128, *shape))
    features[2, 0] = blob
    members = [ego_member(features[0])]
    for index in (1, 2):
        theta = plane_theta(relative(poses[0], poses[index]), grid)
        members.append(Member(features[index], torch.ones(shape, dtype=torch.bool), theta))
    with torch.no_grad():
        fused = carrying(full_rule())((Team(tuple(members)),))[0][0]
    direct = warp(features[2:], members[2].valid[None], members[2].theta[None])[0][0, 0]
    inner = torch.zeros(shape, dtype=torch.bool)
    inner[8:-8, 8:-8] = True
    assert direct[inner].max() > 0.9
    # Each of the three knows a third of it after a round, wherever its grid covers it.
    torch.testing.assert_close(fused[inner], direct[inner] / 3, atol=0.02, rtol=0)


def test_with_one_grid_for_all_a_round_is_the_mean_over_agents_that_know_a_cell() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.rand((3, 128, 6, 8), generator=generator)
    valid = torch.rand((3, 6, 8), generator=generator) < 0.5
    valid[0] = True
    with torch.no_grad():
        fused = carrying(full_rule())((aligned(features, valid),))[0]
    after_one = (features * valid[:, None]).sum(dim=0) / valid.sum(dim=0)
    torch.testing.assert_close(fused, after_one, atol=1e-5, rtol=1e-5)


def test_the_gated_unit_equals_its_formula_in_one_cell() -> None:
    torch.manual_seed(0)
    unit = GatedUnit(2)
    assert unit.gates.bias is not None and unit.candidate.bias is not None
    state, message = torch.rand((2, 1, 2, 1, 1))
    both = torch.cat([message, state], dim=1).flatten()
    gates = torch.sigmoid(unit.gates.weight[:, :, 1, 1] @ both + unit.gates.bias)
    remembered = torch.cat([message.flatten(), gates[:2] * state.flatten()])
    candidate = torch.tanh(unit.candidate.weight[:, :, 1, 1] @ remembered + unit.candidate.bias)
    expected = (1 - gates[2:]) * state.flatten() + gates[2:] * candidate
    torch.testing.assert_close(unit(state, message).flatten(), expected)


def test_a_closed_gate_keeps_the_ego_s_own_feature() -> None:
    rule = full_rule()
    assert isinstance(rule.gate, GatedUnit)
    with torch.no_grad():
        rule.gate.gates.bias[128:] = -50.0  # type: ignore[index]
        rule.out.weight.copy_(torch.eye(128))
        rule.out.bias.zero_()
        features = torch.rand((2, 128, 6, 8), generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(rule((aligned(features),))[0], features[0])


def test_a_mask_turns_with_its_features() -> None:
    grid = GridSpec()
    theta = plane_theta(matrix_from_pose(Pose(x=30.0, yaw=np.pi)), grid)
    ones = torch.ones((1, 1, grid.rows, grid.columns))
    _, covered = warp(ones, ones[:, 0] > 0, theta[None])
    # A facing agent 30 m ahead covers the ego's grid but for 30 m behind.
    assert abs(covered.float().mean().item() - (1 - 30 / 102.4)) < 0.01


def test_a_small_detector_with_an_odd_map_is_refused() -> None:
    odd = replace(DetectorConfig(), grid=GridSpec(half_length_m=50.8), strides=(2, 1, 1))
    assert odd.grid.columns % 2
    with pytest.raises(ValueError, match="even sides, not 128 x 127"):
        make_rule("v2vnet", odd)
