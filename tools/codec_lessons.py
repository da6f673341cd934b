"""What a training step of any learned codec starts from, and how its teacher is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from codec_features import Features
from torch import Tensor
from torch.nn import functional as F

from carla_cp.codecs.base import Codec
from carla_cp.codecs.infocom import windows
from carla_cp.codecs.ranking import usefulness
from carla_cp.perception.config import CheckpointError
from carla_cp.perception.detector import Detector
from carla_cp.perception.fusion import warp
from carla_cp.perception.fusion.maximum import MaxFusion
from carla_cp.types import FloatArray

HEAT_WEIGHT, BOX_WEIGHT, FEATURE_WEIGHT = 1.0, 0.5, 5.0
WINDOW, RASTER, MARGIN = 80, 8, 6  # cells: side of what a step looks at, its steps, its rim that does not count


@dataclass(frozen=True, eq=False)
class Sending:
    """The stages of a batch of senders that a codec may send, and which part of them a step looks at."""

    pillars: Tensor | None  # (B, C_pillar, pillar_rows, pillar_columns)
    bev: Tensor  # (B, C_bev, rows, columns)
    useful: Tensor  # (B, rows, columns)
    corners: tuple[tuple[int, int], ...] | None  # per view: row and column of the window that counts; None: all does

    def seen(self, maps: Tensor) -> Tensor:
        """The part of maps (B, ..., rows, columns) that counts."""
        return maps if self.corners is None else windows(maps, self.corners, WINDOW)


@dataclass(frozen=True, eq=False)
class Lesson(Sending):
    """One batch: views, what the frozen detector makes of them, and what they are fused with."""

    corners: tuple[tuple[int, int], ...]
    other: Tensor  # (B, C_bev, rows, columns): another agent's, in the same grid, or zeros


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """What receivers make of a batch of messages, and what these cost beside the detector's answers."""

    bev: Tensor  # (B, C_bev, rows, columns) of the part that counts
    valid: Tensor  # (B, rows, columns) bool
    aside: Tensor  # the codec's own losses, weighted
    rate_nats: float  # of one view's message, as the codec's own model counts


@dataclass(frozen=True, slots=True, eq=False)
class Loss:
    """What one batch says: the information plane has a point of it."""

    total: Tensor  # what is made small
    task: float  # how far the detector's answers are from those to what was sent
    rate_nats: float  # of one view's message, as the codec's own model counts


class Teacher(Protocol):
    """Trains one codec."""

    @property
    def codec(self) -> Codec[Any]:
        """The one that learns."""

    @property
    def takes_pillars(self) -> bool:
        """Whether its lessons hold pillar maps."""

    def loss(self, lesson: Lesson, progress: float, rng: np.random.Generator) -> Loss:
        """The loss of one batch after this fraction of the training."""

    def resume(self) -> None:
        """Takes the codec's weights, which were just loaded, for where it is."""

    def usage(self) -> list[FloatArray]:
        """How often each code of each codebook was used of late, (codes,) each; [] where there is no codebook."""

    def learn_tables(self, data: Features, views: list[int]) -> None:
        """Sets the codec's tables to what these views need."""


class JointTeacher(Teacher, Protocol):
    """Trains one codec that may learn together with the detector."""

    def send(self, sending: Sending, progress: float, rng: np.random.Generator) -> Arrival:
        """What arrives at a random rate, by a path that gradients go back through, with the losses of the paper."""


@torch.no_grad()
def lesson(detector: Detector, data: Features, views: list[int], rng: np.random.Generator, pillars: bool) -> Lesson:
    """The batch of these views; every other one is fused with a partner's features, as far as it has one."""
    bev = torch.stack([data.bev_map(view) for view in views])
    other = torch.zeros_like(bev)
    for row, view in enumerate(views):
        source = data.partner(view, rng)
        if row % 2 == 0 and source is not None:
            whole = torch.ones(1, *bev.shape[2:], dtype=torch.bool)
            theta = data.theta(view, source, detector)[None]
            other[row] = warp(data.bev_map(source)[None], whole, theta)[0][0]
    side = detector.config.grid.pillar_rows
    maps = torch.stack([data.pillar_map(view, side) for view in views]) if pillars else None
    useful = usefulness(detector.heat_from_bev(bev))
    return Lesson(maps, bev, useful, tuple(_corner(part.numpy(), rng) for part in useful), other)


def _corner(useful: npt.NDArray[np.float32], rng: np.random.Generator) -> tuple[int, int]:
    """A window around a cell drawn by its usefulness, on the raster of seeds."""
    chance = (useful.clip(0.1) - 0.095).ravel().astype(np.float64)
    row, column = divmod(int(rng.choice(chance.size, p=chance / chance.sum())), len(useful))
    most = (len(useful) - WINDOW) // RASTER
    low, high = (min(max((place - WINDOW // 2) // RASTER + int(rng.integers(2)), 0), most) for place in (row, column))
    return low * RASTER, high * RASTER


def refine(detector: Detector, joined: Tensor) -> Tensor:
    """The fused features (B, C, H, W) of maxima over agents."""
    if not isinstance(detector.fusion, MaxFusion):
        raise CheckpointError(f"codecs are taught behind fusion max, not {detector.config.fusion}; give its trunk")
    return detector.fusion.refine(joined)


def distil(detector: Detector, batch: Lesson, rebuilt: Tensor, valid: Tensor, box_weight: float = BOX_WEIGHT) -> Tensor:
    """How far rebuilt windows (B, C, WINDOW, WINDOW), used where `valid`, change what the detector says.

    Counted near valid cells only: what was not sent is no fault of the decoder.
    """
    bev, other, own = batch.seen(batch.bev), batch.seen(batch.other), batch.seen(batch.useful)[:, None]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        wanted = detector.raw_heads(refine(detector, torch.maximum(other, bev)))
    target = torch.sigmoid(wanted.heat.float())
    inner = F.pad(torch.ones(WINDOW - 2 * MARGIN, WINDOW - 2 * MARGIN), (MARGIN,) * 4)
    near = F.max_pool2d(valid[:, None].float(), 3, 1, 1) * inner
    given = torch.where(valid[:, None], rebuilt.float(), 0.0)
    with torch.autocast("cpu", torch.bfloat16):
        raw = detector.raw_heads(refine(detector, torch.maximum(other, given)))
    surprise = F.binary_cross_entropy_with_logits(raw.heat.float(), target, reduction="none")
    surprise = surprise - F.binary_cross_entropy(target, target, reduction="none")
    top = target.amax(1, keepdim=True) * near
    scale = top.sum() + 1.0
    heat = (surprise * near).sum() / scale
    boxes = ((raw.boxes.float() - wanted.boxes.float()).abs() * top * (top > 0.05)).sum() / scale
    weight = (0.05 + own) * valid[:, None] * inner
    feature = ((rebuilt.float() - bev).square() * weight).sum() / (weight.sum() * bev.shape[1] + 1.0)
    return HEAT_WEIGHT * heat + box_weight * boxes + FEATURE_WEIGHT * feature


def random_cells(own: Tensor, rng: np.random.Generator) -> Tensor:
    """Cells (B, H, W) as a random budget would choose them; all of them half of the time."""
    if rng.random() < 0.5:
        return torch.ones_like(own, dtype=torch.bool)
    floor = own.flatten(1).topk(budgeted(rng), dim=1).values[:, -1, None, None]
    return own >= floor


def budgeted(rng: np.random.Generator) -> int:
    """How many cells a random budget holds."""
    return int(np.exp(rng.uniform(np.log(150), np.log(3000))))
