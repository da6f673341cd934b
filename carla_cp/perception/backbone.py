"""The convolutional trunk from the pillar map to the BEV feature (PointPillars' backbone, Lang et al., 2019).

Each block halves the resolution; every block's output is brought to the BEV cells, and a 3x3 convolution shrinks
their concatenation to the channels that are shared and fused.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from carla_cp.perception.config import DetectorConfig


def conv_block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.02),
        nn.ReLU(inplace=True),
    )


def _up_block(inputs: int, outputs: int, factor: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, factor, stride=factor, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.02),
        nn.ReLU(inplace=True),
    )


class Backbone(nn.Module):
    """Pillar map (B, C_pillar, pillars, pillars) to BEV feature (B, C_bev, cells, cells), >= 0."""

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained."""
        super().__init__()
        blocks, ups, inputs = [], [], config.pillar_channels
        for index, (width, layers) in enumerate(zip(config.filters, config.layers, strict=True)):
            blocks.append(
                nn.Sequential(conv_block(inputs, width, 2), *(conv_block(width, width) for _ in range(layers)))
            )
            ups.append(_up_block(width, config.up_channels, 2**index))
            inputs = width
        self.blocks, self.ups = nn.ModuleList(blocks), nn.ModuleList(ups)
        self.shrink = conv_block(config.up_channels * len(blocks), config.bev_channels)

    def first(self, pillars: Tensor) -> Tensor:
        """What the first block makes of a pillar map: (B, C_1, cells, cells)."""
        result: Tensor = self.blocks[0](pillars.contiguous(memory_format=torch.channels_last))
        return result

    def rest(self, block1: Tensor) -> Tensor:
        """The BEV feature of the first block's output."""
        value = block1.contiguous(memory_format=torch.channels_last)
        raised = [self.ups[0](value)]
        for block, up in zip(list(self.blocks)[1:], list(self.ups)[1:], strict=True):
            value = block(value)
            raised.append(up(value))
        result: Tensor = self.shrink(torch.cat(raised, dim=1))
        return result

    def forward(self, pillars: Tensor) -> Tensor:
        """The BEV feature of a pillar map."""
        return self.rest(self.first(pillars))
