"""ReVQom's rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from carla_cp.codecs.ranking import rank
from carla_cp.codecs.revqom import RevqomCodec
from tests.codecs.fake import FakeView, fake_view


def codec() -> RevqomCodec:
    torch.manual_seed(3)
    result = RevqomCodec().eval()
    result.quantiser.codebooks.mul_(20)
    return result


def decoded(view: FakeView, budget: int | None) -> Any:
    coder = codec()
    return coder.decode(coder.encode(view, budget))


def test_the_full_rate_arrives_as_forward_says() -> None:
    view = fake_view()
    shared = decoded(view, None)
    with torch.no_grad():
        assert torch.equal(shared.features, codec()(view.bev[None])[0])
    assert bool(shared.valid.all())


def test_under_a_budget_sent_cells_arrive_as_forward_says_at_that_rate() -> None:
    view, coder = fake_view(), codec()
    for budget in (300, 1000, 3000, 20_000):
        payload = coder.encode(view, budget)
        symbols = coder.parse(payload)[1]
        shared = coder.decode(payload)
        assert shared.features is not None and shared.valid is not None
        with torch.no_grad():
            expected = coder(view.bev[None], len(symbols.indices))[0]
        assert torch.equal(shared.features[:, shared.valid], expected[:, shared.valid])
        assert not shared.features[:, ~shared.valid].any()


def test_the_cells_that_rank_first_are_sent_and_the_budget_is_used() -> None:
    view, coder = fake_view(), codec()
    payload = coder.encode(view, 2000)
    shared = coder.decode(payload)
    assert shared.valid is not None
    count = int(shared.valid.sum())
    assert set(np.flatnonzero(shared.valid.numpy())) == set(rank(view.heat)[:count])
    assert len(payload) > 1970


def test_small_budgets_send_fewer_stages() -> None:
    view, coder = fake_view(), codec()
    stages = [len(coder.parse(coder.encode(view, budget))[1].indices) for budget in (150, 280, 4000)]
    assert stages == sorted(stages)
    assert stages[0] < 3 and stages[-1] == 3


def test_training_passes_gradients_through_the_quantiser() -> None:
    coder = codec().train()
    features = fake_view().bev[None]
    coder(features).square().sum().backward()
    gradient = next(coder.down.parameters()).grad
    assert gradient is not None and bool(gradient.abs().sum() > 0)
    assert torch.allclose(coder(features), coder.eval()(features), atol=1e-4)
