"""What a training step of each learned codec is, and what its tables are learnt from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from codec_features import Features
from torch import Tensor
from torch.nn import functional as F

from carla_cp.codecs import positions
from carla_cp.codecs.base import Codec
from carla_cp.codecs.bitstream import Table
from carla_cp.codecs.infocom import LATENT_LIMIT, LEVELS, SHARE, InfocomCodec, InfocomTables, octave, windows
from carla_cp.codecs.ranking import rank, usefulness
from carla_cp.codecs.revqom import RevqomCodec
from carla_cp.codecs.rvq import CodebookLearner
from carla_cp.perception.config import CheckpointError
from carla_cp.perception.detector import Detector
from carla_cp.perception.fusion import warp
from carla_cp.perception.fusion.maximum import MaxFusion

HEAT_WEIGHT, BOX_WEIGHT, FEATURE_WEIGHT = 1.0, 0.5, 5.0
COMMIT_WEIGHT, ORTHOGONALITY_WEIGHT, DECAY = 0.25, 1e-4, 0.95
DIVERGENCE_WEIGHT, DIVERGENCE_FROM = 1e-3, 0.3  # of the training
RATE_WEIGHT = 3.0
FEWEST_PILLARS = 150
WINDOW, RASTER, MARGIN = 80, 8, 6  # cells: side of what a step looks at, its steps, its rim that does not count


@dataclass(frozen=True, eq=False)
class Lesson:
    """One batch: views, what the frozen detector makes of them, and what they are fused with."""

    pillars: Tensor | None  # (B, C_pillar, pillars, pillars)
    bev: Tensor  # (B, C_bev, cells, cells)
    other: Tensor  # (B, C_bev, cells, cells): another agent's, in the same grid, or zeros
    useful: Tensor  # (B, cells, cells)
    corners: tuple[tuple[int, int], ...]  # per view: row and column of the window that counts


class Teacher(Protocol):
    """Trains one codec."""

    codec: Codec[object]

    def loss(self, lesson: Lesson, progress: float, rng: np.random.Generator) -> Tensor:
        """The loss of one batch after this fraction of the training."""

    def learn_tables(self, data: Features, views: list[int]) -> None:
        """Sets the codec's tables to what these views need."""


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
    return Lesson(maps, bev, other, useful, tuple(_corner(part.numpy(), rng) for part in useful))


def _corner(useful: npt.NDArray[np.float32], rng: np.random.Generator) -> tuple[int, int]:
    """A window around a cell drawn by its usefulness, on the raster of seeds."""
    chance = (useful.clip(0.1) - 0.095).ravel().astype(np.float64)
    row, column = divmod(int(rng.choice(chance.size, p=chance / chance.sum())), len(useful))
    most = (len(useful) - WINDOW) // RASTER
    low, high = (min(max((place - WINDOW // 2) // RASTER + int(rng.integers(2)), 0), most) for place in (row, column))
    return low * RASTER, high * RASTER


def _refine(detector: Detector, joined: Tensor) -> Tensor:
    """The fused features (B, C, H, W) of maxima over agents."""
    if not isinstance(detector.fusion, MaxFusion):
        raise CheckpointError(f"codecs are taught behind fusion max, not {detector.config.fusion}; give its trunk")
    return detector.fusion.refine(joined)


def distil(detector: Detector, batch: Lesson, rebuilt: Tensor, valid: Tensor) -> Tensor:
    """How far rebuilt windows (B, C, WINDOW, WINDOW), used where `valid`, change what the detector says.

    Counted near valid cells only: what was not sent is no fault of the decoder.
    """
    bev, other = windows(batch.bev, batch.corners, WINDOW), windows(batch.other, batch.corners, WINDOW)
    own = windows(batch.useful, batch.corners, WINDOW)[:, None]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        wanted = detector.raw_heads(_refine(detector, torch.maximum(other, bev)))
    target = torch.sigmoid(wanted.heat.float())
    inner = F.pad(torch.ones(WINDOW - 2 * MARGIN, WINDOW - 2 * MARGIN), (MARGIN,) * 4)
    near = F.max_pool2d(valid[:, None].float(), 3, 1, 1) * inner
    given = torch.where(valid[:, None], rebuilt.float(), 0.0)
    with torch.autocast("cpu", torch.bfloat16):
        raw = detector.raw_heads(_refine(detector, torch.maximum(other, given)))
    surprise = F.binary_cross_entropy_with_logits(raw.heat.float(), target, reduction="none")
    surprise = surprise - F.binary_cross_entropy(target, target, reduction="none")
    top = target.amax(1, keepdim=True) * near
    scale = top.sum() + 1.0
    heat = (surprise * near).sum() / scale
    boxes = ((raw.boxes.float() - wanted.boxes.float()).abs() * top * (top > 0.05)).sum() / scale
    weight = (0.05 + own) * valid[:, None] * inner
    feature = ((rebuilt.float() - bev).square() * weight).sum() / (weight.sum() * bev.shape[1] + 1.0)
    return HEAT_WEIGHT * heat + BOX_WEIGHT * boxes + FEATURE_WEIGHT * feature


class RevqomTeacher:
    """Moves the codebooks by averages, the rest by gradients."""

    def __init__(self, codec: RevqomCodec, detector: Detector, seed: int) -> None:
        self.codec, self.detector = codec, detector
        self.learner = CodebookLearner(codec.quantiser, DECAY, torch.Generator().manual_seed(seed))

    def loss(self, lesson: Lesson, progress: float, rng: np.random.Generator) -> Tensor:
        """Distillation, commitment and orthogonality, at a random number of stages and cells."""
        codec = self.codec
        own = lesson.useful
        latent = codec.down(lesson.bev)
        weight = (0.03 + own).flatten() / (0.03 + own).mean()
        vectors = latent.permute(0, 2, 3, 1).flatten(0, 2)
        self.learner.learn(vectors.detach(), weight)
        stages = int(rng.choice([1, 2, 3], p=[0.15, 0.15, 0.7])) if codec.config.stages == 3 else codec.config.stages
        coded = codec.quantiser.look_up(codec.quantiser.search(vectors.detach(), stages))
        commit = ((vectors - coded).square().mean(1) * weight).mean()
        straight = (vectors + (coded - vectors).detach()).view(*latent.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
        matrix = next(codec.down.parameters()).flatten(1)
        crooked = (matrix @ matrix.T - torch.eye(len(matrix))).square().mean()
        valid = windows(_random_cells(own, rng), lesson.corners, WINDOW)
        total = distil(self.detector, lesson, codec.up(windows(straight, lesson.corners, WINDOW)), valid)
        return torch.as_tensor(total + COMMIT_WEIGHT * commit + ORTHOGONALITY_WEIGHT * crooked)

    @torch.no_grad()
    def learn_tables(self, data: Features, views: list[int]) -> None:
        """Index statistics of all cells and of the best 1000, and positions of the best few hundred."""
        config, codec = self.codec.config, self.codec
        counts = np.ones((2, config.stages, config.codes))
        masks = []
        for view in views:
            bev = data.bev_map(view)[None]
            vectors = codec.down(bev).permute(0, 2, 3, 1).flatten(0, 2)
            indices = codec.quantiser.search(vectors, config.stages).numpy()
            order = rank(self.detector.heat_from_bev(bev)[0])
            for stage, row in enumerate(indices):
                counts[0, stage] += np.bincount(row, minlength=config.codes)
                counts[1, stage] += np.bincount(row[order[:1000]], minlength=config.codes)
            masks += [
                positions.mask_of(order[:count], codec.grid.rows, codec.grid.columns) for count in (200, 500, 1000)
            ]
        tables = [[Table.from_counts(row) for row in group] for group in counts]
        codec.set_tables(tables, positions.tables_from(masks))


class InfocomTeacher:
    """Everything by gradients."""

    def __init__(self, codec: InfocomCodec, detector: Detector, seed: int) -> None:
        self.codec, self.detector = codec, detector
        self.noise = torch.Generator().manual_seed(seed)

    def loss(self, lesson: Lesson, progress: float, rng: np.random.Generator) -> Tensor:
        """Distillation, divergence once it is on, and the price of rating what shows no object."""
        assert lesson.pillars is not None
        codec, stride = self.codec, self.detector.config.grid.bev_stride
        side = WINDOW * stride
        most = math.ceil(SHARE * side**2)
        count = most if rng.random() < 0.4 else int(np.exp(rng.uniform(np.log(FEWEST_PILLARS), np.log(most))))
        noise = torch.randn(len(lesson.bev), codec.config.latent, generator=self.noise)
        corners = [(stride * row, stride * column) for row, column in lesson.corners]
        with torch.autocast("cpu", torch.bfloat16):
            output = codec(lesson.pillars, count, bool(rng.random() < 0.85), noise, corners, side)
            rebuilt = self.detector.bev_from_pillars(output.pillars)
        valid = F.max_pool2d(output.valid[:, None].float(), stride)[:, 0] > 0
        own = windows(lesson.useful, lesson.corners, WINDOW)
        idle = (1 - F.interpolate(own[:, None], scale_factor=stride)[:, 0]).clamp(min=0.02)
        rate = (output.rating * idle).mean()
        divergence = DIVERGENCE_WEIGHT * output.divergence if progress > DIVERGENCE_FROM else 0.0
        return torch.as_tensor(distil(self.detector, lesson, rebuilt, valid) + RATE_WEIGHT * rate + divergence)

    @torch.no_grad()
    def learn_tables(self, data: Features, views: list[int]) -> None:
        """Latents, levels by how many pillars are kept, and positions."""
        codec, side = self.codec, self.codec.grid.pillar_rows
        latents = np.full((codec.config.latent, 2 * LATENT_LIMIT + 1), 0.02)
        levels, masks = np.full((len(codec.level_tables), LEVELS), 0.5), []
        for view in views:
            latent, order, level = codec.symbols(data.pillar_map(view, side))
            latents[np.arange(len(latent)), latent + LATENT_LIMIT] += 1
            for count in {min(count, len(order)) for count in (50, 100, 200, 400, 800, 1600, 3200, len(order))} - {0}:
                levels[octave(count)] += np.bincount(level[:count] - 1, minlength=LEVELS)
                masks.append(positions.mask_of(order[:count], side, side))
        codec.set_tables(
            InfocomTables(
                positions.tables_from(masks) if masks else positions.uniform_tables(side, side),
                tuple(Table.from_counts(row) for row in levels),
                tuple(Table.from_counts(np.convolve(row, [0.1, 0.8, 0.1], "same")) for row in latents),
            )
        )


def _random_cells(own: Tensor, rng: np.random.Generator) -> Tensor:
    """Cells (B, H, W) as a random budget would choose them; all of them half of the time."""
    if rng.random() < 0.5:
        return torch.ones_like(own, dtype=torch.bool)
    count = int(np.exp(rng.uniform(np.log(150), np.log(3000))))
    floor = own.flatten(1).topk(count, dim=1).values[:, -1, None, None]
    return own >= floor
