"""Points to voxels: the mean of each voxel's first points (SECOND, Yan et al., 2018, section 3.1).

Left out: its cap on the number of voxels of a cloud, and the voxel feature layers that later versions dropped too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carla_cp.perception.pillars import PillarPoints
from carla_cp.types import GridSpec, IntArray, PointArray

VOXELS_PER_PILLAR = 8  # along x and along y: three strides of two lead from voxels to pillars


@dataclass(frozen=True, slots=True)
class VoxelGrid:
    """The voxels over a detector's grid: 8 x 8 of them stand on each pillar's ground."""

    grid: GridSpec
    height_m: float

    def __post_init__(self) -> None:
        """Raises ValueError if the grid is not so many whole voxels high."""
        extent = self.grid.z_max_m - self.grid.z_min_m
        if self.height_m <= 0 or self.layers < 1 or abs(self.layers * self.height_m - extent) > 1e-6:
            raise ValueError(f"voxel_height_m is {self.height_m}; a grid {extent:g} m high must be a multiple of it")

    @property
    def side_m(self) -> float:
        """Extent along x and y."""
        return self.grid.pillar_m / VOXELS_PER_PILLAR

    @property
    def layers(self) -> int:
        """Voxels along z."""
        return round((self.grid.z_max_m - self.grid.z_min_m) / self.height_m)

    @property
    def rows(self) -> int:
        """Voxels along y."""
        return self.grid.pillar_rows * VOXELS_PER_PILLAR

    @property
    def columns(self) -> int:
        """Voxels along x."""
        return self.grid.pillar_columns * VOXELS_PER_PILLAR

    @property
    def cells(self) -> int:
        """All voxels of one map."""
        return self.layers * self.rows * self.columns


def group_voxels(points: PointArray, voxels: VoxelGrid, per_voxel: int) -> PillarPoints:
    """The occupied voxels of a cloud (N, 4) in the agent frame, by rising cell; points outside the grid are left.

    `points` (V, 1, 4) is the mean of each voxel's first points, `cells` (V,) (layer * rows + row) * columns + column.
    """
    cell = _cells(points, voxels)
    kept = np.flatnonzero(cell >= 0)
    # Cell and number in one integer: such integers sort five times as fast as cells with their order kept.
    packed = np.sort(cell[kept] << 32 | kept)
    cell, order = packed >> 32, packed & 0xFFFFFFFF
    starts = np.flatnonzero(np.diff(cell, prepend=cell[:1] - 1))
    counts = np.diff(starts, append=len(cell))
    total = points.take(order.take(starts), axis=0)
    for rank in range(1, per_voxel):
        fuller = np.flatnonzero(counts > rank)
        total[fuller] += points.take(order.take(starts[fuller] + rank), axis=0)
    used = np.minimum(counts, per_voxel).astype(np.float32)
    return PillarPoints((total / used[:, None])[:, None], cell[starts], counts.astype(np.float32))


def _cells(points: PointArray, voxels: VoxelGrid) -> IntArray:
    """Each point's cell (N,), -1 outside the grid."""
    grid, (x, y, z) = voxels.grid, np.ascontiguousarray(points[:, :3].T)
    column = np.floor((x + grid.half_length_m) / voxels.side_m)
    row = np.floor((y + grid.half_width_m) / voxels.side_m)
    layer = np.floor((z - grid.z_min_m) / voxels.height_m)
    inside = (column >= 0) & (column < voxels.columns) & (row >= 0) & (row < voxels.rows)
    inside &= (layer >= 0) & (layer < voxels.layers)
    cell = np.full(len(points), -1, np.int64)
    column, row, layer = (axis[inside].astype(np.int64) for axis in (column, row, layer))
    cell[inside] = (layer * voxels.rows + row) * voxels.columns + column
    return cell
