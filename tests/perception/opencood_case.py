"""A small case for OpenCOOD's networks: weights by name, a made-up frame of two agents, and a training's settings.

What its code gives for it lies in data/opencood.json: names and shapes of its tensors, in the published sizes and in
those of the case, and a few output values.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from carla_cp.perception.fusion.cobevt import relative_places
from carla_cp.types import PointArray

KNOWN: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "opencood.json").read_text(encoding="utf-8"))
HALF_LENGTH_M, HALF_WIDTH_M = 25.6, 12.8
RANGE = [-HALF_LENGTH_M, -HALF_WIDTH_M, -3, HALF_LENGTH_M, HALF_WIDTH_M, 1]
SHRINKS = {"fcooper": (1, 1), "cobevt": (3, 2), "v2vnet": (3, 2)}  # kernel, stride
TURN, AHEAD_M, ASIDE_M = 0.3, 4.0, -2.5  # of the partner, seen from the ego
MODELS = {
    "late": "point_pillar",
    "early": "point_pillar",
    "attfuse": "point_pillar_intermediate",
    "fcooper": "point_pillar_fcooper",
    "v2vnet": "point_pillar_v2vnet",
    "cobevt": "point_pillar_cobevt",
    "coalign": "point_pillar_coalign",
}


@dataclass(frozen=True, slots=True)
class Value:
    """One output of OpenCOOD's network."""

    head: str  # "psm" or "rm"
    place: tuple[int, int, int]  # channel, row, column
    value: float


def shapes(method: str, size: str = "small") -> dict[str, list[int]]:
    """Names and shapes of a method's tensors, in the size of the case or in the `published` one."""
    tables: dict[str, Any] = KNOWN[size]
    table = tables[method]
    return dict(tables[table] if isinstance(table, str) else table)


def values(method: str) -> list[Value]:
    """What the method's network says of `clouds`."""
    return [Value(head, (channel, row, column), value) for head, channel, row, column, value in KNOWN["values"][method]]


def weight(name: str, shape: list[int]) -> Tensor:
    """The tensor of that name: drawn by its name alone, and of a size that keeps features of order one."""
    if name.endswith("relative_position_index"):
        return relative_places(5, 4)
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    normal, uniform = rng.standard_normal(shape), rng.uniform(0.75, 1.25, shape)
    if name.endswith("running_var"):
        drawn = uniform
    elif len(shape) > 1:
        drawn = normal * np.sqrt(1.6 / np.prod(shape[1:]))
    elif name.endswith("bn2.weight"):
        drawn = uniform * 0.2
    else:
        drawn = uniform if name.endswith("weight") else normal * 0.1
    return torch.from_numpy(drawn.astype(np.float32))


def weights(method: str) -> dict[str, Tensor]:
    """All tensors of a checkpoint of that method, in the size of the case."""
    return {name: weight(name, shape) for name, shape in shapes(method).items()}


def published(method: str) -> dict[str, Tensor]:
    """All tensors of a checkpoint of the published size, zero."""
    table = shapes(method, "published")
    return {
        name: weight(name, shape) if name.endswith("index") else torch.zeros(shape) for name, shape in table.items()
    }


def clouds() -> tuple[PointArray, PointArray]:
    """What the ego and its partner see (N, 4), each in its own LiDAR frame; some pillars overflow."""
    return _cloud("ego"), _cloud("partner")


def ego_from_partner() -> np.ndarray[Any, np.dtype[np.float64]]:
    """The 4 x 4 matrix between the two LiDAR frames."""
    cos, sin = np.cos(TURN), np.sin(TURN)
    return np.array([[cos, -sin, 0, AHEAD_M], [sin, cos, 0, ASIDE_M], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def _cloud(who: str) -> PointArray:
    rng = np.random.default_rng(zlib.crc32(who.encode()))
    spread = rng.uniform([-27, -14, -3.2, 0], [27, 14, 1.2, 1], (3000, 4))
    heap = rng.normal([6.0, 3.0, -1.5, 0.5], [0.6, 0.6, 0.4, 0.1], (800, 4))
    points = np.concatenate([spread, heap])
    beyond = (np.abs(points[:, 0] - 0.5) > 2.5) | (np.abs(points[:, 1]) > 1.2)  # of their own cars
    cloud: PointArray = points[beyond].astype(np.float32)
    return cloud


def settings(method: str) -> dict[str, Any]:
    """What the config.yaml of a training of that method says, as far as it matters."""
    kernel, stride = SHRINKS.get(method, (0, 1))
    layers = {
        "layer_nums": [2, 1, 1],
        "layer_strides": [2, 2, 2],
        "num_filters": [16, 32, 48],
        "upsample_strides": [1, 2, 4],
        "num_upsample_filter": [128, 128, 128],
        "compression": 0,
    }
    arguments: dict[str, Any] = {
        "voxel_size": [0.4, 0.4, 4],
        "lidar_range": RANGE,
        "anchor_number": 2,
        "anchor_num": 2,
        "max_cav": 5,
        "pillar_vfe": {"use_norm": True, "with_distance": False, "use_absolute_xyz": True, "num_filters": [64]},
        "point_pillar_scatter": {"num_features": 64},
        "res_bev_backbone" if method == "coalign" else "base_bev_backbone": layers,
    }
    if kernel:
        arguments["shrink_header"] = {
            "kernal_size": [kernel],
            "stride": [stride],
            "padding": [kernel // 2],
            "dim": [256],
            "input_dim": 384,
        }
    core = {"late": "LateFusionDataset", "early": "EarlyFusionDataset"}.get(method, "IntermediateFusionDataset")
    return {
        "name": method,
        "fusion": {"core_method": core, "args": {"proj_first": method != "coalign"}},
        "preprocess": {
            "core_method": "SpVoxelPreprocessor",
            "args": {"voxel_size": [0.4, 0.4, 4], "max_points_per_voxel": 32, "max_voxel_test": 70000},
            "cav_lidar_range": RANGE,
        },
        "postprocess": {
            "core_method": "VoxelPostprocessor",
            "anchor_args": {
                "cav_lidar_range": RANGE,
                "l": 3.9,
                "w": 1.6,
                "h": 1.56,
                "r": [0, 90],
                "feature_stride": 2 * stride,
                "num": 2,
            },
            "target_args": {"pos_threshold": 0.6, "neg_threshold": 0.45, "score_threshold": 0.8},
            "order": "hwl",
            "max_num": 100,
            "nms_thresh": 0.15,
        },
        "model": {"core_method": MODELS[method], "args": arguments},
    }


def write_training(folder: Path, method: str) -> Path:
    """A folder as OpenCOOD's training leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(weights(method), folder / "net_epoch3.pth")
    (folder / "config.yaml").write_text(yaml.safe_dump(settings(method)), encoding="utf-8")
    return folder
