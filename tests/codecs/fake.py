"""A view that looks like a detector's without one, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from carla_cp.types import AgentName, Detections, PointArray, Pose, Stage, Sweep


@dataclass(frozen=True, eq=False)
class FakeView:
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
        return self.bev[::2].contiguous()


POSE = Pose(x=-123.456, y=78.901, z=0.25, roll=0.01, pitch=-0.02, yaw=2.5)


def fake_view(seed: int = 0, agent: str = "rsu_1", objects: int = 8) -> FakeView:
    """A road, and `objects` cars that show in every stage."""
    rng = np.random.default_rng([seed, 1])
    boxes = np.column_stack(
        [
            rng.uniform(-45, 45, (objects, 2)),
            np.full(objects, 0.8),
            rng.uniform(3.5, 5.5, objects),
            np.full(objects, 1.9),
            np.full(objects, 1.6),
            rng.uniform(-3.1, 3.1, objects),
        ]
    )
    scores = np.sort(rng.uniform(0.2, 1.0, objects))[::-1]
    road = np.column_stack([rng.normal(0, 18, (3000, 2)), rng.normal(0, 0.02, 3000)])
    cars = np.concatenate([box[:3] + rng.normal(0, 0.6, (80, 3)) for box in boxes] or [np.zeros((0, 3))])
    places = np.concatenate([road, cars])
    reach = np.linalg.norm(places - [0, 0, 1.9], axis=1)
    points = np.column_stack([places, np.exp(-0.004 * reach)]).astype(np.float32)
    heat, pillars = np.full((3, 128, 128), 0.01, np.float32), np.zeros((32, 256, 256), np.float32)
    for box, score in zip(boxes, scores, strict=True):
        column, row = ((box[:2] + 51.2) / 0.8).astype(int)
        heat[0, row - 1 : row + 2, column - 1 : column + 2] = score
    inside = (np.abs(points[:, :2]) < 51.2).all(axis=1)
    columns, rows = ((points[inside, :2] + 51.2) / 0.4).astype(int).T
    pillars[:, rows, columns] = rng.gamma(1.0, 1.0, (32, int(inside.sum()))).astype(np.float32)
    bev = torch.nn.functional.avg_pool2d(torch.from_numpy(pillars)[None], 2)[0].repeat(2, 1, 1) + 0.1
    return FakeView(
        sweep=Sweep(AgentName(agent), 1_234_567, points, POSE, 1.9),
        world_from_agent=POSE,
        points=points,
        pillars=torch.from_numpy(pillars),
        bev=bev.contiguous(),
        heat=torch.from_numpy(heat),
        boxes=Detections(boxes, scores, np.zeros(objects, np.int64)),
    )
