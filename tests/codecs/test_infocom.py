"""InfoCom's rates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from carla_cp.codecs.bitstream import HEADER_BYTES, cut
from carla_cp.codecs.infocom import REACH, InfocomCodec, best, reach
from carla_cp.codecs.infocom_symbols import LEVELS
from carla_cp.perception.presets import FULL_OPV2V
from tests.codecs.fake import fake_view


def codec() -> InfocomCodec:
    torch.manual_seed(3)
    result = InfocomCodec().eval()
    for layer in result.rater.out:  # spread the ratings, as training does
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.data.mul_(6)
    return result


def test_a_message_arrives_as_forward_says_at_that_rate() -> None:
    view, coder = fake_view(), codec()
    for budget in (260, 2000, None):
        payload = coder.encode(view, budget)
        symbols = coder.parse(payload)[1]
        shared = coder.decode(payload)
        assert shared.features is not None and shared.valid is not None
        with torch.no_grad():
            expected = coder(view.pillars[None], len(symbols.levels), symbols.latent is not None)
        assert torch.equal(shared.features, expected.pillars[0])
        assert torch.equal(shared.valid, expected.valid[0])


def test_the_pillars_that_rate_highest_are_sent_with_their_levels() -> None:
    view, coder = fake_view(), codec()
    payload = coder.encode(view, 1500)
    symbols = coder.parse(payload)[1]
    with torch.no_grad():
        rating = coder.rater(view.pillars[None])[0].numpy()
    assert symbols.levels.min() >= 1 and symbols.levels.max() <= LEVELS
    assert rating[symbols.mask].min() >= rating[~symbols.mask].max()
    assert (symbols.levels == np.rint(rating[symbols.mask] * np.float32(LEVELS))).all()
    assert len(payload) > 1460


def test_the_best_are_those_of_a_whole_sort() -> None:
    rating = np.random.default_rng(0).integers(0, 40, 5000).astype(np.float32)
    assert (best(rating, 700) == np.argsort(-rating, kind="stable")[:700]).all()


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
        assert (rest.levels == whole.levels[rest.mask[whole.mask]]).all()


def test_the_papers_rate_is_a_tenth_of_the_pillars_and_the_latent_as_floats() -> None:
    view, coder = fake_view(), codec()
    coder.variant = "paper"
    payload = coder.encode(view, None)
    symbols = coder.parse(payload)[1]
    count = -(-256 * 256 // 10)
    assert len(symbols.levels) == symbols.mask.sum() == count
    assert coder.formula_bytes(symbols) == 256 * 4 + -(-count // 2)
    with torch.no_grad():
        mean = coder.encoder(view.pillars[None])[0][0]
        rating = coder.rater(view.pillars[None])[0].numpy()
    assert symbols.latent is not None and np.allclose(symbols.latent, mean.numpy(), rtol=0, atol=1e-5)
    assert rating[symbols.mask].min() >= rating[~symbols.mask].max()
    assert len(payload) <= 256 * 4 + count / 2 + 256 * 256 / 8 + len(cut(payload)) * (HEADER_BYTES + 8)
    assert coder.encode(view, 8000) == b""


def test_the_formula_charges_four_bits_a_pillar_and_nothing_for_where_it_is() -> None:
    coder = codec()
    symbols = coder.parse(coder.encode(fake_view(), 1000))[1]
    assert coder.formula_bytes(symbols) == 1024 + -(-len(symbols.levels) // 2)
    assert coder.formula_bytes(replace(symbols, latent=None)) == -(-len(symbols.levels) // 2)


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
        count = len(coder.parse(payload)[1].levels)
        assert torch.equal(shared.features, coder(view.pillars[None], count).pillars[0])


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
    output = coder(fake_view().pillars[None], 500, noise=torch.zeros(1, 256))
    (output.pillars.square().sum() + output.divergence).backward()
    for part in (coder.encoder, coder.rater, coder.decoder):
        gradients = [weight.grad for weight in part.parameters()]
        assert sum(float(gradient.abs().sum()) for gradient in gradients if gradient is not None) > 0
