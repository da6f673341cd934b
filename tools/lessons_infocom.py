"""How InfoCom is taught."""

from __future__ import annotations

import math

import numpy as np
import torch
from codec_features import Features
from codec_lessons import WINDOW, Lesson, Loss, distil
from torch.nn import functional as F

from carla_cp.codecs.bitstream import Table
from carla_cp.codecs.infocom import LATENT_LIMIT, LEVELS, SHARE, InfocomCodec, InfocomTables, octave, windows
from carla_cp.codecs.positions import PositionModel, mask_of
from carla_cp.perception.detector import Detector
from carla_cp.types import FloatArray

DIVERGENCE_WEIGHT, DIVERGENCE_FROM = 1e-3, 0.3  # of the training
RATE_WEIGHT = 3.0
FEWEST_PILLARS = 150


class InfocomTeacher:
    """Everything by gradients."""

    takes_pillars = True

    def __init__(self, codec: InfocomCodec, detector: Detector, seed: int) -> None:
        self.codec, self.detector = codec, detector
        self.noise = torch.Generator().manual_seed(seed)

    def loss(self, lesson: Lesson, progress: float, rng: np.random.Generator) -> Loss:
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
        task = distil(self.detector, lesson, rebuilt, valid)
        return Loss(task + RATE_WEIGHT * rate + divergence, task.item(), output.divergence.item())

    def resume(self) -> None:
        """Nothing goes on but the weights."""

    def usage(self) -> list[FloatArray]:
        """There is no codebook."""
        return []

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
                masks.append(mask_of(order[:count], side, side))
        codec.set_tables(
            InfocomTables(
                PositionModel.learnt(masks) if masks else PositionModel.uniform(side, side),
                tuple(Table.from_counts(row) for row in levels),
                tuple(Table.from_counts(np.convolve(row, [0.1, 0.8, 0.1], "same")) for row in latents),
            )
        )
