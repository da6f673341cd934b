"""InfoCom's rates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from carla_cp.codecs import infocom_packets
from carla_cp.codecs.bitstream import HEADER_BYTES, cut
from carla_cp.codecs.infocom import REACH, InfocomCodec, InfocomRate, reach
from carla_cp.codecs.infocom_symbols import ABSENT, LEVELS, InfocomSymbols
from carla_cp.codecs.ranking import usefulness
from carla_cp.perception.presets import FULL_OPV2V
from tests.codecs.fake import FakeView, fake_view


def useful(view: FakeView) -> torch.Tensor:
    return usefulness(view.heat[None])


def rated(coder: InfocomCodec, view: FakeView) -> torch.Tensor:
    """Rating and content (1 + content, rows, columns) of every pillar."""
    wide = torch.nn.functional.interpolate(useful(view)[:, None], scale_factor=2.0)
    with torch.no_grad():
        return torch.as_tensor(coder.rater(view.pillars[None], wide)[0])


def rate_of(symbols: InfocomSymbols) -> InfocomRate:
    channels = int((symbols.values[1:, 0] != ABSENT).sum())
    return InfocomRate(int(symbols.mask.sum()), channels, symbols.latent is not None)


def codec() -> InfocomCodec:
    torch.manual_seed(3)
    result = InfocomCodec().eval()
    for layer in result.rater.out:  # spread the ratings, as training does
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.data.mul_(6)
    last = result.rater.out[-1]
    assert isinstance(last, torch.nn.Conv2d) and last.bias is not None
    last.bias.data[:4] += 4  # so that the view has more to say than some budgets hold
    return result


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Content is worth its bytes at small budgets already, for the view has few pillars."""
    monkeypatch.setattr(infocom_packets, "LADDER", (0, 200, 400))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("budget", "channels"), [(260, 0), (600, 1), (2000, 2), (None, 2)])
def test_a_message_arrives_as_forward_says_at_that_rate(budget: int | None, channels: int) -> None:
    view, coder = fake_view(), codec()
    payload = coder.encode(view, budget)
    symbols = coder.parse(payload)[1]
    shared = coder.decode(payload)
    assert shared.features is not None and shared.valid is not None
    assert rate_of(symbols).channels == channels
    with torch.no_grad():
        expected = coder(view.pillars[None], useful(view), rate_of(symbols))
    assert torch.equal(shared.features, expected.pillars[0])
    assert torch.equal(shared.valid, expected.valid[0])


@pytest.mark.usefixtures("eager")
def test_the_pillars_that_rate_highest_are_sent_with_their_levels_and_content() -> None:
    view, coder = fake_view(), codec()
    payload = coder.encode(view, 1500)
    symbols = coder.parse(payload)[1]
    values = rated(coder, view).numpy()
    assert symbols.values[0].min() >= 1 and symbols.values.max() <= LEVELS
    assert values[0][symbols.mask].min() >= values[0][~symbols.mask].max()
    assert (symbols.values == np.rint(values[:, symbols.mask] * np.float32(LEVELS))).all()
    assert len(payload) > 1460


def test_what_the_sender_takes_for_an_object_rates_higher() -> None:
    view, coder = fake_view(), codec()
    plain = replace(view, heat=torch.zeros_like(view.heat))
    hot = torch.nn.functional.interpolate(useful(view)[:, None], scale_factor=2.0)[0, 0] > 0.5
    assert float(rated(coder, view)[0][hot].mean()) > 2 * float(rated(coder, plain)[0][hot].mean())


def test_a_latent_that_costs_too_much_of_the_budget_stays_away() -> None:
    view, coder = fake_view(), codec()
    coder.latent_classes.fill_(15)  # the widest
    assert coder.parse(coder.encode(view, 500))[1].latent is None
    assert coder.parse(coder.encode(view, 40_000))[1].latent is not None


def test_a_lost_packet_costs_its_region_only() -> None:
    coder = codec()
    packets = cut(coder.encode(fake_view(), 2000, packet_bytes=500))
    whole = coder.parse(b"".join(packets))[1]
    assert len(packets) >= 4 and whole.latent is not None
    for lost in range(len(packets)):
        rest = coder.parse(b"".join(packets[:lost] + packets[lost + 1 :]))[1]
        gone = coder.parse(packets[lost])[1]
        assert (rest.mask == whole.mask & ~gone.mask).all() and gone.mask.any()
        assert rest.latent is not None and (rest.latent == whole.latent).all()
        assert (rest.values == whole.values[:, rest.mask[whole.mask]]).all()


@pytest.mark.usefixtures("eager")
def test_packets_of_less_content_join_with_those_of_more() -> None:
    coder, view = codec(), fake_view()
    poor, rich = (coder.parse(coder.encode(view, budget))[1] for budget in (260, 2000))
    both = coder.join(iter([poor, rich]))
    assert (both.mask == rich.mask).all() and (both.values == rich.values).all()
    again = coder.join(iter([rich, poor]))
    assert (again.values[1:, poor.mask[again.mask]] == ABSENT).all()


def test_the_papers_rate_is_a_tenth_of_the_pillars_and_the_latent_as_floats() -> None:
    view, coder = fake_view(), codec()
    coder.variant = "paper"
    payload = coder.encode(view, None)
    symbols = coder.parse(payload)[1]
    count = -(-256 * 256 // 10)
    assert symbols.values.shape[1] == symbols.mask.sum() == count
    assert coder.formula_bytes(symbols) == 256 * 4 + -(-count // 2)
    with torch.no_grad():
        mean = coder.encoder(view.pillars[None])[0][0]
    rating = rated(coder, view)[0].numpy()
    assert symbols.latent is not None and np.allclose(symbols.latent, mean.numpy(), rtol=0, atol=1e-5)
    assert rating[symbols.mask].min() >= rating[~symbols.mask].max()
    assert (symbols.values[1:] == ABSENT).all()
    assert len(payload) <= 256 * 4 + count / 2 + 256 * 256 / 8 + len(cut(payload)) * (HEADER_BYTES + 8)
    assert coder.encode(view, 8000) == b""


def test_on_the_papers_grid_its_rate_is_8064_bytes_by_its_formula() -> None:
    with torch.device("meta"):
        coder = InfocomCodec(grid=FULL_OPV2V.grid)
    mask = np.zeros(coder.shape, bool)
    mask.reshape(-1)[::10] = True
    values = np.full((3, int(mask.sum())), ABSENT)
    values[0] = 7
    assert coder.formula_bytes(InfocomSymbols(np.zeros(256, np.float32), mask, values)) == 8064


def test_the_formula_charges_four_bits_a_value_and_nothing_for_where_it_is() -> None:
    coder = codec()
    symbols = coder.parse(coder.encode(fake_view(), None))[1]
    count = symbols.values.shape[1]
    assert coder.formula_bytes(symbols) == 1024 + -(-3 * count // 2)
    assert coder.formula_bytes(replace(symbols, latent=None)) == -(-3 * count // 2)


def test_a_grid_that_is_no_square_and_no_multiple_of_a_seed_is_filled_up() -> None:
    torch.manual_seed(3)
    config = replace(
        FULL_OPV2V, pillar_channels=8, grid=replace(FULL_OPV2V.grid, half_length_m=24.0, half_width_m=11.2)
    )
    view = fake_view(config=replace(config, bev_channels=8))
    coder = InfocomCodec.for_detector(0, config).eval()
    payload = coder.encode(view, 1000)
    shared = coder.decode(payload)
    assert shared.features is not None and shared.features.shape == (8, 56, 120)
    with torch.no_grad():
        expected = coder(view.pillars[None], useful(view), rate_of(coder.parse(payload)[1]))
        assert torch.equal(shared.features, expected.pillars[0])


def test_it_is_made_for_the_full_opv2v_grid() -> None:
    with torch.device("meta"):
        coder = InfocomCodec(grid=FULL_OPV2V.grid)
    assert coder.shape == (200, 704) and coder.decoder.shape == (4, 13, 44)


def test_what_lies_near_a_kept_pillar_is_valid() -> None:
    kept = torch.zeros(1, 64, 64, dtype=torch.bool)
    kept[0, 20, 30] = True
    valid = reach(kept)[0]
    assert int(valid.sum()) == (2 * REACH + 1) ** 2
    assert bool(valid[20 - REACH, 30 + REACH]) and not bool(valid[20 - REACH - 1, 30])


def test_it_stays_below_two_million_weights() -> None:
    assert sum(weight.numel() for weight in codec().parameters()) < 2_000_000


def test_training_reaches_every_network() -> None:
    coder = codec().train()
    view = fake_view()
    output = coder(view.pillars[None], useful(view), InfocomRate(500, 2, True), noise=torch.zeros(1, 256))
    (output.pillars.square().sum() + output.divergence).backward()
    for part in (coder.encoder, coder.rater, coder.decoder):
        gradients = [weight.grad for weight in part.parameters()]
        assert sum(float(gradient.abs().sum()) for gradient in gradients if gradient is not None) > 0
