"""How InfoCom is taught."""

from __future__ import annotations

import math

import numpy as np
import torch
from codec_features import Features
from codec_lessons import WINDOW, Lesson, Loss, distil
from torch.nn import functional as F

from carla_cp.codecs.infocom import SHARE, InfocomCodec, windows
from carla_cp.codecs.infocom_packets import InfocomTables
from carla_cp.codecs.infocom_symbols import STEP, InfocomSymbols, LatentModel, LevelModel
from carla_cp.codecs.positions import PositionModel, mask_of
from carla_cp.perception.detector import Detector
from carla_cp.types import FloatArray

DIVERGENCE_WEIGHT, DIVERGENCE_FROM = 1e-3, 0.3  # of the training
RATE_WEIGHT = 3.0
FEWEST_PILLARS = 150
TABLE_COUNTS = (50, 100, 200, 400, 800, 1600, 3200)  # pillars of messages that tables are learnt of


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
        latents, samples = [], []
        for view in views:
            choice = codec.choice(data.pillar_map(view, side))
            latents.append(np.rint(choice.latent / STEP).astype(np.int64))
            worth = int(np.count_nonzero(choice.levels))
            for count in {min(count, worth) for count in (*TABLE_COUNTS, worth)} - {0}:
                kept = choice.order[:count]
                levels = choice.levels[:count][np.argsort(kept)]
                samples.append(InfocomSymbols(None, mask_of(kept, *codec.shape), levels))
        masks = [sample.mask for sample in samples]
        codec.set_tables(
            InfocomTables(
                PositionModel.learnt(masks) if masks else PositionModel.uniform(*codec.shape),
                LevelModel.learnt(samples),
                LatentModel.learnt(np.array(latents)),
            )
        )
