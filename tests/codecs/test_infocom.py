"""InfoCom's rates."""

from __future__ import annotations

import numpy as np
import torch

from carla_cp.codecs.infocom import LEVELS, REACH, InfocomCodec, octave, reach
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


def test_a_small_budget_leaves_the_latent_out() -> None:
    view, coder = fake_view(), codec()
    assert coder.parse(coder.encode(view, 260))[1].latent is None
    assert coder.parse(coder.encode(view, 4000))[1].latent is not None


def test_what_lies_near_a_kept_pillar_is_valid() -> None:
    kept = torch.zeros(1, 64, 64, dtype=torch.bool)
    kept[0, 20, 30] = True
    valid = reach(kept)[0]
    assert int(valid.sum()) == (2 * REACH + 1) ** 2
    assert bool(valid[20 - REACH, 30 + REACH]) and not bool(valid[20 - REACH - 1, 30])


def test_more_pillars_use_a_later_table() -> None:
    octaves = [octave(count) for count in (1, 64, 65, 128, 129, 4096, 4097, 65536)]
    assert octaves == [0, 0, 1, 1, 2, 6, 7, 7]


def test_it_stays_below_two_million_weights() -> None:
    assert sum(weight.numel() for weight in codec().parameters()) < 2_000_000


def test_training_reaches_every_network() -> None:
    coder = codec().train()
    output = coder(fake_view().pillars[None], 500, noise=torch.zeros(1, 256))
    (output.pillars.square().sum() + output.divergence).backward()
    for part in (coder.encoder, coder.rater, coder.decoder):
        gradients = [weight.grad for weight in part.parameters()]
        assert sum(float(gradient.abs().sum()) for gradient in gradients if gradient is not None) > 0
