"""A view that looks like a detector's without one, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.presets import MINI
from carla_cp.types import AgentName, Detections, FloatArray, PointArray, Pose, Stage, Sweep

POSE = Pose(x=-123.456, y=78.901, z=0.25, roll=0.01, pitch=-0.02, yaw=2.5)
_CLASSES = 3


@dataclass(frozen=True, eq=False)
class FakeView:
    """`codecs.base.ViewLike` with every stage given."""

    sweep: Sweep
    world_from_agent: Pose
    points: PointArray
    pillars: torch.Tensor
    bev: torch.Tensor
    heat: torch.Tensor
    boxes: Detections
    tap: Stage = Stage.BEV

    @property
    def block1(self) -> torch.Tensor:
        """Every other channel of the BEV stage."""
        return self.bev[::2].contiguous()


def fake_view(seed: int = 0, agent: str = "rsu_1", objects: int = 8, config: DetectorConfig = MINI) -> FakeView:
    """A road, and `objects` cars that show in every stage of a detector like `mini`."""
    rng, grid = np.random.default_rng([seed, 1]), config.grid
    boxes = _cars(rng, objects)
    scores = np.sort(rng.uniform(0.2, 1.0, objects))[::-1]
    points = _points(rng, boxes)
    heat = np.full((_CLASSES, grid.rows, grid.columns), 0.01, np.float32)
    pillars = np.zeros((config.pillar_channels, grid.pillar_rows, grid.pillar_columns), np.float32)
    reach = np.array([grid.half_length_m, grid.half_width_m])
    for box, score in zip(boxes, scores, strict=True):
        column, row = ((box[:2] + reach) / grid.cell_m).astype(int)
        heat[0, row - 1 : row + 2, column - 1 : column + 2] = score
    inside = (np.abs(points[:, :2]) < reach).all(axis=1)
    columns, rows = ((points[inside, :2] + reach) / grid.pillar_m).astype(int).T
    drawn = rng.gamma(1.0, 1.0, (config.pillar_channels, int(inside.sum())))
    pillars[:, rows, columns] = drawn.astype(np.float32)
    pooled = torch.nn.functional.avg_pool2d(torch.from_numpy(pillars)[None], grid.bev_stride)[0]
    bev = pooled.repeat(config.bev_channels // config.pillar_channels, 1, 1) + 0.1
    return FakeView(
        sweep=Sweep(AgentName(agent), 1_234_567, points, POSE, 1.9),
        world_from_agent=POSE,
        points=points,
        pillars=torch.from_numpy(pillars),
        bev=bev.contiguous(),
        heat=torch.from_numpy(heat),
        boxes=Detections(boxes, scores, np.zeros(objects, np.int64)),
    )


def _cars(rng: np.random.Generator, count: int) -> FloatArray:
    return np.column_stack(
        [
            rng.uniform(-45, 45, (count, 2)),
            np.full(count, 0.8),
            rng.uniform(3.5, 5.5, count),
            np.full(count, 1.9),
            np.full(count, 1.6),
            rng.uniform(-3.1, 3.1, count),
        ]
    )


def _points(rng: np.random.Generator, boxes: FloatArray) -> PointArray:
    road = np.column_stack([rng.normal(0, 18, (3000, 2)), rng.normal(0, 0.02, 3000)])
    cars = np.concatenate([box[:3] + rng.normal(0, 0.6, (80, 3)) for box in boxes] or [np.zeros((0, 3))])
    places = np.concatenate([road, cars])
    reach = np.linalg.norm(places - [0, 0, 1.9], axis=1)
    return np.column_stack([places, np.exp(-0.004 * reach)]).astype(np.float32)
