"""Weights of OpenCOOD (Xu et al., "OPV2V", ICRA 2022, its public code) as weights of our modules.

Strict: every tensor of a checkpoint is used once and every tensor of ours comes from one, of the same shape. Covers
its PointPillars models for late, early and intermediate fusion, and CoAlign's own repository (its shrink header and
direction head), as published without a compressor. What the checkpoint's config.yaml says of ranges, voxels, layers,
anchors and thresholds is taken over; without that file, its published configurations hold.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from carla_cp.perception.config import CheckpointError
from carla_cp.perception.detector import Detector
from carla_cp.perception.opencood_settings import METHODS, config_of, read_settings
from carla_cp.perception.presets import OPV2V_SENSOR_M

YAML = "config.yaml"
_EPOCH = re.compile(r"net_epoch(?:_bestval_at)?(\d+)\.pth")

# Ours to theirs: names of tensors, tried in turn.
_NAMES: tuple[tuple[str, str], ...] = (
    (r"pillar_net\.(.*)", r"pillar_vfe.pfn_layers.0.\1"),
    (r"backbone\.ups\.(.*)", r"backbone.deblocks.\1"),
    (r"backbone\.shrink\.(.*)", r"shrink_conv.layers.0.double_conv.\1"),
    (r"backbone\.blocks\.(\d+)\.(\d+)\.main\.0\.(.*)", r"backbone.resnet.layer\1.\2.conv1.\3"),
    (r"backbone\.blocks\.(\d+)\.(\d+)\.main\.1\.(.*)", r"backbone.resnet.layer\1.\2.bn1.\3"),
    (r"backbone\.blocks\.(\d+)\.(\d+)\.main\.3\.(.*)", r"backbone.resnet.layer\1.\2.conv2.\3"),
    (r"backbone\.blocks\.(\d+)\.(\d+)\.main\.4\.(.*)", r"backbone.resnet.layer\1.\2.bn2.\3"),
    (r"backbone\.blocks\.(\d+)\.(\d+)\.beside\.(.*)", r"backbone.resnet.layer\1.\2.downsample.\3"),
    (r"head\.scores\.(.*)", r"cls_head.\1"),
    (r"head\.boxes\.(.*)", r"reg_head.\1"),
    (r"head\.directions\.(.*)", r"dir_head.\1"),
    (r"fusion\.message\.(.*)", r"fusion_net.msg_cnn.\1"),
    (r"fusion\.gate\.update\.(.*)", r"fusion_net.conv_gru.cell_list.0.conv_gates.\1"),
    (r"fusion\.gate\.candidate\.(.*)", r"fusion_net.conv_gru.cell_list.0.conv_can.\1"),
    (r"fusion\.norm\.(.*)", r"fusion_net.mlp_head.2.\1"),
    (r"fusion\.layers\.(\d+)\.local(.*)", r"fusion_net.layers.\1.window\2"),
    (r"fusion\.layers\.(\d+)\.spread(.*)", r"fusion_net.layers.\1.grid\2"),
)
_AXIAL: tuple[tuple[str, str], ...] = (
    (r"_feed\.0\.", "_ffd.norm."),
    (r"_feed\.1\.", "_ffd.fn.net.0."),
    (r"_feed\.3\.", "_ffd.fn.net.3."),
    (r"\.norm\.", "_attention.norm."),
    (r"\.query_key_value\.", "_attention.fn.to_qkv."),
    (r"\.out\.", "_attention.fn.to_out.0."),
    (r"\.bias$", "_attention.fn.relative_position_bias_table.weight"),
)
_OUT = {"cobevt_padded": "fusion_net.mlp_head.3", "v2vnet_memoryless": "fusion_net.mlp"}
_WITH_PLACES = ("cobevt_padded",)
_UNIT = "fusion_net.conv_gru.cell_list.0."
_BLOCK = re.compile(r"backbone\.blocks\.(\d+)\.(\d+)\.([01])\.(.*)")
_PLACES = re.compile(r"fusion_net\.layers\.(\d+)\.(window|grid)_attention\.fn\.relative_position_index")


def import_checkpoint(checkpoint: Path, method: str, sensor_height_m: float = OPV2V_SENSOR_M) -> Detector:
    """The detector that computes what the OpenCOOD checkpoint does, in eval mode and unfolded.

    `checkpoint` is a folder of OpenCOOD's training or a .pth file. `sensor_height_m` is the height of its LiDAR, in
    whose frame the network sees, above the road. Raises CheckpointError naming the file, the tensor and the mend.
    """
    if method not in METHODS:
        raise CheckpointError(f"there is no method {method!r}; choose one of {', '.join(METHODS)}")
    path = weights_path(checkpoint)
    weights = read_weights(path)
    settings = path.parent / YAML
    config = config_of(read_settings(settings), weights, method, sensor_height_m, settings)
    detector = Detector(config)
    detector.load_state_dict(translate(weights, detector, path))
    return detector.eval()


def weights_path(checkpoint: Path) -> Path:
    """The file that OpenCOOD would load of a folder, or the file itself. Raises CheckpointError where there is none."""
    if checkpoint.is_file():
        return checkpoint
    epochs = {int(match[1]): path for path in checkpoint.glob("*.pth") if (match := _EPOCH.fullmatch(path.name))}
    if (latest := checkpoint / "latest.pth").is_file():
        return latest
    if not epochs:
        raise CheckpointError(f"{checkpoint}: holds no net_epochN.pth; give a folder of OpenCOOD's training, or a .pth")
    return epochs[max(epochs)]


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pth file by name. Raises CheckpointError for a file that holds anything else."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split()).partition(". ")[0][:120]
        raise CheckpointError(f"{path}: cannot be read as weights of PyTorch ({reason}); give a .pth") from None
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"{path}: holds no table of tensors; give the .pth that OpenCOOD's train.py wrote")
    names = [str(name) for name in found]
    wrapped = all(name.startswith("module.") for name in names)  # by DistributedDataParallel
    return {name.removeprefix("module.") if wrapped else name: found[name] for name in names}


def translate(weights: Mapping[str, Tensor], detector: Detector, path: Path) -> dict[str, Tensor]:
    """The weights under our names; raises CheckpointError for a tensor that is missing, left over or misshapen."""
    left, state = dict(weights), {}
    for name, own in detector.state_dict().items():
        theirs = their_name(name, detector.config.fusion)
        if theirs not in left:
            raise CheckpointError(f"{path}: holds no {theirs}; name the right --method, or import one of this version")
        value = _without_memory(theirs, left.pop(theirs))
        if value.shape != own.shape:
            raise CheckpointError(
                f"{path}: {theirs} is {tuple(value.shape)}, not {tuple(own.shape)}; put its {YAML} beside it"
            )
        state[name] = value
    if detector.config.fusion in _WITH_PLACES:
        _check_places(left, detector, path)
    if left:
        mend = "trained with a compressor: import one trained without" if any("compress" in one for one in left) else ""
        raise CheckpointError(
            f"{path}: {len(left)} tensors are left over, the first {next(iter(left))};"
            f" {mend or 'it is of another method or version'}"
        )
    return state


def their_name(name: str, fusion: str) -> str:
    """OpenCOOD's name of one of our tensors, for one of our fusion rules; one that it has not keeps its name."""
    if block := _BLOCK.fullmatch(name):  # theirs has a padding in front, and no level between
        level, step, part, rest = block.groups()
        return f"backbone.blocks.{level}.{1 + 3 * int(step) + int(part)}.{rest}"
    if name.startswith("fusion.out."):
        return name.replace("fusion.out", _OUT.get(fusion, "fusion.out"))
    for ours, theirs in _NAMES:
        if re.fullmatch(ours, name):
            name = re.sub(ours, theirs, name, count=1)
            break
    for ours, theirs in _AXIAL if name.startswith("fusion_net.layers.") else ():
        if re.search(ours, name):
            return re.sub(ours, theirs, name, count=1)
    return name


def _without_memory(theirs: str, value: Tensor) -> Tensor:
    """What V2VNet's recurrent unit computes with: its memory is empty, so the reset gate and what reads it idle."""
    if not theirs.startswith(_UNIT):
        return value
    if theirs.startswith(_UNIT + "conv_gates"):
        value = value[len(value) // 2 :]
    return value if value.dim() == 1 else value[:, : value.shape[1] * 2 // 3]


def _check_places(left: dict[str, Tensor], detector: Detector, path: Path) -> None:
    """Takes out CoBEVT's tables of relative positions, which ours has not among its weights, and compares them."""
    for name in [name for name in left if _PLACES.fullmatch(name)]:
        match = _PLACES.fullmatch(name)
        assert match is not None
        part = {"window": "local", "grid": "spread"}[match[2]]
        own = detector.get_buffer(f"fusion.layers.{match[1]}.{part}.places")
        if not torch.equal(own, left.pop(name)):
            raise CheckpointError(f"{path}: {name} is not that of 5 agents and windows of 4 x 4; import such a one")
