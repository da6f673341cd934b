"""How CodeFilling is taught."""

from __future__ import annotations

import numpy as np
import torch
from codec_features import Features
from codec_lessons import WINDOW, Lesson, Loss, distil, random_cells

from carla_cp.codecs.base import PACKET_BYTES, Room
from carla_cp.codecs.bitstream import Table
from carla_cp.codecs.cells import morton
from carla_cp.codecs.codefilling import CodefillingCodec
from carla_cp.codecs.indices import CLASSES, MIXES, IndexModel, beside, classes_of, learnt_tables, parent
from carla_cp.codecs.infocom import windows
from carla_cp.codecs.positions import BoolArray, PositionModel, mask_of
from carla_cp.codecs.ranking import rank
from carla_cp.codecs.rvq import CodebookLearner
from carla_cp.perception.detector import Detector
from carla_cp.types import FloatArray, IntArray

COMMIT_WEIGHT, DECAY = 0.25, 0.95
LEARNT_CELLS = 6000  # per step and group
COUNTS = (100, 250, 600, 1500)  # cells of the messages that tables are learnt from
ELSEWHERE = 0.1  # what cells beyond them count in the tables
BUDGETS = (250, 500, 1000, 2000, 4000, 8000, 16_000)
DEPTH_VIEWS = 20


class CodefillingTeacher:
    """Moves the codebooks by averages, the rest by gradients."""

    takes_pillars = False

    def __init__(self, codec: CodefillingCodec, detector: Detector, seed: int) -> None:
        self.codec, self.detector = codec, detector
        self.noise = torch.Generator().manual_seed(seed)
        self.learners = [CodebookLearner(group, DECAY, self.noise) for group in codec.books]

    def loss(self, lesson: Lesson, progress: float, rng: np.random.Generator) -> Loss:
        """Distillation and commitment, at a random number of levels and cells."""
        codec = self.codec
        latent = codec.down(windows(lesson.bev, lesson.corners, WINDOW))
        vectors = codec.vectors(latent)
        weight = 0.03 + windows(lesson.useful, lesson.corners, WINDOW).flatten()
        some = torch.randperm(len(weight), generator=self.noise)[:LEARNT_CELLS]
        for learner, part in zip(self.learners, vectors, strict=True):
            learner.learn(part.detach()[some], weight[some] / weight.mean())
        levels = int(rng.choice([1, 2, 3], p=[0.25, 0.2, 0.55]))
        indices = codec.search([part.detach() for part in vectors])
        coded = codec.look_up(indices, torch.full((len(weight),), levels))
        whole = torch.cat(vectors, dim=1)
        commit = ((whole - coded).square().mean(1) * weight).mean() / weight.mean()
        straight = (whole + (coded - whole).detach()).view(len(latent), WINDOW, WINDOW, -1).permute(0, 3, 1, 2)
        valid = windows(random_cells(lesson.useful, rng), lesson.corners, WINDOW)
        task = distil(self.detector, lesson, codec.up(straight).relu(), valid)
        cells = len(weight) // len(latent)
        return Loss(task + COMMIT_WEIGHT * commit, task.item(), self._rate_nats(cells, levels))

    def _rate_nats(self, cells: int, levels: int) -> float:
        """The entropy of so many cells' indices, were each codebook's coded by how often its codes are used."""
        shares = [learner.counts[:levels] / learner.counts[:levels].sum(1, keepdim=True) for learner in self.learners]
        return cells * float(sum(-(share * (share + 1e-12).log()).sum() for share in shares))

    def resume(self) -> None:
        """The averages go on from the codebooks."""
        for learner in self.learners:
            learner.restart()

    def usage(self) -> list[FloatArray]:
        """By the averages of each group's levels."""
        return [counts.double().numpy() for learner in self.learners for counts in learner.counts]

    @torch.no_grad()
    def learn_tables(self, data: Features, views: list[int]) -> None:
        """Indices by their parents, depths by the first index, positions of the best few hundred cells."""
        codec, config = self.codec, self.codec.config
        levels, groups, codes = config.levels, config.groups, config.codes
        pairs = np.zeros((levels, groups, codes + 1, codes))  # of parents, the last is none, and children
        masks, residue = [], []
        for view in views:
            bev = data.bev_map(view)[None]
            vectors = codec.vectors(codec.down(bev))
            found = codec.search(vectors)
            indices = found.numpy()
            order = rank(self.detector.heat_from_bev(bev)[0])
            best = order[: COUNTS[-1]]
            whole = torch.cat(vectors, dim=1)[best]
            residue.append(whole.square().sum(1).mean().item())
            for cells, weight in ((order[: COUNTS[2]], 1.0), (best, 0.5), (order, ELSEWHERE)):
                self._count(pairs, np.sort(cells), indices, weight)
            masks += [mask for count in COUNTS for mask in self._masks(order[:count])]
        codec.residue.fill_(float(np.mean(residue)))
        where, model = PositionModel.learnt(masks), _model(pairs)
        codec.set_tables(where, model)
        codec.set_tables(where, IndexModel(model.classes, model.weights, self._depths(data, views, model)))

    def _depths(self, data: Features, views: list[int], model: IndexModel) -> list[list[IntArray]]:
        """Tables of depths by mix and class, of what the codec itself chooses under budgets."""
        messages = []
        for view in views[:: max(1, len(views) // DEPTH_VIEWS)]:
            bev = data.bev_map(view)[None]
            indices, gain = self.codec.gains(bev, self.detector.heat_from_bev(bev)[0])
            for budget in BUDGETS:
                order, depth = self.codec.choose(gain, model.cell_bits(indices), Room(budget, PACKET_BYTES))
                classes = model.classes[0, 0][indices[0, 0, order]]
                counts = np.zeros((CLASSES, self.codec.config.levels))
                np.add.at(counts, (classes, depth[order] - 1), 1.0)
                messages.append(counts)
        messages.sort(key=lambda counts: float((counts.sum(0) * np.arange(counts.shape[1])).sum() / counts.sum()))
        parts = np.array_split(np.stack(messages), MIXES)
        return [[Table.from_counts(row + 0.5).weights for row in part.sum(0)] for part in parts]

    def _masks(self, chosen: IntArray) -> list[BoolArray]:
        grid = self.codec.grid
        pieces = np.array_split(morton(chosen, grid.columns), 1 + len(chosen) // 350)
        return [mask_of(piece, grid.rows, grid.columns) for piece in pieces]

    def _count(self, pairs: FloatArray, cells: IntArray, indices: IntArray, weight: float) -> None:
        """Adds these cells, flat indices in row order, to the counts of parents and children."""
        grid = self.codec.grid
        some = indices[:, :, cells]
        mask = mask_of(cells, grid.rows, grid.columns)
        for level, group in np.ndindex(*some.shape[:2]):
            first = level == group == 0
            above = beside(mask, some[0, 0], pairs.shape[3]) if first else some[parent(level, group)]
            np.add.at(pairs[level, group], (above, some[level, group]), weight)


def _model(pairs: FloatArray) -> IndexModel:
    """Classes and tables that suit these counts of parents and children; of depths it knows nothing."""
    classes = np.array([[classes_of(counts[:-1]) for counts in groups] for groups in pairs])
    tables = [
        [learnt_tables(counts[:-1], own, counts.sum(0)) for counts, own in zip(groups, owns, strict=True)]
        for groups, owns in zip(pairs, classes, strict=True)
    ]
    return IndexModel(classes, tables, IndexModel.uniform(*classes.shape).depth_weights)
