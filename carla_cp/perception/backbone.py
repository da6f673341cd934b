"""The convolutional trunk from the pillar map to the BEV feature (PointPillars' backbone, Lang et al., 2019).

Each block halves the resolution; every block's output is brought to the first one's cells, and a 3x3 convolution
shrinks their concatenation to the channels that are shared and fused. For weights of OpenCOOD: its two convolutions
without norm, which may stride, or none; and CoAlign's blocks of residual layers (Lu et al., ICRA 2023; He et al.,
2016).
"""

from __future__ import annotations

import math
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


def lay_channels_last(network: nn.Module) -> None:
    """Lays the weights of 2-D convolutions channels last in place, as their inputs are; of no others it could."""
    for value in network.parameters():
        if value.dim() == 4:
            value.data = value.data.contiguous(memory_format=torch.channels_last)


class Residual(nn.Module):
    """Two 3x3 convolutions beside the input, which a 1x1 convolution brings to their shape where they change it."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        """Layers of the given widths, untrained."""
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        changes = stride != 1 or inputs != outputs
        self.beside = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))
            if changes
            else nn.Sequential()
        )

    def forward(self, value: Tensor) -> Tensor:
        """(B, outputs, H / stride, W / stride), >= 0."""
        return torch.relu(self.main(value) + self.beside(value))


def _block(config: DetectorConfig, inputs: int, level: int) -> nn.Sequential:
    width, layers, stride = config.filters[level], config.layers[level], config.strides[level]
    if config.backbone == "residual":
        return nn.Sequential(Residual(inputs, width, stride), *(Residual(width, width) for _ in range(layers - 1)))
    return nn.Sequential(conv_block(inputs, width, stride), *(conv_block(width, width) for _ in range(layers)))


def _shrink(config: DetectorConfig, inputs: int) -> nn.Sequential:
    width, kernel = config.bev_channels, config.shrink_kernel
    if config.shrink == "conv":
        return conv_block(inputs, width)
    if config.shrink == "none":
        return nn.Sequential()
    return nn.Sequential(
        nn.Conv2d(inputs, width, kernel, stride=config.shrink_stride, padding=kernel // 2),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(inplace=True),
    )


class Merge(nn.Module):
    """The outputs of all blocks to one BEV feature (B, C_bev, rows, columns), >= 0."""

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained."""
        super().__init__()
        factors = [math.prod(config.strides[1 : level + 1]) for level in range(len(config.filters))]
        self.ups = nn.ModuleList(
            _up_block(width, config.up_channels, factor) for width, factor in zip(config.filters, factors, strict=True)
        )
        self.shrink = _shrink(config, config.up_channels * len(config.filters))

    def merge(self, scales: Sequence[Tensor]) -> Tensor:
        """The BEV feature of all blocks' outputs."""
        raised = [up(value) for up, value in zip(self.ups, scales, strict=True)]
        result: Tensor = self.shrink(torch.cat(raised, dim=1))
        return result


class Backbone(Merge):
    """Pillar map (B, C_pillar, pillar_rows, pillar_columns) to BEV feature (B, C_bev, rows, columns), >= 0."""

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained."""
        super().__init__(config)
        inputs = (config.pillar_channels, *config.filters[:-1])
        self.blocks = nn.ModuleList(_block(config, width, level) for level, width in enumerate(inputs))

    def first(self, pillars: Tensor) -> Tensor:
        """What the first block makes of a pillar map: (B, C_1, H_1, W_1)."""
        result: Tensor = self.blocks[0](pillars.contiguous(memory_format=torch.channels_last))
        return result

    def scales(self, block1: Tensor) -> tuple[Tensor, ...]:
        """The output of every block (B, C_i, H_i, W_i), given the first block's."""
        found = [block1.contiguous(memory_format=torch.channels_last)]
        for block in list(self.blocks)[1:]:
            found.append(block(found[-1]))
        return tuple(found)

    def rest(self, block1: Tensor) -> Tensor:
        """The BEV feature of the first block's output."""
        return self.merge(self.scales(block1))

    def forward(self, pillars: Tensor) -> Tensor:
        """The BEV feature of a pillar map."""
        return self.rest(self.first(pillars))
