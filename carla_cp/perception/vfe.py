"""Points to the pillar map as OpenCOOD does it: PointPillars' encoder (Lang et al., 2019) in OpenPCDet's form.

A pillar keeps its first points and is filled up with zeros, which take part in the maximum as what batch norm and ReLU
make of zero; ten inputs per point (x, y, z, intensity, offsets to the mean and to the pillar's middle); one layer.
Heights are measured from `network_z_m` above the road: OPV2V's networks see their own LiDAR's frame.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.pillars import Encoder, PillarPoints, middles, sorted_by_cell, to_canvas
from carla_cp.types import GridSpec, PointArray

POINT_FEATURES = 10
PART = 2048  # pillars encoded at a time


class PillarVfe(Encoder):
    """Encodes occupied pillars and scatters them into a map."""

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained."""
        super().__init__(config)
        self.linear = nn.Linear(POINT_FEATURES, config.pillar_channels, bias=False)
        self.norm = nn.BatchNorm1d(config.pillar_channels, eps=1e-3, momentum=0.01)

    @staticmethod
    def grouped(points: PointArray, config: DetectorConfig) -> PillarPoints:
        """The occupied pillars of a cloud (N, 4) in the agent frame: their first points in the network's frame.

        `points` (P, K, 4) is zero behind the `counts` (P,) points that a pillar keeps. Of more than `max_pillars`
        pillars those stay that a point enters first, as with spconv's generator.
        """
        kept, cell = sorted_by_cell(points, config.grid)
        starts = np.flatnonzero(np.diff(cell, prepend=cell[:1] ^ 1)) if len(cell) else np.zeros(0, np.int64)
        counts = np.diff(starts, append=len(cell))
        if 0 < config.max_pillars < len(starts):
            chosen = np.sort(np.argsort(kept[starts])[: config.max_pillars])
            starts, counts = starts[chosen], counts[chosen]
        counts = np.minimum(counts, config.points_per_pillar)
        used = np.arange(config.points_per_pillar) < counts[:, None]
        ranks = np.where(used, starts[:, None] + np.arange(config.points_per_pillar), 0)
        found = np.zeros((len(starts), config.points_per_pillar, 4), np.float32)
        found[used] = points.take(kept.take(ranks[used]), axis=0)
        found[..., 2][used] -= np.float32(config.network_z_m)
        return PillarPoints(found, cell[starts].astype(np.int64), counts.astype(np.float32))

    def forward(self, points: Tensor, counts: Tensor, cells: Tensor, batch: int) -> Tensor:
        """The pillar maps (batch, C, pillar_rows, pillar_columns), >= 0 and exactly 0 where no point fell.

        Takes points (P, K, 4), counts (P,) and cells (P,) = map * pillars of a map + cell, of all maps together.
        """
        middle = middles(cells % self.cells_per_map, self.config.grid)
        if self.training:
            values = self.norm(self.linear(self._features(points, counts, middle)).transpose(1, 2))
            return to_canvas(torch.relu(values).amax(dim=2), cells, batch, self.config.grid)
        return to_canvas(self._strongest(points, counts, middle), cells, batch, self.config.grid)

    def _strongest(self, points: Tensor, counts: Tensor, middle: Tensor) -> Tensor:
        """The encoded pillars (P, C), in parts of similar fullness, each computed for as many points as it holds."""
        empty = torch.relu(self.norm(self.norm.weight.new_zeros((1, self.config.pillar_channels))))
        order = torch.argsort(counts, stable=True)
        found = points.new_zeros((len(points), self.config.pillar_channels))
        for part in torch.split(order, PART) if len(points) else ():
            fullest = int(counts[part[-1]])
            values = self.linear(self._features(points[part, :fullest], counts[part], middle[part]))
            values = self.norm(values.transpose(1, 2)).amax(dim=2)
            filled = (counts[part] < points.shape[1])[:, None]
            found[part] = torch.maximum(torch.relu(values), torch.where(filled, empty, 0.0))
        return found

    def _features(self, points: Tensor, counts: Tensor, middle: Tensor) -> Tensor:
        """The layer's inputs (P, K, 10), zero behind a pillar's points."""
        place = points[..., :3]
        mean = place.sum(dim=1) / counts[:, None]
        height = place.new_full((len(points), 1), middle_height(self.config.grid, self.config.network_z_m))
        centre = torch.cat([middle, height], dim=1)
        features = torch.cat([points, place - mean[:, None], place - centre[:, None]], dim=2)
        used = torch.arange(points.shape[1], device=points.device) < counts[:, None]
        return features * used[..., None]


def middle_height(grid: GridSpec, network_z_m: float) -> float:
    """z of a pillar's middle in the network's frame."""
    return (grid.z_min_m + grid.z_max_m) / 2 - network_z_m
