"""Fused axial attention, against plain loops."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.fusion import Team, make_rule
from carla_cp.perception.fusion.cobevt import AxialLayer, AxialSize, CobevtFusion, WindowAttention, axial_size
from carla_cp.perception.fusion.team import Member
from tests.perception.fusion.teams import aligned, facing

SIZE = AxialSize(width=8, depth=1, hidden=12, head_width=4, window=2)


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """The module with weights unlike those it starts with."""
    torch.manual_seed(4)
    for parameter in module.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape)
    return module.eval()


def attention_in_loops(
    attention: WindowAttention, tokens: torch.Tensor, valid: torch.Tensor, at: list[tuple[int, int, int]]
) -> torch.Tensor:
    """One window's tokens (T, C), at (agent, row, column) in the window each."""
    query, key, value = attention.query_key_value(attention.norm(tokens)).chunk(3, dim=1)
    each, span, agents = SIZE.head_width, 2 * SIZE.window - 1, 5
    result = torch.zeros_like(tokens)
    for head in range(attention.heads):
        part = slice(head * each, (head + 1) * each)
        for i, (agent, row, column) in enumerate(at):
            weights = []
            for j, (other, to_row, to_column) in enumerate(at):
                place = (agent - other + agents - 1) * span + row - to_row + SIZE.window - 1
                bias = attention.bias[place * span + column - to_column + SIZE.window - 1, head]
                score = query[i, part] @ key[j, part] / math.sqrt(each) + bias
                weights.append(float(torch.exp(score)) if valid[j] else 0.0)
            for j, weight in enumerate(weights):
                result[i, part] += weight / sum(weights) * value[j, part]
    seen: torch.Tensor = tokens + attention.out(result)
    return seen


def layer_in_loops(layer: AxialLayer, tokens: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Window by window: first of neighbours, then of cells half a map apart."""
    agents, rows, columns, _ = tokens.shape
    side = SIZE.window
    for attention, feed, spread in ((layer.local, layer.local_feed, False), (layer.spread, layer.spread_feed, True)):
        assert isinstance(attention, WindowAttention)
        tokens, before = tokens.clone(), tokens
        for row in range(rows // side):
            for column in range(columns // side):
                cells, at = [], []
                for agent in range(agents):
                    for down in range(side):
                        for right in range(side):
                            y = down * (rows // side) + row if spread else row * side + down
                            x = right * (columns // side) + column if spread else column * side + right
                            cells.append((agent, y, x))
                            at.append((agent, down, right))
                known = torch.stack([valid[cell] for cell in cells])
                seen = attention_in_loops(attention, torch.stack([before[cell] for cell in cells]), known, at)
                for cell, token in zip(cells, seen + feed(seen), strict=True):
                    tokens[cell] = token
    return tokens


def test_an_axial_layer_equals_plain_loops() -> None:
    layer = shaken(AxialLayer(SIZE))
    assert isinstance(layer, AxialLayer)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.rand((3, 4, 6, SIZE.width), generator=generator)
    valid = torch.rand((3, 4, 6), generator=generator) < 0.6
    valid[0] = True
    with torch.no_grad():
        expected = layer_in_loops(layer, tokens, valid)
        torch.testing.assert_close(layer(tokens, valid), expected, atol=2e-5, rtol=1e-5)


def full_rule(name: str = "cobevt") -> CobevtFusion:
    rule = shaken(make_rule(name, replace(DetectorConfig(), bev_channels=128)))
    assert isinstance(rule, CobevtFusion) and rule.size.stride == 1 and rule.size.depth == 3
    return rule


def test_a_map_that_is_no_whole_window_equals_its_padded_self_with_the_padding_masked() -> None:
    rule = full_rule()
    features = torch.rand((2, 128, 6, 9), generator=torch.Generator().manual_seed(0))
    valid = F.pad(torch.ones((2, 6, 9), dtype=torch.bool), (0, 3, 0, 2))
    with torch.no_grad():
        small = rule((aligned(features),))[0]
        ego_everywhere = rule((aligned(F.pad(features, (0, 3, 0, 2)), valid),))[0][:, :6, :9]
    assert small.shape == (128, 6, 9)
    # `aligned` makes the ego valid everywhere, so the padding of zeros takes part there and must show.
    assert (small - ego_everywhere).abs().max() > 1e-4


def test_empty_places_count_only_in_the_padded_rule() -> None:
    features = torch.rand((2, 128, 8, 8), generator=torch.Generator().manual_seed(0))
    everywhere = torch.ones((5, 8, 8), dtype=torch.bool)
    everywhere[2:] = False
    filled = aligned(torch.cat([features, torch.zeros((3, 128, 8, 8))]), everywhere)
    with torch.no_grad():
        for name in ("cobevt", "cobevt_padded"):
            rule = full_rule(name)
            torch.testing.assert_close(rule((aligned(features),))[0], rule((filled,))[0], atol=1e-5, rtol=1e-5)
        mean_of_two, mean_of_five = (full_rule(name)((aligned(features),))[0] for name in ("cobevt", "cobevt_padded"))
    assert (mean_of_two - mean_of_five).abs().max() > 1e-2


def test_the_nearest_agent_comes_first_whatever_the_order_of_messages() -> None:
    rule = full_rule()
    features = torch.rand((3, 128, 8, 8), generator=torch.Generator().manual_seed(0))
    ego, near, far = aligned(features).members
    everywhere = torch.ones((8, 8), dtype=torch.bool)
    near = Member(near.features, everywhere, facing(0.1, 0.1, 0.0))
    far = Member(far.features, everywhere, facing(0.1, 0.3, 0.2))
    with torch.no_grad():
        assert torch.equal(rule((Team((ego, near, far)),))[0], rule((Team((ego, far, near)),))[0])


def test_of_too_many_agents_the_nearest_take_part() -> None:
    rule = full_rule()
    ego, *others = aligned(torch.rand((7, 128, 8, 8), generator=torch.Generator().manual_seed(0))).members
    others = [replace(other, theta=facing(0.0, 0.1 * rank, 0.0)) for rank, other in enumerate(others)]
    with torch.no_grad():
        all_of_them, nearest = (rule((Team((ego, *some)),))[0] for some in (others[::-1], others[:4]))
    assert torch.equal(all_of_them, nearest)


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="a multiple of 32, not 48"):
        axial_size(replace(DetectorConfig(), bev_channels=48))
