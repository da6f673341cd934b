"""The detection head: centre heat maps and boxes on the BEV cells (CenterPoint, Yin et al., 2021), targets, losses.

Left out: velocities, the second stage, separate branches per class. Added: the yaw's double angle, since front and
rear of a car look alike and the mean of two opposite headings points nowhere; the single angle only picks the sense.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carla_cp.geometry import nms
from carla_cp.perception.backbone import conv_block
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import Detections, FloatArray, GridSpec, IntArray

BOX_CODE = 10  # dx, dy [cells], z [m], log length, width, height, cos, sin, cos 2, sin 2 of the yaw
PRIOR_SIZE_M = np.array([[4.5, 1.9, 1.6], [1.7, 0.6, 1.6], [0.5, 0.5, 1.8]])  # per class
HEAT_SIGMA_CELLS = np.array([1.0, 0.7, 0.7])  # per class
HEAT_BIAS = -4.0  # sigmoid = 0.018: most cells are empty


@dataclass(frozen=True, slots=True, eq=False)
class RawHeads:
    """What the head says of each cell."""

    heat: Tensor  # (B, classes, rows, columns) logits
    boxes: Tensor  # (B, BOX_CODE, rows, columns)
    directions: Tensor | None = None  # of an anchor head that tells front from rear


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What the head should say of one frame."""

    heat: npt.NDArray[np.float32]  # (classes, rows, columns), exactly 1 at each object's cell
    boxes: npt.NDArray[np.float32]  # (BOX_CODE, rows, columns)
    weight: npt.NDArray[np.float32]  # (rows, columns), above 0 where `boxes` counts


class DetectionHead(nn.Module):
    """Fused BEV feature (B, C, rows, columns) to `RawHeads`, and those to boxes; one file per head."""

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained."""
        super().__init__()
        self.config = config

    @abstractmethod
    def decode(self, raw: RawHeads) -> Detections:
        """The boxes of one frame (B = 1) in the agent frame, after NMS, by falling score."""


class Head(DetectionHead):
    """Centre heat maps and boxes on the BEV cells."""

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained."""
        super().__init__(config)
        width = config.bev_channels
        self.trunk = conv_block(width, width)
        self.heat = nn.Conv2d(width, len(config.classes), 1)
        self.boxes = nn.Conv2d(width, BOX_CODE, 1)
        nn.init.constant_(self.heat.bias, HEAT_BIAS)  # type: ignore[arg-type]

    def forward(self, fused: Tensor) -> RawHeads:
        """Logits and box codes of each cell."""
        value = self.trunk(fused.contiguous(memory_format=torch.channels_last))
        return RawHeads(self.heat(value), self.boxes(value))

    def decode(self, raw: RawHeads) -> Detections:
        """The boxes of one frame (B = 1): local maxima above the threshold, then NMS per class, by falling score."""
        return decode(raw, self.config)


# -------------------------------------------------------------------------------------------------------- training


def make_targets(boxes: FloatArray, labels: IntArray, grid: GridSpec) -> Targets:
    """The targets of boxes (N, 7) in the agent frame; those with their centre outside the grid are left out."""
    shape = (grid.rows, grid.columns)
    heat = np.zeros((len(PRIOR_SIZE_M), *shape), np.float32)
    code = np.zeros((BOX_CODE, *shape), np.float32)
    weight = np.zeros(shape, np.float32)
    for box, label in zip(boxes, labels, strict=True):
        position = (box[:2] + (grid.half_length_m, grid.half_width_m)) / grid.cell_m
        column, row = np.floor(position).astype(int)
        if not (0 <= column < grid.columns and 0 <= row < grid.rows):
            continue
        rows, columns = (
            slice(max(at - 4, 0), min(at + 5, size)) for at, size in zip((row, column), shape, strict=True)
        )
        y, x = np.mgrid[rows, columns] + 0.5
        blob = np.exp(-((x - column - 0.5) ** 2 + (y - row - 0.5) ** 2) / (2 * HEAT_SIGMA_CELLS[label] ** 2))
        heat[label, rows, columns] = np.maximum(heat[label, rows, columns], blob)
        # The neighbours learn the box too, since the highest cell of a prediction may be one beside the centre.
        near = (np.abs(x - column - 0.5) <= 1) & (np.abs(y - row - 0.5) <= 1) & (blob > weight[rows, columns])
        weight[rows, columns][near] = blob[near]
        for channel, value in enumerate(_encode(box, int(label), position, x, y)):
            code[channel, rows, columns][near] = np.broadcast_to(value, near.shape)[near]
    return Targets(heat, code, weight)


def _encode(box: FloatArray, label: int, position: FloatArray, x: FloatArray, y: FloatArray) -> list[FloatArray]:
    size = np.log(np.maximum(box[3:6], 0.05) / PRIOR_SIZE_M[label])
    yaw = box[6]
    angles = [np.cos(yaw), np.sin(yaw), np.cos(2 * yaw), np.sin(2 * yaw)]
    return [position[0] - x, position[1] - y, *(np.asarray(value) for value in (box[2], *size, *angles))]


def heat_loss(logits: Tensor, target: Tensor) -> Tensor:
    """CornerNet's penalty-reduced focal loss (Law and Deng, 2018, eq. 1; alpha 2, beta 4), per object."""
    logits = logits.float()
    score = torch.sigmoid(logits)
    positive = (target >= 1.0).float()
    hit = F.logsigmoid(logits) * (1 - score) ** 2 * positive
    miss = F.logsigmoid(-logits) * score**2 * (1 - target) ** 4 * (1 - positive)
    return -(hit.sum() + miss.sum()) / positive.sum().clamp(min=1.0)


def box_loss(code: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted L1 over the cells of objects, summed over the code's channels."""
    difference = (code.float() - target).abs().sum(dim=1)
    return (difference * weight).sum() / weight.sum().clamp(min=1.0)


# --------------------------------------------------------------------------------------------------------- reading


def decode(raw: RawHeads, config: DetectorConfig) -> Detections:
    """The boxes of one frame (B = 1): local maxima above the threshold, then NMS per class, by falling score."""
    heat = torch.sigmoid(raw.heat[0].float())
    peaks = (heat == F.max_pool2d(heat[None], 3, 1, 1)[0]) & (heat > config.score_threshold)
    label, row, column = (index.cpu().numpy() for index in torch.nonzero(peaks, as_tuple=True))
    scores = heat[peaks].double().cpu().numpy()
    code = raw.boxes[0].float().cpu().numpy()[:, row, column].astype(np.float64)
    found = Detections(_boxes(code, label, row, column, config.grid), scores, label.astype(np.int64))
    return suppress(found, config)


def _boxes(code: FloatArray, label: IntArray, row: IntArray, column: IntArray, grid: GridSpec) -> FloatArray:
    x = (column + 0.5 + code[0]) * grid.cell_m - grid.half_length_m
    y = (row + 0.5 + code[1]) * grid.cell_m - grid.half_width_m
    extent = np.exp(np.clip(code[3:6], -2.5, 2.5)) * PRIOR_SIZE_M[label].T
    axis = np.arctan2(code[9], code[8]) / 2
    backwards = code[6] * np.cos(axis) + code[7] * np.sin(axis) < 0
    yaw = np.where(backwards, axis - np.sign(axis) * np.pi, axis)
    return np.stack([x, y, code[2], *extent, yaw], axis=1)


def suppress(found: Detections, config: DetectorConfig) -> Detections:
    """What NMS within each class leaves of the best `max_boxes` candidates of each, by falling score."""
    kept = []
    for label in range(len(config.classes)):
        of_label = np.flatnonzero(found.labels == label)
        best = of_label[np.argsort(-found.scores[of_label], kind="stable")[: config.max_boxes]]
        kept.append(best[nms(found.boxes[best], found.scores[best], config.nms_iou)])
    index = np.concatenate(kept)
    index = index[np.argsort(-found.scores[index], kind="stable")]
    return replace(found.take(index), sigmas=None)
