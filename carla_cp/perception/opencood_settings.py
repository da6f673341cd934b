"""Configurations of OpenCOOD's PointPillars methods as ours: the published ones, and what a config.yaml says else.

OpenCOOD is the public code of "OPV2V" (Xu et al., ICRA 2022); CoAlign's repository (Lu et al., ICRA 2023) writes the
same kind of file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from carla_cp.perception.config import AnchorSpec, CheckpointError, DetectorConfig
from carla_cp.perception.presets import FULL_OPV2V, opv2v_grid
from carla_cp.types import GridSpec


@dataclass(frozen=True, slots=True)
class Method:
    """What a method's published configuration has of its own."""

    models: tuple[str, ...]  # `core_method`s of its config.yaml
    fusion: str  # our rule
    shrinks: bool = False
    kernel: int = 3  # of the shrink header
    stride: int = 1
    half_length_m: float = 140.8
    half_width_m: float = 40.0
    max_pillars: int = 70000
    apart: bool = True  # "proj_first": each agent's points are encoded by themselves, in the ego's frame


METHODS: dict[str, Method] = {
    "late": Method(("point_pillar",), "fcooper", half_length_m=70.4, max_pillars=40000, apart=False),
    "early": Method(("point_pillar",), "fcooper", apart=False),
    "attfuse": Method(("point_pillar_intermediate",), "attention"),
    "fcooper": Method(("point_pillar_fcooper",), "fcooper", shrinks=True, kernel=1),
    "v2vnet": Method(("point_pillar_v2vnet",), "v2vnet_memoryless", shrinks=True, stride=2),
    "cobevt": Method(("point_pillar_cobevt",), "cobevt_padded", shrinks=True, stride=2, half_width_m=38.4),
    "coalign": Method(("point_pillar_coalign", "point_pillar_baseline_multiscale"), "attention_unmasked", apart=False),
}


# Reads what yaml.dump wrote of NumPy arrays and the like as None: nothing that is asked for is such.
_Loader: Any = type("_Loader", (yaml.SafeLoader,), {})
_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)


def read_settings(path: Path) -> dict[str, Any]:
    """What a training's config.yaml says; empty where there is none. Raises CheckpointError for another file."""
    if not path.is_file():
        return {}
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CheckpointError(f"{path}: cannot be read ({' '.join(str(error).split())[:120]})") from None
    if not isinstance(found, dict) or not isinstance(found.get("model"), dict):
        raise CheckpointError(f"{path}: is no configuration of OpenCOOD: it names no model")
    return found


def config_of(
    settings: Mapping[str, Any], weights: Mapping[str, Tensor], method: str, sensor_height_m: float, path: Path
) -> DetectorConfig:
    """The configuration of our detector for a method, its settings (or none) and what its tensors' names tell."""
    config = _published(METHODS[method], weights, sensor_height_m)
    if not settings:
        return config
    try:
        return _as_set(config, settings, method, sensor_height_m)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise CheckpointError(f"{path}: does not fit method {method} ({reason})") from None


def _published(method: Method, weights: Mapping[str, Tensor], sensor_height_m: float) -> DetectorConfig:
    directions = weights.get("dir_head.weight")
    first = weights.get("shrink_conv.layers.0.double_conv.0.weight")
    shrinks = method.shrinks or first is not None
    stride = method.stride if shrinks else 1
    grid = opv2v_grid(method.half_length_m, method.half_width_m, 2 * stride)
    config = replace(
        FULL_OPV2V,
        grid=replace(grid, z_min_m=sensor_height_m - 3.0, z_max_m=sensor_height_m + 1.0),
        encoder="vfe",
        max_pillars=method.max_pillars,
        network_z_m=sensor_height_m,
        backbone="residual" if any(name.startswith("backbone.resnet.") for name in weights) else "plain",
        shrink="double" if shrinks else "none",
        shrink_kernel=method.kernel if first is None else first.shape[2],
        shrink_stride=stride,
        bev_channels=256 if shrinks else 384,
        fusion=method.fusion,
        encodes_apart=method.apart,
        head="anchors",
        score_threshold=0.2,
        nms_iou=0.15,
        max_boxes=1000,
        body_half_length_m=2.45,
        body_middle_m=0.5,
    )
    if directions is None:
        return config
    spec = replace(config.anchors, directions=2, score_weight=2.0, positive_weight=2.0, ignore_between=True)
    return replace(config, anchors=spec)


def _as_set(config: DetectorConfig, settings: Mapping[str, Any], method: str, sensor_height_m: float) -> DetectorConfig:
    model, before, after = settings["model"], settings["preprocess"], settings["postprocess"]
    fusing = settings["fusion"]
    if model["core_method"] not in METHODS[method].models:
        raise ValueError(f"it is of model {model['core_method']}, not {' or '.join(METHODS[method].models)}")
    arguments = model["args"]
    layers = arguments.get("res_bev_backbone") or arguments["base_bev_backbone"]
    widths = layers["num_upsample_filter"]
    if len(set(widths)) != 1:
        raise ValueError(f"num_upsample_filter is {widths}; all scales must be raised to one width")
    if list(layers["upsample_strides"]) != [
        math.prod(layers["layer_strides"][1 : 1 + at]) for at in range(len(widths))
    ]:
        raise ValueError(
            f"upsample_strides is {layers['upsample_strides']}; they must undo layer_strides but the first"
        )
    shrink = arguments.get("shrink_header")
    if shrink and len(shrink["dim"]) != 1:
        raise ValueError("shrink_header has several layers")
    stride = shrink["stride"][0] if shrink else 1
    grid = _grid(before, layers["layer_strides"][0] * stride, sensor_height_m)
    if after["order"] != "hwl" or after["anchor_args"].get("feature_stride", 2) != grid.bev_stride:
        raise ValueError(f"anchors must be in order hwl, and feature_stride {grid.bev_stride}")
    return replace(
        config,
        grid=grid,
        encodes_apart=fusing["core_method"].startswith("Intermediate") and _projects(fusing),
        points_per_pillar=before["args"]["max_points_per_voxel"],
        max_pillars=before["args"]["max_voxel_test"],
        pillar_channels=arguments["pillar_vfe"]["num_filters"][-1],
        filters=tuple(layers["num_filters"]),
        layers=tuple(layers["layer_nums"]),
        strides=tuple(layers["layer_strides"]),
        up_channels=widths[0],
        shrink="double" if shrink else "none",
        shrink_kernel=shrink["kernal_size"][0] if shrink else 3,
        shrink_stride=stride,
        bev_channels=shrink["dim"][0] if shrink else sum(widths),
        anchors=_anchors(config, after),
        score_threshold=after["target_args"]["score_threshold"],
        nms_iou=after["nms_thresh"],
    )


def _projects(fusing: Mapping[str, Any]) -> bool:
    """Whether agents move their points to the ego's frame before they encode them, as OpenCOOD does unless told not."""
    return not fusing.get("args") or bool(fusing["args"].get("proj_first", True))


def _grid(before: Mapping[str, Any], bev_stride: int, sensor_height_m: float) -> GridSpec:
    low, high = before["cav_lidar_range"][:3], before["cav_lidar_range"][3:]
    side, depth, _ = before["args"]["voxel_size"]
    if side != depth or low[0] != -high[0] or low[1] != -high[1]:
        raise ValueError(f"range {before['cav_lidar_range']} must lie around the sensor, and pillars be square")
    return replace(
        opv2v_grid(high[0], high[1], bev_stride),
        z_min_m=sensor_height_m + low[2],
        z_max_m=sensor_height_m + high[2],
        pillar_m=side,
    )


def _anchors(config: DetectorConfig, after: Mapping[str, Any]) -> AnchorSpec:
    given, targets, directions = after["anchor_args"], after["target_args"], after.get("dir_args")
    spec = replace(
        config.anchors,
        length_m=given["l"],
        width_m=given["w"],
        height_m=given["h"],
        yaws_deg=tuple(float(yaw) for yaw in given["r"]),
        positive_iou=targets["pos_threshold"],
        negative_iou=targets["neg_threshold"],
    )
    if config.anchors.directions and directions:
        spec = replace(spec, directions=directions["num_bins"], direction_offset=directions["dir_offset"])
    return spec
