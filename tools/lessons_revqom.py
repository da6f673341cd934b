"""How ReVQom is taught."""

from __future__ import annotations

import numpy as np
import torch
from codec_features import Features
from codec_lessons import WINDOW, Lesson, Loss, distil, random_cells

from carla_cp.codecs.bitstream import Table
from carla_cp.codecs.infocom import windows
from carla_cp.codecs.positions import PositionModel, mask_of
from carla_cp.codecs.ranking import rank
from carla_cp.codecs.revqom import RevqomCodec
from carla_cp.codecs.rvq import CodebookLearner
from carla_cp.perception.detector import Detector
from carla_cp.types import FloatArray

COMMIT_WEIGHT, ORTHOGONALITY_WEIGHT, DECAY = 0.25, 1e-4, 0.95


class RevqomTeacher:
    """Moves the codebooks by averages, the rest by gradients."""

    takes_pillars = False

    def __init__(self, codec: RevqomCodec, detector: Detector, seed: int) -> None:
        self.codec, self.detector = codec, detector
        self.learner = CodebookLearner(codec.quantiser, DECAY, torch.Generator().manual_seed(seed))

    def loss(self, lesson: Lesson, progress: float, rng: np.random.Generator) -> Loss:
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
        valid = windows(random_cells(own, rng), lesson.corners, WINDOW)
        task = distil(self.detector, lesson, codec.up(windows(straight, lesson.corners, WINDOW)), valid)
        total = task + COMMIT_WEIGHT * commit + ORTHOGONALITY_WEIGHT * crooked
        return Loss(total, task.item(), self._rate_nats(len(vectors) // len(lesson.bev), stages))

    def _rate_nats(self, cells: int, stages: int) -> float:
        """The entropy of so many cells' indices, were each stage coded by how often its codes are used."""
        shares = [counts / counts.sum() for counts in self.usage()[:stages]]
        return cells * float(sum(-(share * np.log(share + 1e-12)).sum() for share in shares))

    def resume(self) -> None:
        """The averages go on from the codebooks."""
        self.learner.restart()

    def usage(self) -> list[FloatArray]:
        """By the averages of each stage."""
        return [counts.double().numpy() for counts in self.learner.counts]

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
            masks += [mask_of(order[:count], codec.grid.rows, codec.grid.columns) for count in (200, 500, 1000)]
        tables = [[Table.from_counts(row) for row in group] for group in counts]
        codec.set_tables(tables, PositionModel.learnt(masks))
