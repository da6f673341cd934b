"""The anchor head as OpenCOOD has it: PointPillars' boxes at two yaws per cell (SECOND, Yan et al., 2018).

Anchors, box code, assignment and loss are OpenCOOD's, its habits included: anchors lie evenly between the middles of
the outermost *pillars*, one per cell, so on cells of four pillars they are not the cells' middles; a box is assigned
by the IoU of upright rectangles that are one metre longer and wider than they are; heading is known but for half a
turn. With `anchors.directions`, CoAlign's direction head (Lu et al., ICRA 2023) settles it, with its loss.
Vehicles only. Left out: the drop of large boxes, which is a matter of the evaluation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carla_cp.perception.config import AnchorSpec, DetectorConfig
from carla_cp.perception.head import DetectionHead, RawHeads, suppress
from carla_cp.types import Detections, FloatArray, GridSpec, IntArray, ObjectClass

BOX_CODE = 7  # dx, dy by the diagonal, dz by the height, log height, width, length, yaw difference [rad]
FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2
SMOOTH = 1.0 / 9.0  # where the box loss turns from square to straight


@dataclass(frozen=True, slots=True, eq=False)
class AnchorTargets:
    """What the head should say of one frame: cell by cell, then anchor by anchor."""

    positive: npt.NDArray[np.bool_]  # (rows, columns, yaws): holds an object
    negative: npt.NDArray[np.bool_]  # (rows, columns, yaws): surely holds none
    boxes: npt.NDArray[np.float32]  # (rows, columns, yaws, BOX_CODE), zero where not positive


class AnchorHead(DetectionHead):
    """Fused BEV feature (B, C, rows, columns) to scores, box codes and, if asked for, directions of each anchor."""

    def __init__(self, config: DetectorConfig) -> None:
        """Layers of the given widths, untrained."""
        super().__init__(config)
        width, yaws = config.bev_channels, len(config.anchors.yaws_deg)
        self.scores = nn.Conv2d(width, yaws, 1)
        self.boxes = nn.Conv2d(width, BOX_CODE * yaws, 1)
        bins = config.anchors.directions
        self.directions = nn.Conv2d(width, bins * yaws, 1) if bins else None

    def forward(self, fused: Tensor) -> RawHeads:
        """Logits (B, yaws, ...), box codes (B, yaws * 7, ...) and direction logits (B, yaws * bins, ...)."""
        fused = fused.contiguous(memory_format=torch.channels_last)
        directions = None if self.directions is None else self.directions(fused)
        return RawHeads(self.scores(fused), self.boxes(fused), directions)

    def heat(self, raw: RawHeads) -> Tensor:
        """Class heat maps (B, classes, rows, columns) in [0, 1]: a vehicle is the best of a cell's anchors."""
        vehicle = torch.sigmoid(raw.heat.float()).amax(dim=1)
        others = torch.zeros_like(vehicle)
        return torch.stack([vehicle if label == ObjectClass.VEHICLE else others for label in ObjectClass], dim=1)

    def decode(self, raw: RawHeads) -> Detections:
        """The boxes of one frame (B = 1) above the threshold, then rotated NMS, by falling score."""
        spec, grid = self.config.anchors, self.config.grid
        yaws = len(spec.yaws_deg)
        logits = _per_anchor(raw.heat[0].float(), yaws)[:, 0]
        found = np.flatnonzero((torch.sigmoid(logits) > self.config.score_threshold).cpu().numpy())
        scores = torch.sigmoid(logits).double().cpu().numpy()[found]
        code = _per_anchor(raw.boxes[0].float(), yaws).double().cpu().numpy()[found]
        boxes = boxes_from_code(code, anchor_boxes(spec, grid).reshape(-1, 7)[found])
        if raw.directions is not None:
            turned = _per_anchor(raw.directions[0].float(), yaws).argmax(dim=1).cpu().numpy()[found]
            boxes[:, 6] = _directed(boxes[:, 6], turned, spec)
        boxes[:, 2] += self.config.network_z_m
        boxes[:, 6] = np.arctan2(np.sin(boxes[:, 6]), np.cos(boxes[:, 6]))
        labels = np.full(len(found), int(ObjectClass.VEHICLE), np.int64)
        return suppress(Detections(boxes, scores, labels), self.config)

    def targets(self, boxes: FloatArray, labels: IntArray) -> AnchorTargets:
        """The targets of boxes (N, 7) in the agent frame; of vehicles, that is."""
        vehicles = boxes[labels == ObjectClass.VEHICLE] - [0, 0, self.config.network_z_m, 0, 0, 0, 0]
        anchors = anchor_boxes(self.config.anchors, self.config.grid)
        return _assign(vehicles, anchors, self.config.anchors)

    def loss(self, raw: RawHeads, targets: tuple[AnchorTargets, ...]) -> Tensor:
        """Focal loss of the scores, smooth L1 of the box codes and cross entropy of the directions, per positive."""
        spec = self.config.anchors
        yaws, device = len(spec.yaws_deg), raw.heat.device
        positive = torch.from_numpy(np.stack([one.positive for one in targets])).flatten(1).to(device)
        negative = torch.from_numpy(np.stack([one.negative for one in targets])).flatten(1).to(device)
        wanted = torch.from_numpy(np.stack([one.boxes for one in targets])).flatten(1, 3).to(device)
        share = 1.0 / positive.sum(dim=1, keepdim=True).clamp(min=1)
        counted = negative if spec.ignore_between else ~positive
        weight = (positive * spec.positive_weight + counted.float()) * share
        logits = _per_anchor(raw.heat.float(), yaws)[..., 0]
        total = spec.score_weight * (_focal(logits, positive.float()) * weight).sum()
        code = _per_anchor(raw.boxes.float(), yaws)
        total = total + spec.box_weight * (_smooth_l1(_sine(code, wanted)).sum(dim=2) * positive * share).sum()
        if raw.directions is not None:
            bins = _per_anchor(raw.directions.float(), yaws)
            wrong = F.cross_entropy(bins.flatten(0, 1), _bins(wanted[..., 6], spec).flatten(), reduction="none")
            total = total + spec.direction_weight * (wrong.view_as(weight) * positive * share).sum()
        return total / len(targets)


# ------------------------------------------------------------------------------------------------- anchors and codes


def anchor_boxes(spec: AnchorSpec, grid: GridSpec) -> FloatArray:
    """The anchors (rows, columns, yaws, 7) as boxes in the network's frame."""
    x = np.linspace(-grid.half_length_m + grid.pillar_m, grid.half_length_m - grid.pillar_m, grid.columns)
    y = np.linspace(-grid.half_width_m + grid.pillar_m, grid.half_width_m - grid.pillar_m, grid.rows)
    anchors = np.empty((grid.rows, grid.columns, len(spec.yaws_deg), 7))
    anchors[..., 0], anchors[..., 1] = x[None, :, None], y[:, None, None]
    anchors[..., 2:6] = spec.z_m, spec.length_m, spec.width_m, spec.height_m
    anchors[..., 6] = np.radians(spec.yaws_deg)
    return anchors


def boxes_from_code(code: FloatArray, anchors: FloatArray) -> FloatArray:
    """Boxes (N, 7) of box codes (N, 7) and their anchors (N, 7)."""
    boxes = np.empty_like(anchors)
    diagonal = np.hypot(anchors[:, 3], anchors[:, 4])[:, None]
    boxes[:, :2] = code[:, :2] * diagonal + anchors[:, :2]
    boxes[:, 2] = code[:, 2] * anchors[:, 5] + anchors[:, 2]
    boxes[:, 3:6] = np.exp(np.minimum(code[:, 5:2:-1], 10.0)) * anchors[:, 3:6]  # finite, whatever the weights say
    boxes[:, 6] = code[:, 6] + anchors[:, 6]
    return boxes


def code_from_boxes(boxes: FloatArray, anchors: FloatArray) -> FloatArray:
    """Box codes (N, 7) of boxes (N, 7) and their anchors (N, 7)."""
    code = np.empty_like(anchors)
    diagonal = np.hypot(anchors[:, 3], anchors[:, 4])[:, None]
    code[:, :2] = (boxes[:, :2] - anchors[:, :2]) / diagonal
    code[:, 2] = (boxes[:, 2] - anchors[:, 2]) / anchors[:, 5]
    code[:, 5:2:-1] = np.log(boxes[:, 3:6] / anchors[:, 3:6])
    code[:, 6] = boxes[:, 6] - anchors[:, 6]
    return code


def _directed(yaw: FloatArray, turned: IntArray, spec: AnchorSpec) -> FloatArray:
    """The yaw, known but for a bin, in the bin that the direction head chose."""
    period = 2 * math.pi / spec.directions
    within = (yaw - spec.direction_offset) % period
    return np.asarray(within + spec.direction_offset + period * turned)


def _bins(difference: Tensor, spec: AnchorSpec) -> Tensor:
    """The direction bins (B, anchors) of yaw differences (B, anchors)."""
    own = torch.tensor(np.radians(spec.yaws_deg), dtype=difference.dtype, device=difference.device)
    yaw = difference + own.repeat(difference.shape[1] // len(own))
    found = torch.remainder(yaw - spec.direction_offset, 2 * math.pi) // (2 * math.pi / spec.directions)
    return found.long().clamp(0, spec.directions - 1)


def _per_anchor(maps: Tensor, yaws: int) -> Tensor:
    """Maps (..., yaws * n, rows, columns) as (..., rows * columns * yaws, n)."""
    moved = maps.movedim(-3, -1)
    return moved.reshape(*maps.shape[:-3], -1, maps.shape[-3] // yaws)


# -------------------------------------------------------------------------------------------------------- assignment


def _assign(boxes: FloatArray, anchors: FloatArray, spec: AnchorSpec) -> AnchorTargets:
    flat, shape = anchors.reshape(-1, 7), anchors.shape[:3]
    positive: npt.NDArray[np.bool_] = np.zeros(len(flat), bool)
    negative: npt.NDArray[np.bool_] = np.ones(len(flat), bool)
    code = np.zeros((len(flat), BOX_CODE), np.float32)
    if len(boxes):
        overlap = _upright_iou(flat, boxes)
        best = overlap.argmax(axis=0)
        touched = overlap[best, np.arange(len(boxes))] > 0
        # An anchor over the threshold for several boxes is the first one's, and so is one that is the best of several.
        over = overlap > spec.positive_iou
        owner = np.where(over.any(axis=1), over.argmax(axis=1), -1)
        for anchor, box in zip(best[touched], np.flatnonzero(touched), strict=True):
            owner[anchor] = box if owner[anchor] < 0 else owner[anchor]
        positive = owner >= 0
        negative = np.asarray((overlap < spec.negative_iou).all(axis=1))
        negative[best[touched]] = False
        code[positive] = code_from_boxes(boxes[owner[positive]], flat[positive])
    return AnchorTargets(positive.reshape(shape), negative.reshape(shape), code.reshape(*shape, BOX_CODE))


def _upright_iou(anchors: FloatArray, boxes: FloatArray) -> npt.NDArray[np.float32]:
    """IoU (N, M) of the rectangles along x and y around boxes, each one metre longer and wider, in single precision."""
    (low, high), (from_, to) = _upright(anchors), _upright(boxes)
    one = np.float32(1.0)
    sides = np.minimum(high[:, None], to[None]) - np.maximum(low[:, None], from_[None]) + one
    shared = np.where((sides > 0).all(axis=2), sides[..., 0] * sides[..., 1], np.float32(0.0))
    areas = [np.prod(end - start + one, axis=1) for start, end in ((low, high), (from_, to))]
    return np.asarray(shared / (areas[0][:, None] + areas[1][None] - shared), np.float32)


def _upright(boxes: FloatArray) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Lowest and highest x, y (N, 2) of boxes, rounded as OpenCOOD rounds: among anchors with equal overlap it decides.

    Anchors that lie wholly in the rectangle around a turned box are such; there, a last bit may still differ.
    """
    turn = np.stack([np.cos(boxes[:, 6]), np.sin(boxes[:, 6])], axis=1).astype(np.float32)
    half = (boxes[:, 3:5] / 2).astype(np.float32)
    reach = np.abs(half[:, :1] * turn) + np.abs(half[:, 1:] * turn[:, ::-1])
    middle = boxes[:, :2].astype(np.float32)
    return middle - reach, middle + reach


# -------------------------------------------------------------------------------------------------------------- loss


def _focal(logits: Tensor, target: Tensor) -> Tensor:
    """Focal loss (Lin et al., 2017), anchor by anchor."""
    score = torch.sigmoid(logits)
    missed = torch.where(target > 0, 1 - score, score)
    alpha = torch.where(target > 0, FOCAL_ALPHA, 1 - FOCAL_ALPHA)
    return alpha * missed**FOCAL_GAMMA * F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def _sine(code: Tensor, wanted: Tensor) -> Tensor:
    """The difference of codes, with the sine of the difference of yaws, for which half a turn is none."""
    return torch.cat([code[..., :6] - wanted[..., :6], torch.sin(code[..., 6:] - wanted[..., 6:])], dim=-1)


def _smooth_l1(difference: Tensor) -> Tensor:
    size = difference.abs()
    return torch.where(size < SMOOTH, 0.5 * size**2 / SMOOTH, size - 0.5 * SMOOTH)
