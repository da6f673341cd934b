"""ReVQom's rates, packets and variants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from carla_cp.codecs import load_codec
from carla_cp.codecs.base import PACKET_BYTES
from carla_cp.codecs.bitstream import HEADER_BYTES, cut
from carla_cp.codecs.ranking import usefulness
from carla_cp.codecs.revqom import RevqomCodec
from carla_cp.perception.presets import SECOND_MINI
from carla_cp.types import Shared
from tests.codecs.fake import FakeView, fake_view

TRAINED = Path(__file__).resolve().parents[2] / "checkpoints" / "mini"

CELLS = 128 * 128


def codec(variant: str = "") -> RevqomCodec:
    torch.manual_seed(3)
    result = RevqomCodec().eval()
    result.quantiser.codebooks.mul_(40 * 0.7 ** torch.arange(8.0)[:, None, None])
    torch.nn.init.normal_(result.around[2].weight, 0, 0.05)  # type: ignore[arg-type]
    result.variant = variant
    return result


def depths_of(coder: RevqomCodec, payload: bytes) -> torch.Tensor:
    symbols = coder.parse(payload)[1]
    depths = np.zeros(symbols.mask.shape, np.int64)
    depths[symbols.mask] = (symbols.indices < coder.config.codes).sum(0)
    return torch.from_numpy(depths)


def features_of(shared: Shared) -> torch.Tensor:
    assert shared.features is not None
    return shared.features


def test_the_full_rate_arrives_as_forward_says() -> None:
    view, coder = fake_view(), codec()
    shared = coder.decode(coder.encode(view, None))
    with torch.no_grad():
        expected = coder(view.bev[None], None, usefulness(view.heat[None]))[0]
    assert torch.equal(features_of(shared), expected)
    assert shared.valid is not None and bool(shared.valid.all())


@pytest.mark.parametrize("budget", [150, 300, 1000, 3000])
def test_under_a_budget_cells_arrive_as_forward_says_at_their_depths(budget: int) -> None:
    view, coder = fake_view(), codec()
    payload = coder.encode(view, budget)
    shared, depths = coder.decode(payload), depths_of(coder, payload)
    with torch.no_grad():
        expected = coder(view.bev[None], depths[None], usefulness(view.heat[None]))[0]
    assert torch.equal(features_of(shared), expected)
    assert shared.valid is not None and torch.equal(shared.valid, depths > 0)
    assert not features_of(shared)[:, ~shared.valid].any()


def test_useful_cells_go_and_the_budget_is_used() -> None:
    view, coder = fake_view(), codec()
    payload = coder.encode(view, 1000)
    useful, sent = usefulness(view.heat[None])[0], depths_of(coder, payload) > 0
    assert float(useful[sent].mean()) > 4 * float(useful[~sent].mean())
    assert 975 < len(payload) <= 1000


def test_more_budget_buys_more_stages() -> None:
    view, coder = fake_view(), codec()
    stages = [int(depths_of(coder, coder.encode(view, budget)).sum()) for budget in (150, 300, 1000, 4000)]
    assert stages == sorted(stages) and stages[0] > 0


def test_every_cell_goes_at_any_budget_that_has_room_for_them() -> None:
    view, coder = fake_view(), load_codec("revqom", TRAINED)
    whole = coder.encode(view, None)
    assert len(whole) < 128 * 128 / 4  # two bits a cell, and less
    assert coder.encode(view, len(whole)) == whole
    assert 0 < len(coder.encode(view, len(whole) - 1)) < len(whole)


def test_cells_that_cost_more_than_they_were_taken_for_still_fit() -> None:
    view, coder = fake_view(), codec()
    coder.stage_bits.fill_(0.01)
    for budget in (300, 1000, 4000):
        assert budget / 2 < len(coder.encode(view, budget)) <= budget


def test_a_lost_packet_costs_its_cells_only() -> None:
    view, coder = fake_view(), codec()
    payload = coder.encode(view, 4000)
    packets = cut(payload)
    assert len(packets) >= 3 and max(map(len, packets)) <= PACKET_BYTES
    whole = depths_of(coder, payload)
    parts = [depths_of(coder, packet) for packet in packets]
    assert torch.equal(torch.stack(parts).sum(0), whole)
    rest = coder.decode(b"".join(packets[:1] + packets[2:]))
    assert rest.valid is not None and torch.equal(rest.valid, (whole > 0) & (parts[1] == 0))
    assert torch.equal(depths_of(coder, b"".join([*packets[::-1], packets[1]])), whole)  # any order, one twice


def test_every_cell_in_packets_too() -> None:
    view, coder = fake_view(), codec()
    payload = coder.encode(view, None)
    packets = cut(payload)
    assert len(packets) > 3 and max(map(len, packets)) <= PACKET_BYTES
    assert int((depths_of(coder, packets[0]) == 8).sum()) < CELLS
    assert bool((depths_of(coder, payload) == 8).all())


@pytest.mark.parametrize(("variant", "stages"), [("paper", 3), ("paper12", 2), ("paper6", 1)])
def test_a_papers_variant_sends_the_nearest_codes_of_every_cell_at_its_rate(variant: str, stages: int) -> None:
    view, coder = fake_view(), codec(variant)
    payload = coder.encode(view, None)
    formula = CELLS * 6 * stages / 8
    packets = cut(payload)
    assert formula <= len(payload) - len(packets) * (HEADER_BYTES + 10) <= formula + len(packets)
    assert coder.formula_bytes(coder.parse(payload)[1]) == formula
    with torch.no_grad():
        expected = coder(view.bev[None], torch.full((1, 128, 128), stages))[0]
    assert torch.equal(features_of(coder.decode(payload)), expected)
    part = coder.decode(packets[0])
    assert part.valid is not None and 0 < int(part.valid.sum()) < CELLS


def test_cells_that_nobody_needs_take_cheap_codes() -> None:
    coder, view = codec(), fake_view()
    coder.quantiser.costs[:, 1:] = 9.0
    coder.quantiser.costs[:, 0] = 0.1
    with torch.no_grad():
        latent = coder.down(view.bev[None])[0].flatten(1).T
        useful = usefulness(view.heat[None])[0].flatten()
        priced, nearest = coder.codes_of(latent, useful), coder.codes_of(latent, None)
    needed = useful > 0.5
    assert float((priced == nearest)[:, needed].double().mean()) > float(
        (priced == nearest)[:, ~needed].double().mean()
    )
    assert float((priced == 0)[:, ~needed].double().mean()) > 0.8


def test_training_passes_gradients_through_the_quantiser() -> None:
    coder = codec().train()
    features = fake_view().bev[None]
    coder(features).square().sum().backward()
    gradient = next(coder.down.parameters()).grad
    assert gradient is not None and bool(gradient.abs().sum() > 0)
    with torch.no_grad():
        assert torch.allclose(coder(features), coder.eval()(features), atol=1e-4)


def test_it_runs_behind_sparse_voxels_as_well() -> None:
    torch.manual_seed(0)
    config = replace(SECOND_MINI, bev_channels=128)
    coder: Any = RevqomCodec.for_detector(7, config).eval()
    view: FakeView = fake_view(config=config)
    for budget in (400, None):
        shared = coder.decode(coder.encode(view, budget))
        assert shared.features.shape == view.bev.shape and bool(shared.valid.any())
