"""InfoCom's layers."""

from __future__ import annotations

import torch

from carla_cp.codecs.infocom_net import PAPER, InfocomConfig, InformationEncoder, MaskDecoder, MaskNet


def test_shapes_of_the_trained_size() -> None:
    config = InfocomConfig()
    pillars = torch.rand(2, 32, 256, 256)
    with torch.no_grad():
        mean, spread = InformationEncoder(config).eval()(pillars)
        rating = MaskNet(config).eval()(pillars)
        rebuilt = MaskDecoder(config, 16, 16).eval()(mean, rating)
    assert mean.shape == spread.shape == (2, 256) and bool((spread > 0).all())
    assert rating.shape == (2, 256, 256) and 0 <= float(rating.min()) <= float(rating.max()) <= 1
    assert rebuilt.shape == pillars.shape and float(rebuilt.min()) >= 0


def test_before_training_occupied_pillars_rate_higher() -> None:
    torch.manual_seed(0)
    pillars = torch.zeros(1, 32, 256, 256)
    pillars[0, :, 100:120, 50:60] = 1.0
    with torch.no_grad():
        rating = MaskNet(InfocomConfig()).eval()(pillars)
    occupied = pillars.amax(1) > 0
    assert float(rating[occupied].min()) > float(rating[~occupied].max())


def test_the_papers_sizes_hold_seventy_million_weights_on_this_grid() -> None:
    with torch.device("meta"):
        parts = [InformationEncoder(PAPER), MaskNet(PAPER), MaskDecoder(PAPER, 32, 32)]
    weights = sum(weight.numel() for part in parts for weight in part.parameters())
    assert 65e6 < weights < 75e6
