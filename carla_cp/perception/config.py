"""The size and thresholds of a detector, checked once, and the error of a checkpoint that does not fit."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

from carla_cp.types import GridSpec, ObjectClass
from carla_cp.whole import write_whole

SCHEMA = 1


class CheckpointError(Exception):
    """A checkpoint is missing, damaged or does not fit; the message is one line: file, what, mend."""


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Everything that decides a detector's layers and how its boxes are read off; the defaults are `mini`.

    The backbone has one block per entry of `filters`: a strided 3x3 convolution and `layers` more of stride one.
    """

    grid: GridSpec = field(default_factory=GridSpec)
    points_per_pillar: int = 16
    pillar_channels: int = 32
    filters: tuple[int, ...] = (32, 64, 64)
    layers: tuple[int, ...] = (1, 2, 2)
    strides: tuple[int, ...] = (2, 2, 2)
    up_channels: int = 32
    bev_channels: int = 64
    fusion: str = "max"  # a name of `fusion.RULES`
    classes: tuple[str, ...] = tuple(label.name.lower() for label in ObjectClass)
    score_threshold: float = 0.1
    nms_iou: float = 0.15
    max_boxes: int = 100  # candidates per class before NMS
    body_half_length_m: float = 2.6  # returns and boxes on the agent's own vehicle, around its sensor, are dropped
    body_half_width_m: float = 1.1

    def __post_init__(self) -> None:
        """Raises ValueError naming the field that does not fit."""
        if self.classes != tuple(label.name.lower() for label in ObjectClass):
            raise ValueError(f"classes must be those of ObjectClass, in order, not {self.classes}")
        widths = (self.pillar_channels, self.up_channels, self.bev_channels, self.points_per_pillar, *self.filters)
        lengths = {len(self.filters), len(self.layers), len(self.strides)}
        if not self.filters or min(widths) < 1 or len(lengths) != 1 or min(self.layers) < 0 or min(self.strides) < 1:
            raise ValueError("filters, layers and strides must be of equal length, and every width positive")
        pillars, whole = (self.grid.pillar_rows, self.grid.pillar_columns), math.prod(self.strides)
        if any(side % whole for side in pillars):
            raise ValueError(f"a grid of {pillars[0]} x {pillars[1]} pillars does not divide by strides {self.strides}")
        if self.grid.bev_stride != self.strides[0]:
            raise ValueError(f"grid.bev_stride is {self.grid.bev_stride}; BEV cells are those of the first block")
        if not (0.0 < self.score_threshold < 1.0 and 0.0 < self.nms_iou < 1.0 and self.max_boxes > 0):
            raise ValueError("score_threshold and nms_iou must lie in (0, 1), max_boxes above 0")

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
        return DetectorConfig(**data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}; restore the file or train again with this version") from None
