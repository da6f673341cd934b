"""Confidence-aware attention: what confidence does to the weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion import Team
from carla_cp.perception.fusion.attention import attend
from carla_cp.perception.fusion.where2comm import HEADS, ConfidentAttention, Where2commFusion
from tests.perception.fusion.teams import aligned


def confident(team: Team, heats: torch.Tensor) -> Team:
    """The team with these confidences (N, rows, columns)."""
    return Team(tuple(replace(member, heat=heat) for member, heat in zip(team.members, heats, strict=True)))


def fused(level: ConfidentAttention, features: torch.Tensor, confidence: torch.Tensor) -> torch.Tensor:
    valid = torch.ones((len(features), *features.shape[2:]), dtype=torch.bool)
    with torch.no_grad():
        result: torch.Tensor = level(features, valid, confidence)
    return result


def test_a_fresh_rule_is_attention_per_head_weighted_by_confidence() -> None:
    generator = torch.Generator().manual_seed(0)
    features, confidence = torch.rand((3, 8, 4, 5), generator=generator), torch.rand((3, 4, 5), generator=generator)
    expected = torch.zeros((8, 4, 5))
    each = 8 // HEADS
    for head in range(HEADS):
        part = slice(head * each, (head + 1) * each)
        for row in range(4):
            for column in range(5):
                cell = features[:, part, row, column]
                weights = torch.exp(cell @ cell[0] / each**0.5) * confidence[:, row, column].clamp(min=1e-3)
                expected[part, row, column] = (weights / weights.sum()) @ cell
    torch.testing.assert_close(fused(ConfidentAttention(8), features, confidence), expected, atol=1e-5, rtol=1e-5)


def test_equal_confidence_over_all_agents_has_no_effect() -> None:
    features = torch.rand((3, 8, 4, 5), generator=torch.Generator().manual_seed(0))
    level = ConfidentAttention(8)
    low, high = torch.full((3, 4, 5), 0.01), torch.full((3, 4, 5), 0.9)
    torch.testing.assert_close(fused(level, features, low), fused(level, features, high))


def test_the_surer_agent_wins_a_cell() -> None:
    features = torch.rand((2, 8, 4, 5), generator=torch.Generator().manual_seed(0))
    unsure_ego = torch.stack([torch.full((4, 5), 1e-3), torch.full((4, 5), 1.0)])
    result = fused(ConfidentAttention(8), features, unsure_ego)
    valid = torch.ones((2, 4, 5), dtype=torch.bool)
    assert (result - features[1]).abs().max() < 0.02
    assert (attend(features, valid) - features[1]).abs().max() > 0.2


def test_confidence_is_warped_as_the_features_are() -> None:
    rule = Where2commFusion(DetectorConfig())
    other = torch.zeros((1, 16, 16))
    other[0, 4, 4] = 1.0
    half_turn = torch.tensor([[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    teams = []
    for scale, width in enumerate(rule.widths):
        side = 16 >> scale
        features = torch.stack([torch.zeros((width, side, side)), torch.ones((width, side, side))])
        team = confident(aligned(features), torch.cat([torch.full((1, 16, 16), 0.5), other]))
        turned = replace(team.members[1], theta=half_turn)
        teams.append(Team((team.members[0], turned)))
    with torch.no_grad():
        won = [scale[0] for scale in rule(tuple(teams))]
    for scale, weight in enumerate(won):
        assert divmod(int(weight.argmax()), 16 >> scale) == (11 >> scale, 11 >> scale)


def test_widths_that_the_heads_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match=f"{HEADS} heads divide, not 30"):
        Where2commFusion(replace(DetectorConfig(), filters=(30, 64, 64)))


def test_missing_heat_is_an_error() -> None:
    rule = Where2commFusion(DetectorConfig())
    teams = tuple(aligned(torch.rand((2, width, 8, 8))) for width in rule.widths)
    with pytest.raises(ValueError, match="asks_heat"):
        rule(teams)
