"""Points to the pillar map through sparse 3-D convolutions: SECOND's middle layers (Yan et al., 2018, section 3.2).

Submanifold and strided convolutions as OpenPCDet and OpenCOOD arrange them (`VoxelBackBone8x`): three strides of two
lead from voxels to pillars, one more shortens the height, what is left of it joins the channels. Widths are w, 2w, 4w,
4w and at last 8w, with w = 16 there. The convolutions are spconv's where it is installed, else those of `sparse_ops`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from importlib.metadata import distributions
from typing import Any

import torch
from torch import Tensor, nn

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.pillars import Encoder, PillarPoints
from carla_cp.perception.sparse_ops import (
    Rules,
    Sites,
    Triple,
    convolve,
    strided_rules,
    strided_shape,
    submanifold_rules,
)
from carla_cp.perception.voxels import VoxelGrid, group_voxels
from carla_cp.types import PointArray

INPUTS = 4  # mean x, y, z, intensity of a voxel
DEEPENING = 8  # channels of the last layer over those of the first
HALF: Triple = (2, 2, 2)


class Engine(Enum):
    """Who computes the convolutions; the weights are the same, the results too but for rounding."""

    TORCH = "torch"
    SPCONV_CPU = "spconv"  # for tensors on the CPU, without gradients: with them it asks for CUDA (2.3.8)
    SPCONV_CUDA = "spconv-cu"  # for tensors on a GPU


def installed_engine() -> Engine:
    """spconv where it is installed. Raises ImportError for two builds of it: they overwrite each other's files."""
    builds = sorted({str(found.name) for found in distributions() if str(found.name).startswith("spconv")})
    if len(builds) > 1:
        raise ImportError(f"{' and '.join(builds)} are both installed; uninstall all of them, then install one again")
    if not builds:
        return Engine.TORCH
    return Engine.SPCONV_CPU if builds == ["spconv"] else Engine.SPCONV_CUDA


@dataclass(frozen=True, slots=True)
class Layer:
    """One convolution; without a stride it is submanifold: occupied cells stay the same."""

    inputs: int
    outputs: int
    level: int  # of resolution
    stride: Triple | None = None
    kernel: Triple = (3, 3, 3)
    padding: Triple = (1, 1, 1)


def layers(width: int) -> tuple[Layer, ...]:
    """The encoder's convolutions, from voxels to pillars."""
    w, wide, wider = width, 2 * width, 4 * width
    return (
        Layer(INPUTS, w, 0),
        Layer(w, w, 0),
        Layer(w, wide, 1, HALF),
        *(Layer(wide, wide, 1),) * 2,
        Layer(wide, wider, 2, HALF),
        *(Layer(wider, wider, 2),) * 2,
        Layer(wider, wider, 3, HALF, padding=(0, 1, 1)),
        *(Layer(wider, wider, 3),) * 2,
        Layer(wider, DEEPENING * width, 4, (2, 1, 1), (3, 1, 1), (0, 0, 0)),
    )


def voxel_grid(config: DetectorConfig) -> VoxelGrid:
    """The voxels of a configuration."""
    return VoxelGrid(config.grid, config.voxel_height_m)


class SparseEncoder(Encoder):
    """Encodes occupied voxels into a pillar map."""

    def __init__(self, config: DetectorConfig, engine: Engine | None = None) -> None:
        """Layers of the widths that end in `config.pillar_channels`, untrained.

        Raises ValueError for a grid or a number of channels that does not fit.
        """
        super().__init__(config)
        self.engine = installed_engine() if engine is None else engine
        self.voxels = voxel_grid(config)
        self.shape: Triple = (self.voxels.layers + 1, self.voxels.rows, self.voxels.columns)  # one more, as SECOND has
        shape = self.shape
        for layer in layers(1):
            shape = shape if layer.stride is None else strided_shape(shape, layer.kernel, layer.stride, layer.padding)
        self.folded = shape  # of the last layer: its height joins the channels
        whole = DEEPENING * shape[0]
        if config.pillar_channels % whole:
            raise ValueError(
                f"pillar_channels is {config.pillar_channels}; {shape[0]} layers need a multiple of {whole}"
            )
        self.blocks = nn.ModuleList(_Block(layer, self.engine) for layer in layers(config.pillar_channels // whole))

    @staticmethod
    def grouped(points: PointArray, config: DetectorConfig) -> PillarPoints:
        """The occupied voxels of a cloud (N, 4) in the agent frame, at most `points_per_pillar` points of each."""
        return group_voxels(points, voxel_grid(config), config.points_per_pillar)

    @staticmethod
    def map_cells(config: DetectorConfig) -> int:
        """The voxels of one map."""
        return voxel_grid(config).cells

    def forward(self, points: Tensor, counts: Tensor, cells: Tensor, batch: int) -> Tensor:
        """The pillar maps (batch, C, pillar_rows, pillar_columns), >= 0 and exactly 0 out of reach of all points.

        Takes what `grouped` gives of all clouds together, a cloud's cells shifted by `cells_per_map` for each before
        it. Computes in float32 under autocast too.
        """
        with torch.autocast(points.device.type, enabled=False):
            grid = self.voxels
            places = [cells // grid.cells, cells // (grid.rows * grid.columns) % grid.layers]
            places += [cells // grid.columns % grid.rows, cells % grid.columns]
            sites = Sites(points[:, 0], torch.stack(places, dim=1), self.shape, batch)
            return self._fold(self._by_spconv(sites) if self._spconv_can(points) else self._by_torch(sites))

    def _spconv_can(self, points: Tensor) -> bool:
        """Whether the installed build computes what is asked; none does without a voxel."""
        if points.is_cuda:
            return self.engine is Engine.SPCONV_CUDA and len(points) > 0
        return self.engine is Engine.SPCONV_CPU and len(points) > 0 and not torch.is_grad_enabled()

    def _by_torch(self, sites: Sites) -> Sites:
        same: Rules | None = None  # of all submanifold convolutions between two strides
        for block in self.blocks:
            layer: Layer = block.layer  # type: ignore[assignment]
            if layer.stride is not None:
                rules = strided_rules(sites, layer.kernel, layer.stride, layer.padding)
                same = None
            else:
                rules = same = same or submanifold_rules(sites)
            sites = block(sites, rules)
        return sites

    def _by_spconv(self, sites: Sites) -> Sites:
        from spconv.pytorch import SparseConvTensor

        found = SparseConvTensor(sites.features, sites.places.int(), list(sites.shape), sites.batch)
        for block in self.blocks:
            found = block.by_spconv(found)  # type: ignore[operator]
        return replace(sites, features=found.features, places=found.indices.long(), shape=self.folded)

    def _fold(self, sites: Sites) -> Tensor:
        (depth, rows, columns), (batch, z, y, x) = self.folded, sites.places.unbind(1)
        width = sites.features.shape[1]
        canvas = sites.features.new_zeros((sites.batch * rows * columns, width, depth))
        canvas[(batch * rows + y) * columns + x, :, z] = sites.features
        return canvas.view(sites.batch, rows, columns, width * depth).permute(0, 3, 1, 2)


class _Block(nn.Module):
    """A sparse convolution, batch norm, ReLU."""

    def __init__(self, layer: Layer, engine: Engine) -> None:
        super().__init__()
        self.layer = layer
        self.conv = _Weight(layer) if engine is Engine.TORCH else _spconv_layer(layer)
        bound = 1 / math.sqrt(layer.inputs * math.prod(layer.kernel))
        nn.init.uniform_(self._weight, -bound, bound)
        self.norm = nn.BatchNorm1d(layer.outputs, eps=1e-3, momentum=0.01)

    @property
    def _weight(self) -> Tensor:
        return self.conv.get_parameter("weight")

    def forward(self, sites: Sites, rules: Rules) -> Sites:
        found = convolve(sites, self._weight, rules)
        return replace(found, features=torch.relu(self.norm(found.features)))

    def by_spconv(self, found: Any) -> Any:
        found = self.conv(found)
        return found.replace_feature(torch.relu(self.norm(found.features)))


class _Weight(nn.Module):
    """Holds a convolution's weight under the name and in the layout that spconv gives it."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(layer.outputs, *layer.kernel, layer.inputs))


def _spconv_layer(layer: Layer) -> nn.Module:
    from spconv.pytorch import SparseConv3d, SubMConv3d

    with torch.random.fork_rng(devices=[]):  # what spconv draws must not change what is drawn after it
        if layer.stride is None:
            made = SubMConv3d(layer.inputs, layer.outputs, 3, padding=1, bias=False, indice_key=str(layer.level))
        else:
            shape = (layer.kernel, layer.stride, layer.padding)
            made = SparseConv3d(layer.inputs, layer.outputs, *shape, bias=False)
    result: nn.Module = made
    return result
