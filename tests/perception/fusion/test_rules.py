"""What every fusion rule must keep."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion import RULES, FusionRule, Team, make_rule
from tests.perception.fusion.teams import frame, reordered


@pytest.fixture(params=sorted(RULES))
def rule(request: pytest.FixtureRequest) -> FusionRule:
    """Every rule, with weights that are no longer those it starts with."""
    torch.manual_seed(1)
    made = make_rule(request.param, DetectorConfig())
    for parameter in made.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    return made.eval()


def fuse(rule: FusionRule, teams: tuple[Team, ...]) -> tuple[Tensor, ...]:
    with torch.no_grad():
        fused: tuple[Tensor, ...] = rule(teams)
    return fused


def test_a_fused_feature_has_the_ego_s_shape_however_many_agents_there_are(rule: FusionRule) -> None:
    for others in (0, 1, 3):
        teams = frame(rule, others)
        for fused, team in zip(fuse(rule, teams), teams, strict=True):
            assert fused.shape == team.members[0].features.shape
            assert torch.isfinite(fused).all()


def test_the_same_frame_gives_the_same_bits(rule: FusionRule) -> None:
    for first, second in zip(fuse(rule, frame(rule, 2)), fuse(rule, frame(rule, 2)), strict=True):
        assert torch.equal(first, second)


def test_the_order_of_the_other_agents_does_not_matter(rule: FusionRule) -> None:
    teams = frame(rule, 3)
    for first, second in zip(fuse(rule, teams), fuse(rule, reordered(teams, (2, 0, 1))), strict=True):
        torch.testing.assert_close(first, second, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("garbage", [math.nan, 1e30])
def test_what_lies_in_invalid_cells_does_not_matter(rule: FusionRule, garbage: float) -> None:
    clean, dirty = fuse(rule, frame(rule, 2)), fuse(rule, frame(rule, 2, garbage=garbage))
    for first, second in zip(clean, dirty, strict=True):
        torch.testing.assert_close(first, second, atol=0, rtol=0)


def test_what_another_agent_sends_matters(rule: FusionRule) -> None:
    teams = frame(rule, 2)
    alone = tuple(Team(team.members[:1]) for team in teams)
    for first, second in zip(fuse(rule, teams), fuse(rule, alone), strict=True):
        assert (first - second).abs().max() > 1e-3


def test_gradients_reach_every_parameter_and_every_agent(rule: FusionRule) -> None:
    teams = frame(rule, 2)
    for team in teams:
        for member in team.members:
            member.features.requires_grad_()
    roadside = tuple(Team((replace(team.members[0], roadside=True), *team.members[1:])) for team in teams)
    generator = torch.Generator().manual_seed(5)
    fused = (*rule.train()(teams), *rule(roadside))
    loss = sum((torch.rand(scale.shape, generator=generator) * scale).sum() for scale in fused)
    assert isinstance(loss, Tensor)
    loss.backward()  # type: ignore[no-untyped-call]
    for name, parameter in rule.named_parameters():
        if name.startswith("spread."):
            continue  # has a loss of its own
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    for team in teams:
        for member in team.members:
            assert member.features.grad is not None and member.features.grad.abs().max() > 0


def test_half_precision_changes_little(rule: FusionRule) -> None:
    teams = frame(rule, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        halved = fuse(rule, teams)
    for first, second in zip(fuse(rule, teams), halved, strict=True):
        assert (first - second).abs().max() < 0.03 * first.abs().max()


def test_an_unknown_rule_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no fusion rule 'mean'; choose one of max"):
        make_rule("mean", DetectorConfig())
