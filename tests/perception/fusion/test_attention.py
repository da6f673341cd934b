"""Attention over agents, against plain loops."""

from __future__ import annotations

import math

import torch

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion import Member, Team, make_rule
from carla_cp.perception.fusion.attention import attend
from tests.perception.fusion.teams import aligned, frame


def attend_in_loops(features: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """One cell, one agent at a time."""
    agents, channels, rows, columns = features.shape
    result = torch.zeros((channels, rows, columns))
    for row in range(rows):
        for column in range(columns):
            ego = features[0, :, row, column]
            seen = [features[i, :, row, column] for i in range(agents) if valid[i, row, column]]
            weights = [math.exp(float(ego @ other) / math.sqrt(channels)) for other in seen]
            for weight, other in zip(weights, seen, strict=True):
                result[:, row, column] += weight / sum(weights) * other
    return result


def test_attention_equals_plain_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    features = 2 * torch.rand((4, 6, 5, 7), generator=generator)
    valid = torch.rand((4, 5, 7), generator=generator) < 0.6
    valid[0] = True
    torch.testing.assert_close(attend(features, valid), attend_in_loops(features, valid), atol=1e-5, rtol=1e-5)


def test_an_agent_that_is_invalid_everywhere_changes_no_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.rand((2, 32, 6, 9), generator=generator)
    rule = make_rule("attention", DetectorConfig())
    nothing = torch.stack([torch.ones((6, 9), dtype=torch.bool), torch.zeros((6, 9), dtype=torch.bool)])
    assert torch.equal(rule((aligned(features, nothing),))[0], features[0])


def test_an_ego_alone_keeps_its_features_at_every_scale() -> None:
    rule = make_rule("attention", DetectorConfig())
    teams = frame(rule, 0)
    assert len(teams) == 3
    for fused, team in zip(rule(teams), teams, strict=True):
        assert torch.equal(fused, team.members[0].features)


def test_without_a_mask_an_uncovered_cell_counts_as_zeros() -> None:
    features = torch.rand((2, 32, 6, 8), generator=torch.Generator().manual_seed(0))
    ego, other = aligned(features).members
    shifted = Member(other.features, other.valid, torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]))  # by two cells
    rule = make_rule("attention_unmasked", DetectorConfig())
    seen = torch.zeros_like(features)
    seen[0] = features[0]
    seen[1, :, :, :6] = features[1, :, :, 2:]
    everywhere = torch.ones((2, 6, 8), dtype=torch.bool)
    torch.testing.assert_close(rule((Team((ego, shifted)),))[0], attend(seen, everywhere))


def test_large_scores_do_not_overflow() -> None:
    features = torch.full((2, 8, 2, 2), 1e4)
    features[1] = 2e4
    assert torch.equal(attend(features, torch.ones((2, 2, 2), dtype=torch.bool)), features[1])
