"""InfoCom's layers."""

from __future__ import annotations

import torch

from carla_cp.codecs.infocom_net import PAPER, InfocomConfig, InformationEncoder, MaskDecoder, MaskNet, mask_sent


def test_shapes_of_the_trained_size() -> None:
    config = InfocomConfig()
    pillars = torch.rand(2, 32, 256, 256)
    with torch.no_grad():
        mean, spread = InformationEncoder(config).eval()(pillars)
        values = MaskNet(config).eval()(pillars, torch.rand(2, 1, 256, 256))
        rebuilt = MaskDecoder(config, 16, 16).eval()(mean, values)
    assert mean.shape == spread.shape == (2, 256) and bool((spread > 0).all())
    assert values.shape == (2, 3, 256, 256) and 0 <= float(values.min()) <= float(values.max()) <= 1
    assert rebuilt.shape == pillars.shape and float(rebuilt.min()) >= 0


def test_before_training_occupied_pillars_of_use_rate_highest() -> None:
    torch.manual_seed(0)
    pillars, useful = torch.zeros(1, 32, 256, 256), torch.zeros(1, 1, 256, 256)
    pillars[0, :, 100:120, 50:60] = 1.0
    useful[0, 0, 110:140, 50:60] = 1.0
    with torch.no_grad():
        rating = MaskNet(InfocomConfig()).eval()(pillars, useful)[:, 0]
    occupied, wanted = pillars.amax(1) > 0, useful[:, 0] > 0
    assert float(rating[occupied & wanted].min()) > float(rating[occupied ^ wanted].max())
    assert float(rating[occupied ^ wanted].min()) > float(rating[~(occupied | wanted)].max())


def test_the_decoder_sees_ratings_from_zero_and_content_around_it_of_what_was_sent_alone() -> None:
    steps = torch.tensor([15.0, 0.0, 15.0]).view(1, 3, 1, 1).expand(1, 3, 1, 2)
    chosen = torch.tensor([True, False]).view(1, 1, 1, 2)
    assert mask_sent(steps, chosen, 2)[0, :, 0].T.tolist() == [[1.0, -1.0, 1.0], [0.0, 0.0, 0.0]]
    assert mask_sent(steps, chosen, 1)[0, :, 0, 0].tolist() == [1.0, -1.0, 0.0]


def test_the_papers_sizes_hold_seventy_million_weights_on_this_grid() -> None:
    with torch.device("meta"):
        parts = [InformationEncoder(PAPER), MaskNet(PAPER), MaskDecoder(PAPER, 32, 32)]
    weights = sum(weight.numel() for part in parts for weight in part.parameters())
    assert 65e6 < weights < 75e6
