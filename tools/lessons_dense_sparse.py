"""How dense_sparse is taught."""

from __future__ import annotations

import numpy as np
import torch
from codec_features import Features
from codec_lessons import FEATURE_WEIGHT, WINDOW, Lesson, Loss, distil, random_cells
from torch import Tensor
from torch.nn import functional as F

from carla_cp.codecs.bitstream import Table
from carla_cp.codecs.dense_sparse import DenseSparseCodec
from carla_cp.codecs.dense_sparse_net import SimVq
from carla_cp.codecs.dense_sparse_plan import PATCH_BITS, Plan
from carla_cp.codecs.dense_sparse_tokens import TokenTables, coarse_contexts, colours, fine_cells, first_context
from carla_cp.codecs.infocom import windows
from carla_cp.codecs.positions import PositionModel
from carla_cp.perception.detector import Detector
from carla_cp.types import FloatArray, IntArray

COMMIT_WEIGHT, CODE_WEIGHT, COARSE_WEIGHT, GATE_WEIGHT = 0.25, 1.0, 3.0, 0.2
BOX_WEIGHT = 2.0
UNQUANTISED = 0.05  # of the training: vectors find their place before codes are drawn from them
FEATURES_ONLY = 0.12  # of it: the features themselves are asked for, which takes far less time per step
HELPFUL = 0.25  # usefulness of cells of which a blurred value may help
TABLE_BITS = (2000, 4000, 8000, 16000, 32000)  # of messages that tables are learnt from
BACK_OFF = 12.0  # counts of the context-free table that each context starts with


class DenseSparseTeacher:
    """Everything by gradients; codes start as vectors drawn from the data."""

    takes_pillars = False

    def __init__(self, codec: DenseSparseCodec, detector: Detector, seed: int) -> None:
        self.codec, self.detector = codec, detector
        self.generator = torch.Generator().manual_seed(seed)
        self.started = False
        self.counts = torch.ones(codec.config.stages + 1, codec.config.codes)

    def loss(self, lesson: Lesson, progress: float, rng: np.random.Generator) -> Loss:
        """Distillation where some cells come fine and others coarse or not at all, codes and gate."""
        codec = self.codec
        bev, own = windows(lesson.bev, lesson.corners, WINDOW), windows(lesson.useful, lesson.corners, WINDOW)
        weight = 0.05 + own
        depth = self._depth(own, rng)
        exact = progress < UNQUANTISED and not self.started
        fine, fine_codes = self._coded(codec.fine.down(bev), codec.fine_codes, weight, depth, 0, exact)
        shrunk = F.max_pool2d(weight[:, None], codec.config.stride)[:, 0]
        blurred, coarse_codes = self._coded(
            codec.coarse.shrink(bev), codec.coarse_codes, shrunk, torch.ones_like(shrunk), -1, exact
        )
        self.started = self.started or not exact
        first = progress < FEATURES_ONLY
        here, there = (torch.ones_like(own, dtype=torch.bool),) * 2 if first else _shown(own, rng)
        sharp = codec.fine.expand(fine, depth * here)
        blunt, useful = codec.coarse.expand(blurred)
        coarse = ((blunt - bev).square().mean(1) * weight).sum() / weight.sum()
        gate = F.binary_cross_entropy_with_logits(useful, (own > HELPFUL).float())
        beside = CODE_WEIGHT * (fine_codes + coarse_codes) + COARSE_WEIGHT * coarse + GATE_WEIGHT * gate
        rate = self._rate_nats(own[0].numel())
        if first:
            task = FEATURE_WEIGHT * ((sharp - bev).square().mean(1) * weight).sum() / weight.sum()
            return Loss(task + beside, task.item(), rate)
        task = distil(self.detector, lesson, torch.where(here[:, None], sharp, blunt), here | there, BOX_WEIGHT)
        return Loss(task + beside, task.item(), rate)

    def _depth(self, own: Tensor, rng: np.random.Generator) -> Tensor:
        """Stages (B, H, W) of each cell: all of them half of the time, else drawn block by block."""
        stages = self.codec.config.stages
        if rng.random() < 0.5:
            return torch.full(own.shape, stages)
        blocks = rng.integers(1, stages + 1, (len(own), own.shape[1] // 4, own.shape[2] // 4))
        return torch.from_numpy(blocks.repeat(4, 1).repeat(4, 2))

    def _coded(
        self, latent: Tensor, codes: SimVq, weight: Tensor, depth: Tensor, first: int, exact: bool
    ) -> tuple[Tensor, Tensor]:
        """Latents (B, width, H, W) as coded, straight through, and the loss of codes and commitment.

        The usage of the stages is counted from row `first` on.
        """
        vectors = latent.permute(0, 2, 3, 1).flatten(0, 2)
        share = weight.flatten() / weight.sum()
        if exact:
            return latent, vectors.new_zeros(())
        if not self.started:
            draw_codes(codes, vectors.detach(), share, self.generator)
        residual, coded, loss = vectors.detach(), torch.zeros_like(vectors), vectors.new_zeros(())
        for stage, book in enumerate(codes.books()):
            index = (book.detach().square().sum(1) - 2 * residual @ book.detach().T).argmin(1)
            self._count(first + stage if first >= 0 else first, index, share)
            code = book[index]
            loss = loss + ((residual - code).square().sum(1) * share).sum()
            residual = residual - code.detach()
            coded = coded + code.detach() * (depth.flatten() > stage)[:, None]
        loss = loss + COMMIT_WEIGHT * ((vectors - coded).square().sum(1) * share).sum()
        straight = vectors + (coded - vectors).detach()
        shape = latent.permute(0, 2, 3, 1).shape
        return straight.view(shape).permute(0, 3, 1, 2), loss

    def _count(self, row: int, index: Tensor, share: Tensor) -> None:
        fresh = torch.zeros_like(self.counts[row]).index_add_(0, index, share) * len(index)
        self.counts[row].mul_(0.98).add_(fresh, alpha=0.02)

    def _rate_nats(self, cells: int) -> float:
        """The entropy of so many cells' fine tokens, were each stage coded by how often its codes are used."""
        shares = [counts / counts.sum() for counts in self.usage()[:-1]]
        return cells * float(sum(-(share * np.log(share + 1e-12)).sum() for share in shares))

    def resume(self) -> None:
        """The codes are where they were."""
        self.started = True

    def usage(self) -> list[FloatArray]:
        """Of the fine stages, and of the coarse grid."""
        return [counts.double().numpy() for counts in self.counts]

    @torch.no_grad()
    def learn_tables(self, data: Features, views: list[int]) -> None:
        """Statistics of what messages of several sizes hold; twice, since the order asks the tables for costs."""
        for _ in range(2):
            count = TableCounts(self.codec)
            for view in views:
                bev = data.bev_map(view)
                count.add(self.codec.plan(bev, self.detector.heat_from_bev(bev[None])[0]))
            self.codec.set_tables(count.tables())


class TableCounts:
    """How often each symbol was seen in each context."""

    def __init__(self, codec: DenseSparseCodec) -> None:
        config = codec.config
        self.codec = codec
        self.depth = np.ones(config.stages)
        self.first = np.zeros((config.codes + 1, config.codes))
        self.later = np.zeros((config.stages - 1, config.codes, config.codes))
        self.coarse = np.zeros((2 * config.codes + 1, config.codes))
        self.masks: list[np.ndarray[tuple[int, int], np.dtype[np.bool_]]] = []

    def add(self, plan: Plan) -> None:
        """Counts what messages of this plan would hold."""
        order = plan.order()
        running = np.cumsum(plan.bits.ravel()[order] + PATCH_BITS * (order % plan.bits.shape[1] == 0))
        for size in TABLE_BITS:
            self._add_fine(plan.tokens, plan.depth(order[: max(int(np.searchsorted(running, size)), 1)]))
        for phase in self.codec.phases:
            contexts = coarse_contexts(plan.coarse, phase, self.codec.config.codes)
            np.add.at(self.coarse, (contexts, plan.coarse[phase.cells]), 1.0)

    def _add_fine(self, tokens: IntArray, depth: IntArray) -> None:
        self.masks.append(depth > 0)
        np.add.at(self.depth, depth[depth > 0] - 1, 1.0)
        cells = fine_cells(depth, self.codec.config.patch)
        white, black = colours(cells > 0)
        none = len(self.first) - 1
        np.add.at(self.first[none], tokens[0][cells > 0], 1.0)
        np.add.at(self.first, (first_context(white, tokens[0], none)[black], tokens[0][black]), 1.0)
        for stage, counts in enumerate(self.later, 1):
            deep = cells > stage
            np.add.at(counts, (tokens[stage - 1][deep], tokens[stage][deep]), 1.0)

    def tables(self) -> TokenTables:
        """Tables that suit what was counted."""
        later = tuple(_backed_off(counts) for counts in self.later)
        where, depth = PositionModel.learnt(self.masks), Table.from_counts(self.depth)
        return TokenTables(where, depth, _backed_off(self.first), later, _backed_off(self.coarse))


def draw_codes(codes: SimVq, vectors: Tensor, share: Tensor, generator: torch.Generator) -> None:
    """Sets the maps so that the codes of each stage are residuals drawn from the data, as nearly as they can be."""
    residual = vectors
    for stage, frozen in enumerate(codes.frozen):
        drawn = residual[torch.multinomial(share, len(frozen), generator=generator)]
        ridge = 1e-3 * torch.eye(frozen.shape[1])
        codes.maps.data[stage] = torch.linalg.solve(frozen.T @ frozen + ridge, frozen.T @ drawn)
        book = codes.books()[stage].detach()
        index = (book.square().sum(1) - 2 * residual @ book.T).argmin(1)
        residual = residual - book[index]


def _shown(own: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Which cells (B, H, W) come fine, and which others from the coarse grid."""
    mode = rng.random()
    fine = random_cells(own, rng) if mode < 0.85 else torch.zeros_like(own, dtype=torch.bool)
    coarse = (own > HELPFUL) & ~fine if mode > 0.6 else torch.zeros_like(fine)
    return fine, coarse


def _backed_off(counts: FloatArray) -> tuple[Table, ...]:
    """A table per context (rows), each with some of all contexts' counts."""
    whole = counts.sum(0) + 0.5
    return tuple(Table.from_counts(row + BACK_OFF * whole / whole.sum()) for row in counts)
