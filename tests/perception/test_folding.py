"""Folding leaves what a network computes as it is."""

from __future__ import annotations

import copy

import torch
from torch import nn

from carla_cp.perception.backbone import Backbone
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.folding import fold_batch_norms


def used_backbone() -> Backbone:
    """A backbone whose batch norms have seen data, so that folding has something to do."""
    torch.manual_seed(2)
    network = Backbone(DetectorConfig())
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.5, 0.5)
            nn.init.uniform_(part.running_mean, -0.5, 0.5)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    return network.eval()


def test_a_folded_backbone_computes_the_same_without_a_batch_norm() -> None:
    network = used_backbone()
    folded = copy.deepcopy(network)
    fold_batch_norms(folded)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
    pillars = torch.rand((1, 32, 256, 256), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(pillars)
        torch.testing.assert_close(folded(pillars), expected, atol=1e-5, rtol=1e-4)
    assert expected.std() > 0.05


def test_a_batch_norm_without_a_convolution_before_it_stays() -> None:
    alone = nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4))
    fold_batch_norms(alone)
    assert isinstance(alone[1], nn.BatchNorm2d)
