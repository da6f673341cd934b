"""How Where2comm's values learn their steps, and how they learn with the detector.

Joint, as in the paper's code: each sender sends the K = U(0, 1) x H x W cells it is most confident in, and confidence
learns from the detection loss of each agent alone. Different: that is the rate of every other step, the others have one
as budgets give it, since these are far below; no request takes part; values are rounded; fusion is the detector's.
"""

from __future__ import annotations

import numpy as np
import torch
from codec_features import Features
from codec_lessons import WINDOW, Arrival, Lesson, Loss, Sending, budgeted, distil, random_cells
from fusion_lessons import most_confident
from torch import Tensor
from torch.nn import functional as F

from carla_cp.codecs.infocom import windows
from carla_cp.codecs.positions import PositionModel, mask_of
from carla_cp.codecs.ranking import falling
from carla_cp.codecs.taps import spread
from carla_cp.codecs.where2comm import Where2commCodec, selection
from carla_cp.codecs.where2comm_cells import LADDER, LEVELS, PRECISIONS, CellCoder
from carla_cp.perception.detector import Detector
from carla_cp.types import FloatArray, Stage


class Where2commTeacher:
    """Moves the share of each channel in the steps, of the two stages by turns.

    What all cost is fixed by the steps' mean; what is learnt is which channels the detector's answers hang on.
    """

    takes_pillars = True

    def __init__(self, codec: Where2commCodec, detector: Detector, seed: int) -> None:
        self.codec, self.detector = codec, detector

    def loss(self, lesson: Lesson, progress: float, rng: np.random.Generator) -> Loss:
        """Distillation at a random precision and number of cells."""
        precision, stage = int(rng.integers(PRECISIONS)), (Stage.BEV, Stage.BLOCK1)[int(rng.integers(2))]
        cells = random_cells(lesson.useful, rng)
        valid = lesson.seen(cells)
        coder = self.codec.coder(stage)
        if stage is Stage.BEV:
            given = lesson.seen(lesson.bev)
            rebuilt = self._straight(given, precision)
        else:
            given, rebuilt = self._through_backbone(lesson, valid, precision)
        total = distil(self.detector, lesson, rebuilt, valid)
        return Loss(total, total.item(), _nats(coder, given, valid, precision))

    def send(self, sending: Sending, progress: float, rng: np.random.Generator) -> Arrival:
        """Rounded BEV features of the most confident cells; there are no losses aside."""
        precision, given = int(rng.integers(PRECISIONS)), sending.seen(sending.bev)
        with torch.no_grad():
            heat = self.detector.heat_from_bev(sending.bev).amax(dim=1).float()
        cells = heat[0].numel()
        shares = [rng.random() if rng.random() < 0.5 else min(budgeted(rng) / cells, 1.0) for _ in heat]
        masks = [most_confident(each, heat.shape[1:], share) for each, share in zip(heat, shares, strict=True)]
        valid = sending.seen(torch.stack(masks))
        nats = _nats(self.codec.bev, given, valid, precision)
        return Arrival(self._straight(given, precision), valid, given.new_zeros(()), nats)

    def _straight(self, bev: Tensor, precision: int) -> Tensor:
        """BEV features (B, C, rows, columns), rounded straight through."""
        return self.codec.bev.straight(bev.permute(0, 2, 3, 1), precision).permute(0, 3, 1, 2)

    def _through_backbone(self, lesson: Lesson, valid: Tensor, precision: int) -> tuple[Tensor, Tensor]:
        """Windows of the first block, and the BEV features that a receiver makes of what it gets of them."""
        backbone, coder = self.detector.backbone, self.codec.block1
        assert lesson.pillars is not None
        with torch.no_grad():
            first = backbone.first(lesson.pillars)
        times = first.shape[2] // lesson.bev.shape[2]
        corners = tuple((row * times, column * times) for row, column in lesson.corners)
        given = windows(first, corners, WINDOW * times)
        there = F.interpolate(valid[:, None].float(), scale_factor=times) > 0
        straight = coder.straight(given.permute(0, 2, 3, 1), precision).permute(0, 3, 1, 2)
        with torch.autocast("cpu", torch.bfloat16):
            rebuilt = backbone.merge(backbone.scales(torch.where(there, straight, 0.0)))
        return given, rebuilt.float()

    def resume(self) -> None:
        """Nothing but the weights says where it is."""

    def usage(self) -> list[FloatArray]:
        """There is no codebook."""
        return []

    @torch.no_grad()
    def learn_tables(self, data: Features, views: list[int]) -> None:
        """Levels and centres of all cells for the finest precision, of those that go first for others; positions."""
        side = self.codec.grid.pillar_rows
        tallies = [_Tally(self.codec.coder(stage)) for stage in (Stage.BEV, Stage.BLOCK1)]
        for view in views:
            bev = data.bev_map(view)
            matters = selection(self.detector.heat_from_bev(bev[None])[0], None)
            first = self.detector.backbone.first(data.pillar_map(view, side)[None])[0]
            for tally, features in zip(tallies, (bev, first), strict=True):
                tally.add(features, matters)
        for tally in tallies:
            tally.coder.learn(tally.counts, tally.sums, PositionModel.learnt(tally.masks))


@torch.no_grad()
def _nats(coder: CellCoder, given: Tensor, valid: Tensor, precision: int) -> float:
    """About what the valid cells of features (B, C, rows, columns) cost, per view."""
    return (torch.log1p(given / coder.steps(precision)[:, None, None]).sum(1) * valid).sum().item() / len(given)


class _Tally:
    """What is counted of one stage."""

    def __init__(self, coder: CellCoder) -> None:
        self.coder = coder
        self.counts = np.zeros((PRECISIONS, coder.shape[0], LEVELS))
        self.sums = np.zeros_like(self.counts)
        self.masks: list[np.ndarray[tuple[int, ...], np.dtype[np.bool_]]] = []

    def add(self, features: Tensor, matters: Tensor) -> None:
        """One view's."""
        rows, columns = self.coder.shape[1:]
        order = falling(spread(matters[None], rows, columns)[0])
        vectors = features.flatten(1).T[torch.from_numpy(order)]
        for precision in range(PRECISIONS):
            sent = len(order) if precision == 0 else 2 * LADDER[precision - 1]
            values = vectors[:sent]
            levels = self.coder.levels(values, precision).long()
            index = (levels + LEVELS * torch.arange(levels.shape[1])).flatten().numpy()
            shape, size = self.counts[precision].shape, self.counts[precision].size
            self.counts[precision] += np.bincount(index, minlength=size).reshape(shape)
            self.sums[precision] += np.bincount(index, values.flatten().double().numpy(), size).reshape(shape)
        for count in (60, 150, 400):
            self.masks.append(mask_of(order[:count], rows, columns))
