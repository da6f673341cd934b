"""Points to the pillar map: PointPillars' encoder (Lang et al., 2019, section 2.1).

Differences: pillars hold evenly spaced samples of their points instead of the first ones with zero padding, so that
no mask is needed; the points' range replaces their absolute position, so that features do not depend on where the
sender looks; the maximum is taken before batch norm and ReLU, which then see pillars, not points.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from carla_cp.geometry import compose
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import GridSpec, IntArray, PointArray, Pose, Sweep

POINT_FEATURES = 9
RANGE_SCALE_M = 50.0
PART = 2048  # pillars encoded at a time


@dataclass(frozen=True, slots=True, eq=False)
class PillarPoints:
    """The occupied pillars of one cloud; another encoder's cells may be smaller than a pillar."""

    points: PointArray  # (P, K, 4) K evenly spaced samples of each pillar's points, repeated where there are fewer
    cells: IntArray  # (P,) row * pillar_columns + column
    counts: npt.NDArray[np.float32]  # (P,) points in the pillar


class Encoder(nn.Module):
    """Clouds to the pillar map that the backbone takes; one file per encoder."""

    cells_per_map: int  # what `PillarPoints.cells` stays below

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained."""
        super().__init__()
        self.config = config
        self.cells_per_map = self.map_cells(config)

    def group(self, points: PointArray) -> PillarPoints:
        """A cloud (N, 4) in the agent frame as `forward` takes it."""
        return self.grouped(points, self.config)

    @staticmethod
    @abstractmethod
    def grouped(points: PointArray, config: DetectorConfig) -> PillarPoints:
        """What `group` gives, for who has no network at hand."""

    @staticmethod
    def map_cells(config: DetectorConfig) -> int:
        """`cells_per_map`, for who has no network at hand."""
        return config.grid.pillar_rows * config.grid.pillar_columns

    @abstractmethod
    def forward(self, points: Tensor, counts: Tensor, cells: Tensor, batch: int) -> Tensor:
        """The maps (batch, C, pillar_rows, pillar_columns) of grouped clouds, >= 0 and exactly 0 where no point fell.

        `points`, `counts` and `cells` are those of all clouds together, a cloud's cells shifted by `cells_per_map`
        for each cloud before it.
        """


def to_canvas(values: Tensor, cells: Tensor, batch: int, grid: GridSpec) -> Tensor:
    """Maps (batch, C, pillar_rows, pillar_columns) of the values (P, C) of pillars, zero elsewhere."""
    rows, columns = grid.pillar_rows, grid.pillar_columns
    canvas = values.new_zeros((batch * rows * columns, values.shape[1]))
    canvas = canvas.index_put_((cells,), values)
    return canvas.view(batch, rows, columns, values.shape[1]).permute(0, 3, 1, 2)


def middles(cells: Tensor, grid: GridSpec) -> Tensor:
    """x, y of the middles of pillars (P,) of one map: (P, 2)."""
    start = cells.new_tensor([grid.half_length_m, grid.half_width_m], dtype=torch.float64)
    places = torch.stack([cells % grid.pillar_columns, cells // grid.pillar_columns], dim=1).float()
    return places * grid.pillar_m + (grid.pillar_m / 2 - start).float()


def agent_pose(sweep: Sweep) -> Pose:
    """world_from_agent: the believed lidar frame, lowered to the ground along its own z axis."""
    return compose(sweep.world_from_lidar, Pose(z=-sweep.sensor_height_m))


def agent_points(sweep: Sweep, config: DetectorConfig) -> PointArray:
    """The sweep's points (N, 4) in the agent frame, without the returns of the agent's own vehicle."""
    points = sweep.points.astype(np.float32)
    points[:, 2] += np.float32(sweep.sensor_height_m)
    return points[~on_own_body(points, config)]


def on_own_body(points: npt.NDArray[np.floating], config: DetectorConfig) -> npt.NDArray[np.bool_]:
    """Which rows (x, y first, agent frame) lie over the agent's own vehicle: (N,) bool."""
    ahead = np.abs(points[:, 0] - config.body_middle_m) <= config.body_half_length_m
    within: npt.NDArray[np.bool_] = ahead & (np.abs(points[:, 1]) <= config.body_half_width_m)
    return within


def group_points(points: PointArray, grid: GridSpec, per_pillar: int) -> PillarPoints:
    """The occupied pillars of a cloud (N, 4) in the agent frame, by rising cell; points outside the grid are left."""
    kept, cell = sorted_by_cell(points, grid)
    starts = np.flatnonzero(np.diff(cell, prepend=cell[:1] ^ 1)) if len(cell) else np.zeros(0, np.int64)
    counts = np.diff(starts, append=len(cell))
    picks = starts[:, None] + np.arange(per_pillar) * counts[:, None] // per_pillar
    chosen = points.take(kept.take(picks), axis=0)
    return PillarPoints(chosen, cell[starts].astype(np.int64), counts.astype(np.float32))


def sorted_by_cell(points: PointArray, grid: GridSpec) -> tuple[IntArray, npt.NDArray[np.unsignedinteger]]:
    """Numbers (M,) of the points inside the grid, by rising cell and then as they come, and their cells (M,)."""
    x, y, z = np.ascontiguousarray(points[:, :3].T)
    column = np.floor((x + grid.half_length_m) / grid.pillar_m)
    row = np.floor((y + grid.half_width_m) / grid.pillar_m)
    inside = (column >= 0) & (column < grid.pillar_columns) & (row >= 0) & (row < grid.pillar_rows)
    inside &= (z >= grid.z_min_m) & (z < grid.z_max_m)
    kept = np.flatnonzero(inside)
    cell = (row[kept] * grid.pillar_columns + column[kept]).astype(_key_type(grid))
    order = np.argsort(cell, kind="stable")  # a radix sort for 16-bit keys
    return kept[order], cell[order]


def _key_type(grid: GridSpec) -> type[np.uint16] | type[np.uint32]:
    return np.uint16 if grid.pillar_rows * grid.pillar_columns <= 2**16 else np.uint32


class _LinearMax(torch.autograd.Function):
    """max over k of points (P, K, F) times weight (C, F)^T: (P, C); only the weight learns, points do not.

    Each output depends on one point, so that a gradient needs P x C of them instead of P x K x C.
    """

    @staticmethod
    def forward(ctx: Any, points: Tensor, weight: Tensor) -> Tensor:
        values, index = torch.matmul(points, weight.T).max(dim=1)
        ctx.save_for_backward(points, index)
        return values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        points, index = ctx.saved_tensors
        winners = [points[..., feature].gather(1, index) for feature in range(points.shape[2])]
        return None, torch.stack([(gradient * winner).sum(dim=0) for winner in winners], dim=1)


def _linear_max(points: Tensor, weight: Tensor) -> Tensor:
    if not torch.is_grad_enabled():
        # Without the winners' index, and in parts that stay in the cache.
        parts = (points[start : start + PART] for start in range(0, max(len(points), 1), PART))
        return torch.cat([torch.matmul(part, weight.T).amax(dim=1) for part in parts])
    result: Tensor = _LinearMax.apply(points, weight)  # type: ignore[no-untyped-call]
    return result


class PillarNet(Encoder):
    """Encodes occupied pillars and scatters them into a map."""

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained."""
        super().__init__(config)
        self.linear = nn.Linear(POINT_FEATURES, config.pillar_channels, bias=False)
        self.norm = nn.BatchNorm1d(config.pillar_channels, eps=1e-3, momentum=0.01)

    @staticmethod
    def grouped(points: PointArray, config: DetectorConfig) -> PillarPoints:
        """The occupied pillars of a cloud (N, 4) in the agent frame."""
        return group_points(points, config.grid, config.points_per_pillar)

    def forward(self, points: Tensor, counts: Tensor, cells: Tensor, batch: int) -> Tensor:
        """The pillar maps (batch, C, pillar_rows, pillar_columns), >= 0 and exactly 0 where no point fell.

        Takes points (P, K, 4), counts (P,) and cells (P,) = map * pillars of a map + cell, of all maps together.
        """
        values = torch.relu(self.norm(self._strongest(points, counts, cells % self.cells_per_map)))
        return to_canvas(values, cells, batch, self.config.grid)

    def _strongest(self, points: Tensor, counts: Tensor, cells: Tensor) -> Tensor:
        """The maximum over each pillar's points of the linear layer: (P, C).

        A point's features are height, intensity, offsets to the mean (3) and to the pillar's middle (2), range and
        density. Offsets are differences, so the layer splits into a part of the point and a part of its pillar, which
        takes no part in the maximum.
        """
        weight = self.linear.weight
        of_point = torch.stack(
            [
                weight[:, 2] + weight[:, 5],
                weight[:, 3] + weight[:, 6],
                weight[:, 0] + weight[:, 4],
                *weight[:, (1, 7)].T,
            ],
            dim=1,
        )
        of_pillar = torch.cat([-weight[:, 2:7], weight[:, 8:]], dim=1)
        with torch.no_grad():
            distance = torch.sqrt(points[..., 0] ** 2 + points[..., 1] ** 2) / RANGE_SCALE_M
            each_point = torch.cat([points, distance[..., None]], dim=2)
            density = torch.log1p(counts)[:, None] / 4.0
            each_pillar = torch.cat([points[..., :3].mean(dim=1), middles(cells, self.config.grid), density], dim=1)
        return _linear_max(each_point, of_point) + functional.linear(each_pillar, of_pillar)
