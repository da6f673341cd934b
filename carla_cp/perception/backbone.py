"""The convolutional trunk from the pillar map to the BEV feature (PointPillars' backbone, Lang et al., 2019).

Each block halves the resolution; every block's output is brought to the BEV cells, and a 3x3 convolution shrinks
their concatenation to the channels that are shared and fused.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    """Pillar map (B, C_pillar, pillar_rows, pillar_columns) to BEV feature (B, C_bev, rows, columns), >= 0."""

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained."""
        super().__init__()
        blocks, ups, inputs, factor = [], [], config.pillar_channels, 1
        for width, layers, stride in zip(config.filters, config.layers, config.strides, strict=True):
            blocks.append(
                nn.Sequential(conv_block(inputs, width, stride), *(conv_block(width, width) for _ in range(layers)))
            )
            factor *= stride
            ups.append(_up_block(width, config.up_channels, factor // config.strides[0]))
            inputs = width
        self.blocks, self.ups = nn.ModuleList(blocks), nn.ModuleList(ups)
        self.shrink = conv_block(config.up_channels * len(blocks), config.bev_channels)

    def first(self, pillars: Tensor) -> Tensor:
        """What the first block makes of a pillar map: (B, C_1, rows, columns)."""
        result: Tensor = self.blocks[0](pillars.contiguous(memory_format=torch.channels_last))
        return result

    def scales(self, block1: Tensor) -> tuple[Tensor, ...]:
        """The output of every block (B, C_i, H_i, W_i), given the first block's."""
        found = [block1.contiguous(memory_format=torch.channels_last)]
        for block in list(self.blocks)[1:]:
            found.append(block(found[-1]))
        return tuple(found)

    def merge(self, scales: Sequence[Tensor]) -> Tensor:
        """The BEV feature of all blocks' outputs."""
        raised = [up(value) for up, value in zip(self.ups, scales, strict=True)]
        result: Tensor = self.shrink(torch.cat(raised, dim=1))
        return result

    def rest(self, block1: Tensor) -> Tensor:
        """The BEV feature of the first block's output."""
        return self.merge(self.scales(block1))

    def forward(self, pillars: Tensor) -> Tensor:
        """The BEV feature of a pillar map."""
        return self.rest(self.first(pillars))
