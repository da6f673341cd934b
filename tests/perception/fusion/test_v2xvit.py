"""The vehicle-to-everything transformer, its parts against plain loops."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion import Team, make_rule
from carla_cp.perception.fusion.v2xvit import (
    AgentAttention,
    Crew,
    PyramidAttention,
    V2xvitFusion,
    WindowAttention,
    sinusoids,
)
from tests.perception.fusion.teams import aligned


def test_attention_over_agents_equals_plain_loops() -> None:
    torch.manual_seed(0)
    attention = AgentAttention(64)
    kinds, tokens = (0, 1, 0), torch.rand((3, 2, 3, 64))
    valid = torch.tensor([[[1, 1, 1], [1, 1, 1]], [[1, 0, 1], [0, 1, 1]], [[0, 0, 1], [1, 1, 1]]]).bool()
    with torch.no_grad():
        heard = attention(tokens, Crew(valid, kinds), 2)
        normed = attention.norm(tokens)
        for agent in range(2):
            for row in range(2):
                for column in range(3):
                    parts = []
                    for head in range(2):
                        part, kind = slice(32 * head, 32 * head + 32), kinds[agent]
                        query = attention.query[kind](normed[agent, row, column])[part]
                        weights, told = [], []
                        for other in range(3):
                            if valid[other, row, column]:
                                token, pair = normed[other, row, column], (kind, kinds[other], head)
                                key = attention.key[kinds[other]](token)[part]
                                weights.append(math.exp(float(query @ attention.compare[pair] @ key) / math.sqrt(32)))
                                told.append(attention.value[kinds[other]](token)[part] @ attention.carry[pair])
                        mixed = [weight / sum(weights) * what for weight, what in zip(weights, told, strict=True)]
                        parts.append(torch.stack(mixed).sum(dim=0))
                    expected = attention.out[kinds[agent]](torch.cat(parts))
                    torch.testing.assert_close(heard[agent, row, column], expected, atol=1e-5, rtol=1e-4)


def test_window_attention_equals_plain_loops_on_a_map_that_is_no_whole_window() -> None:
    torch.manual_seed(0)
    attention = WindowAttention(32, each=16, window=4)
    attention.bias.data = torch.randn(49)
    tokens = torch.rand((1, 6, 5, 32))
    with torch.no_grad():
        heard = attention(tokens)[0]
        query, key, value = attention.query_key_value(tokens[0]).chunk(3, dim=-1)
        for row in range(6):
            for column in range(5):
                rows = range(row - row % 4, min(row - row % 4 + 4, 6))
                columns = range(column - column % 4, min(column - column % 4 + 4, 5))
                parts = []
                for head in range(2):
                    part = slice(16 * head, 16 * head + 16)
                    seen = [
                        (
                            query[row, column, part] @ key[y, x, part] / 4
                            + attention.bias[(y - row + 3) * 7 + x - column + 3]
                        )
                        for y in rows
                        for x in columns
                    ]
                    told = torch.stack([value[y, x, part] for y in rows for x in columns])
                    parts.append(torch.stack(seen).softmax(dim=0) @ told)
                torch.testing.assert_close(heard[row, column], attention.out(torch.cat(parts)), atol=1e-5, rtol=1e-4)


def test_split_attention_weighs_the_three_scales_to_one_per_channel() -> None:
    torch.manual_seed(0)
    attention = PyramidAttention(64)
    tokens = torch.rand((2, 8, 8, 64))
    same = attention.scales[0]
    attention.scales = torch.nn.ModuleList([same, same, same])
    with torch.no_grad():
        torch.testing.assert_close(attention(tokens), same(attention.norm(tokens)), atol=1e-5, rtol=1e-4)


def test_age_is_encoded_as_sines_and_cosines() -> None:
    code = sinusoids(torch.tensor([0.0, 0.1]), 64) * 8
    torch.testing.assert_close(code[0], torch.tensor([0.0, 1.0]).repeat(32))
    torch.testing.assert_close(code[1, :2], torch.tensor([math.sin(2.0), math.cos(2.0)]))


def changed(**kind: object) -> tuple[torch.Tensor, torch.Tensor]:
    """The fused feature before and after one agent is of another kind or age."""
    torch.manual_seed(0)
    rule = make_rule("v2xvit", DetectorConfig()).eval()
    team = aligned(torch.rand((2, 64, 20, 28), generator=torch.Generator().manual_seed(0)))
    other = replace(team.members[1], **kind)  # type: ignore[arg-type]
    with torch.no_grad():
        return rule((team,))[0], rule((Team((team.members[0], other)),))[0]


def test_the_kind_and_the_age_of_an_agent_matter() -> None:
    for before, after in (changed(roadside=True), changed(age_s=0.2)):
        assert (before - after).abs().max() > 1e-3


def test_skipping_what_the_ego_s_row_does_not_need_changes_nothing() -> None:
    torch.manual_seed(0)
    rule = make_rule("v2xvit", replace(DetectorConfig(), bev_channels=128)).eval()
    assert isinstance(rule, V2xvitFusion) and len(rule.layers) == 3
    crew, tokens = Crew(torch.ones((2, 16, 16), dtype=torch.bool), (0, 1)), torch.rand((2, 16, 16, 128))
    with torch.no_grad():
        alone, both = rule.layers[0](tokens, crew, 1), rule.layers[0](tokens, crew, 2)
    torch.testing.assert_close(alone[0], both[0], atol=1e-5, rtol=1e-5)


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="a multiple of 64, not 96"):
        make_rule("v2xvit", replace(DetectorConfig(), bev_channels=96))
