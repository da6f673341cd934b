"""Training samples: recorded frames, augmented, as the arrays that one training step takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from carla_cp.geometry import matrix_from_pose, transform_boxes
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.encoders import group_cloud
from carla_cp.perception.fusion import is_roadside, plane_theta
from carla_cp.perception.head import Targets, make_targets
from carla_cp.perception.pillars import PillarPoints, agent_points
from carla_cp.perception.truth import agent_from_world
from carla_cp.types import AgentFrame, FloatArray, Frame, GridSpec, IntArray, Pose

MIRROR = np.diag([1.0, -1.0, 1.0, 1.0])
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How a frame is varied; zero everywhere leaves it as recorded, with every agent and every cell."""

    max_agents: int = 4
    drop: float = 0.4  # chance of leaving out a random number of agents
    mirror: float = 0.5  # chance
    turn_rad: float = 0.8  # half-width of each agent's own turn
    partial: float = 0.5  # chance, per sender, of a partial message
    noise_m: float = 0.1  # standard deviation of a sender's believed position, per axis
    noise_rad: float = 0.005  # and of its heading


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One frame, seen by the agents that take part in it; the first is the ego."""

    clouds: tuple[PillarPoints, ...]
    own: tuple[Targets, ...]  # per agent: what it hits itself
    team: Targets  # in the ego's grid: what the ego hits, or someone hits and sends
    theta: Tensor  # (agents - 1, 2, 3) of the senders, for `fusion.warp`
    valid: Tensor  # (agents - 1, rows, columns) bool
    roadside: tuple[bool, ...]  # per agent: an RSU


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One agent after augmentation: its objects in its own frame, and the matrix into it from the world."""

    boxes: FloatArray
    ids: IntArray
    labels: IntArray
    cloud: PillarPoints
    from_world: FloatArray


def make_sample(frame: Frame, config: DetectorConfig, rng: np.random.Generator, vary: Augmentation) -> Sample:
    """The frame with a random ego and random partners, turned, mirrored and partly sent."""
    mirror = MIRROR if rng.random() < vary.mirror else np.eye(4)
    chosen = rng.permutation(len(frame.agents))[: vary.max_agents]
    if rng.random() < vary.drop:
        chosen = chosen[: rng.integers(1, len(chosen) + 1)]
    agents = [_augment(frame.agents[index], config, rng.uniform(-1, 1) * vary.turn_rad, mirror) for index in chosen]
    ego, senders = agents[0], agents[1:]
    masks = [
        partial_mask(agent.boxes, config.grid, rng)
        if rng.random() < vary.partial
        else np.ones((config.grid.rows, config.grid.columns), bool)
        for agent in senders
    ]
    thetas = [plane_theta(_noise(rng, vary) @ _relative(ego, agent), config.grid) for agent in senders]
    empty = torch.zeros((0, 2, 3)), torch.zeros((0, config.grid.rows, config.grid.columns), dtype=torch.bool)
    return Sample(
        tuple(agent.cloud for agent in agents),
        tuple(make_targets(agent.boxes, agent.labels, config.grid) for agent in agents),
        _team_targets(ego, senders, masks, config.grid),
        torch.stack(thetas) if thetas else empty[0],
        torch.from_numpy(np.stack(masks)) if masks else empty[1],
        tuple(is_roadside(frame.agents[index].sweep.agent) for index in chosen),
    )


def _augment(agent: AgentFrame, config: DetectorConfig, turn: float, mirror: FloatArray) -> _Seen:
    change = matrix_from_pose(Pose(yaw=-turn)) @ mirror
    points = agent_points(agent.sweep, config)
    points[:, :2] = points[:, :2] @ change[:2, :2].T.astype(np.float32)
    boxes = transform_boxes(agent_from_world(agent), agent.boxes)
    return _Seen(
        transform_boxes(change, boxes),
        agent.ids,
        agent.labels,
        group_cloud(points, config),
        change @ agent_from_world(agent),
    )


def _relative(ego: _Seen, sender: _Seen) -> FloatArray:
    return np.asarray(ego.from_world @ np.linalg.inv(sender.from_world))


def _noise(rng: np.random.Generator, vary: Augmentation) -> FloatArray:
    x, y, yaw = rng.normal(0, 1, 3) * [vary.noise_m, vary.noise_m, vary.noise_rad]
    return matrix_from_pose(Pose(x=x, y=y, yaw=yaw))


def partial_mask(boxes: FloatArray, grid: GridSpec, rng: np.random.Generator) -> Mask:
    """Cells (rows, columns) as a codec under a budget might send them: around most objects, or in random blocks."""
    shape = (grid.rows, grid.columns)
    if rng.random() < 0.4:
        blocks = rng.random((8, 8)) < rng.uniform(0.2, 0.9)
        return blocks[np.ix_(*(np.arange(size) * 8 // size for size in shape))]
    mask = rng.random(shape) < rng.uniform(0, 0.05)
    middle = _cell_of(boxes, grid)[rng.random(len(boxes)) < 0.85]
    reach = rng.integers(1, 5)
    for row, column in middle:
        mask[max(row - reach, 0) : max(row + reach + 1, 0), max(column - reach, 0) : max(column + reach + 1, 0)] = True
    return mask


def _cell_of(boxes: FloatArray, grid: GridSpec) -> IntArray:
    """Row and column (N, 2) of the boxes' centres; not clipped to the grid."""
    cell = np.floor((boxes[:, 1::-1] + (grid.half_width_m, grid.half_length_m)) / grid.cell_m)
    return cell.astype(np.int64)


def _team_targets(ego: _Seen, senders: Sequence[_Seen], masks: Sequence[Mask], grid: GridSpec) -> Targets:
    """Objects that the ego's grid or a sent cell covers: of the others there is no evidence to learn from."""
    boxes, ids, labels = [ego.boxes], [ego.ids], [ego.labels]
    for sender, mask in zip(senders, masks, strict=True):
        cell = _cell_of(sender.boxes, grid)
        inside = ((cell >= 0) & (cell < (grid.rows, grid.columns))).all(axis=1)
        sent = np.zeros(len(cell), bool)
        sent[inside] = mask[cell[inside, 0], cell[inside, 1]]
        boxes.append(transform_boxes(_relative(ego, sender), sender.boxes[sent]))
        ids.append(sender.ids[sent])
        labels.append(sender.labels[sent])
    _, first = np.unique(np.concatenate(ids), return_index=True)
    return make_targets(np.concatenate(boxes)[first], np.concatenate(labels)[first], grid)
