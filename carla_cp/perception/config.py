"""The size and thresholds of a detector, checked once, and the error of a checkpoint that does not fit."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

from carla_cp.types import GridSpec, ObjectClass
from carla_cp.whole import write_whole

SCHEMA = 1
CONFIG = "config.json"  # in a checkpoint folder
ENCODERS = ("pillars", "vfe", "sparse")
HEADS = ("centre", "anchors")
BACKBONES = ("plain", "residual")
SHRINKS = ("conv", "double", "none")


class CheckpointError(Exception):
    """A checkpoint is missing, damaged or does not fit; the message is one line: file, what, mend."""


@dataclass(frozen=True, slots=True)
class AnchorSpec:
    """The anchors of the anchor head, how boxes are assigned to them, and its loss; the defaults are OpenCOOD's."""

    length_m: float = 3.9
    width_m: float = 1.6
    height_m: float = 1.56
    z_m: float = -1.0  # of an anchor's centre, in the network's frame
    yaws_deg: tuple[float, ...] = (0.0, 90.0)
    positive_iou: float = 0.6
    negative_iou: float = 0.45
    directions: int = 0  # bins of the direction head; 0: there is none
    direction_offset: float = 0.7853  # [rad] where the first bin begins
    score_weight: float = 1.0
    box_weight: float = 2.0
    direction_weight: float = 0.2
    positive_weight: float = 1.0
    ignore_between: bool = False  # an anchor between the two IoUs says nothing, as in CoAlign; else it is a negative

    def __post_init__(self) -> None:
        """Raises ValueError naming the field that does not fit."""
        if min(self.length_m, self.width_m, self.height_m) <= 0 or not self.yaws_deg or self.directions < 0:
            raise ValueError("anchors need positive sides, at least one yaw, and no negative number of directions")
        if not 0.0 < self.negative_iou <= self.positive_iou < 1.0:
            raise ValueError("anchors need 0 < negative_iou <= positive_iou < 1")


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Everything that decides a detector's layers and how its boxes are read off; the defaults are `mini`.

    The backbone has one block per entry of `filters`: a strided 3x3 convolution and `layers` more of stride one; if
    residual, `layers` residual blocks, the first one strided.
    """

    grid: GridSpec = field(default_factory=GridSpec)
    encoder: str = "pillars"  # a name of `encoders.ENCODERS`
    points_per_pillar: int = 16  # or per voxel
    max_pillars: int = 0  # of encoder vfe: those entered first; 0: all
    network_z_m: float = 0.0  # height above the road of the origin in which vfe and anchors measure z
    voxel_height_m: float = 0.1  # of encoder sparse; its voxels are an eighth of a pillar wide
    pillar_channels: int = 32
    backbone: str = "plain"  # or residual
    filters: tuple[int, ...] = (32, 64, 64)
    layers: tuple[int, ...] = (1, 2, 2)
    strides: tuple[int, ...] = (2, 2, 2)
    up_channels: int = 32
    shrink: str = "conv"  # of all scales to bev_channels: conv 3x3 with norm, double (two with bias), or none
    shrink_kernel: int = 3  # of the first convolution of `double`
    shrink_stride: int = 1
    bev_channels: int = 64
    fusion: str = "max"  # a name of `fusion.RULES`
    turns: bool = False  # the channels of others' features are mixed by the angle to them before they are fused
    own_merge: bool = False  # fused scales are brought together by layers of the rule's own, not by the trunk's
    encodes_apart: bool = False  # points heard are encoded by sender, then fused ("proj_first"), else join the ego's
    head: str = "centre"  # or anchors
    anchors: AnchorSpec = field(default_factory=AnchorSpec)
    classes: tuple[str, ...] = tuple(label.name.lower() for label in ObjectClass)
    score_threshold: float = 0.1
    nms_iou: float = 0.15
    max_boxes: int = 100  # candidates per class before NMS
    body_half_length_m: float = 2.6  # returns and boxes on the agent's own vehicle, around its sensor, are dropped
    body_half_width_m: float = 1.1
    body_middle_m: float = 0.0  # ahead of the sensor

    def __post_init__(self) -> None:
        """Raises ValueError naming the field that does not fit."""
        if self.classes != tuple(label.name.lower() for label in ObjectClass):
            raise ValueError(f"classes must be those of ObjectClass, in order, not {self.classes}")
        self._check_names()
        self._check_layers()
        self._check_shrink()
        if not (0.0 < self.score_threshold < 1.0 and 0.0 < self.nms_iou < 1.0 and self.max_boxes > 0):
            raise ValueError("score_threshold and nms_iou must lie in (0, 1), max_boxes above 0")

    def _check_names(self) -> None:
        choices = (
            ("encoder", self.encoder, ENCODERS),
            ("backbone", self.backbone, BACKBONES),
            ("shrink", self.shrink, SHRINKS),
            ("head", self.head, HEADS),
        )
        for name, value, known in choices:
            if value not in known:
                raise ValueError(f"{name} is {value!r}; choose one of {', '.join(known)}")

    def _check_layers(self) -> None:
        widths = (self.pillar_channels, self.up_channels, self.bev_channels, self.points_per_pillar, *self.filters)
        lengths = {len(self.filters), len(self.layers), len(self.strides)}
        if not self.filters or min(widths) < 1 or len(lengths) != 1 or min(self.layers) < 0 or min(self.strides) < 1:
            raise ValueError("filters, layers and strides must be of equal length, and every width positive")
        if self.backbone == "residual" and min(self.layers) < 1:
            raise ValueError("a residual backbone needs at least one block per scale")
        pillars, whole = (self.grid.pillar_rows, self.grid.pillar_columns), math.prod(self.strides)
        if any(side % whole for side in pillars):
            raise ValueError(f"a grid of {pillars[0]} x {pillars[1]} pillars does not divide by strides {self.strides}")

    def _check_shrink(self) -> None:
        if self.shrink_stride < 1 or self.shrink_kernel < 1 or self.shrink_kernel % 2 == 0:
            raise ValueError("shrink_stride must be positive and shrink_kernel odd")
        if self.shrink != "double" and (self.shrink_stride, self.shrink_kernel) != (1, 3):
            raise ValueError("shrink_stride and shrink_kernel are for shrink = double")
        if self.shrink == "none" and self.bev_channels != self.up_channels * len(self.filters):
            raise ValueError("without shrink, bev_channels is up_channels times the number of scales")
        stride = self.strides[0] * self.shrink_stride
        if self.grid.bev_stride != stride or self.grid.pillar_rows % stride or self.grid.pillar_columns % stride:
            raise ValueError(
                f"grid.bev_stride is {self.grid.bev_stride}; BEV cells hold {stride} pillars a side, first block's and"
                " shrink's strides together, and must fill the grid"
            )

    def save(self, path: Path) -> None:
        """Writes the configuration as JSON, whole, by rename."""
        write_whole(path, json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2) + "\n")


def load_config(path: Path) -> DetectorConfig:
    """The configuration in a JSON file; raises CheckpointError naming the file and what does not fit."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: not found; give a checkpoint folder with config.json") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON ({error}); restore the file") from None
    try:
        if data.pop("schema") != SCHEMA:
            raise ValueError(f"schema is not {SCHEMA}")
        data["grid"] = GridSpec(**data["grid"])
        for name in ("filters", "layers", "strides", "classes"):
            data[name] = tuple(data[name])
        if "anchors" in data:
            data["anchors"] = AnchorSpec(**{**data["anchors"], "yaws_deg": tuple(data["anchors"]["yaws_deg"])})
        return DetectorConfig(**data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}; restore the file or train again with this version") from None
