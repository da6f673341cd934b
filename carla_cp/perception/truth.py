"""What a team could have seen: the truth that the detector is trained on and scored against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from carla_cp.geometry import compose, inverse, matrix_from_pose, relative, transform_boxes
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.pillars import on_own_body
from carla_cp.types import AgentFrame, FloatArray, Frame, GridSpec, IntArray, Pose, TruthObject


def agent_from_world(agent: AgentFrame) -> FloatArray:
    """The 4 x 4 matrix into an agent's true agent frame."""
    pose = compose(agent.true_world_from_lidar, Pose(z=-agent.sweep.sensor_height_m))
    return matrix_from_pose(inverse(pose))


def team_truth(frame: Frame, config: DetectorConfig, ego: int = 0) -> tuple[FloatArray, IntArray]:
    """Boxes (M, 7) in the true agent frame of agent `ego`, and labels (M,).

    The objects with at least one return at any agent, each once, with their centre in the grid, without the ego.
    """
    ids = np.concatenate([agent.ids for agent in frame.agents])
    boxes = np.concatenate([agent.boxes for agent in frame.agents])
    labels = np.concatenate([agent.labels for agent in frame.agents])
    _, first = np.unique(ids, return_index=True)
    local = transform_boxes(agent_from_world(frame.agents[ego]), boxes[first])
    half = (config.grid.half_length_m, config.grid.half_width_m)
    keep = (np.abs(local[:, :2]) < half).all(axis=1) & ~on_own_body(local, config)
    return local[keep], labels[first][keep]


def users_in_range(
    objects: Sequence[TruthObject], world_from_agent: Pose, grid: GridSpec
) -> tuple[FloatArray, IntArray, IntArray]:
    """Of all road users with their centre in the grid the boxes (M, 7) in the agent frame, labels and ids (M,)."""
    users = [item for item in objects if item.label is not None]
    boxes = np.array([item.box for item in users]).reshape(-1, 7)
    boxes = transform_boxes(relative(world_from_agent, Pose()), boxes)
    inside = (np.abs(boxes[:, :2]) < (grid.half_length_m, grid.half_width_m)).all(axis=1)
    labels = np.array([int(item.label or 0) for item in users], np.int64)
    ids = np.array([item.id for item in users], np.int64)
    return boxes[inside], labels[inside], ids[inside]
