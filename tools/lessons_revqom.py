"""How ReVQom is taught.

Joint, as in the paper: codec and detector learn end to end from the detection loss, 0.05 times the commitment and 1e-4
times the orthogonality, while the codebooks follow moving averages. Different: decay 0.95, weights and depths as when
the codec learns alone; only partners' features are coded; the codec comes trained. Left out: the paper's backbone,
heads and schedule.
"""

from __future__ import annotations

import numpy as np
import torch
from codec_features import Features
from codec_lessons import Arrival, Lesson, Loss, Sending, distil, random_cells, refine
from revqom_tables import learn
from torch import Tensor
from torch.nn import functional as F

from carla_cp.codecs.revqom import RevqomCodec, price_of
from carla_cp.codecs.rvq import CodebookLearner
from carla_cp.perception.detector import Detector
from carla_cp.types import FloatArray

COMMIT_WEIGHT, ORTHOGONALITY_WEIGHT, DECAY = 0.25, 1e-4, 0.95
JOINT_COMMIT_WEIGHT = 0.05  # the paper's
BOX_WEIGHT = 2.0
FLOOR = 0.03  # of a cell's weight
PROBES = 4  # of the detector's sensitivity


class RevqomTeacher:
    """Moves the codebooks by averages, the rest by gradients."""

    takes_pillars = False

    def __init__(self, codec: RevqomCodec, detector: Detector, seed: int) -> None:
        self.codec, self.detector = codec, detector
        self.learner = CodebookLearner(codec.quantiser, DECAY, torch.Generator().manual_seed(seed))

    def loss(self, lesson: Lesson, progress: float, rng: np.random.Generator) -> Loss:
        """Distillation, commitment and orthogonality, at a random number of stages and cells."""
        if not self.learner.started:
            self._start(lesson)
        arrival = self._arrival(lesson, rng, COMMIT_WEIGHT)
        task = distil(self.detector, lesson, arrival.bev, arrival.valid, BOX_WEIGHT)
        return Loss(task + arrival.aside, task.item(), arrival.rate_nats)

    def send(self, sending: Sending, progress: float, rng: np.random.Generator) -> Arrival:
        """Rebuilt BEV features, with commitment and orthogonality; the codebooks move."""
        return self._arrival(sending, rng, JOINT_COMMIT_WEIGHT)

    def _arrival(self, sending: Sending, rng: np.random.Generator, commit_weight: float) -> Arrival:
        codec = self.codec
        bev, own = sending.seen(sending.bev), sending.seen(sending.useful)
        latent = codec.down(bev).permute(0, 2, 3, 1)
        vectors = latent.flatten(0, 2)
        weight = (FLOOR + own).flatten() / (FLOOR + own).mean()
        indices = self.learner.learn(vectors.detach(), weight, price_of(own, codec.quantiser).flatten())
        valid = random_cells(own, rng)
        depth = valid * random_depths(own, valid, codec.config.stages, rng)
        drawn = torch.where(torch.arange(len(indices))[:, None] < depth.flatten(), indices, codec.config.codes)
        whole, coded = codec.quantiser.look_up(indices), codec.quantiser.look_up(drawn)
        commit = ((vectors - whole).square().mean(1) * weight).mean()
        straight = (vectors + (coded - vectors).detach()).view_as(latent).permute(0, 3, 1, 2)
        matrix = F.normalize(codec.down.weight.flatten(1))
        crooked = (matrix @ matrix.T - torch.eye(len(matrix))).square().mean()
        aside = commit_weight * commit + ORTHOGONALITY_WEIGHT * crooked
        rate = self._rate_nats(own[0].numel(), len(indices))
        return Arrival(codec.up(straight, depth.float()), valid, aside, rate)

    def _start(self, lesson: Lesson) -> None:
        """Projections that keep what the detector's answers hang on most, and codebooks of k-means."""
        codec, bev = self.codec, lesson.bev
        weight = (FLOOR + lesson.useful).flatten()
        cells = bev.permute(0, 2, 3, 1).flatten(0, 2)
        mean = (cells * weight[:, None]).sum(0) / weight.sum()
        spread = ((cells - mean) * weight[:, None]).T @ (cells - mean) / weight.sum()
        metric = sensitivity(self.detector, bev, PROBES)
        root, inverse = roots(metric / metric.trace() + 0.1 * torch.eye(len(metric)) / len(metric))
        axes = torch.linalg.eigh(root @ spread @ root)[1].flip(1)[:, : codec.config.width]
        down, up = axes.T @ root, inverse @ axes
        scale = ((cells - mean) @ down.T).square().mul(weight[:, None]).sum(0).div(weight.sum()).mean().rsqrt()
        with torch.no_grad():
            codec.down.weight.copy_((down * scale)[:, :, None, None])
            codec.down.bias.copy_(-(down * scale) @ mean)  # type: ignore[union-attr]
            codec.expand.weight.copy_((up / scale)[:, :, None, None])
            codec.expand.bias.copy_(mean)  # type: ignore[union-attr]
            picked = torch.multinomial(weight, 20_000, generator=self.learner.generator)
            self.learner.start((cells[picked] - mean) @ (down * scale).T, torch.ones(len(picked)))

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

    def learn_tables(self, data: Features, views: list[int]) -> None:
        """From messages at all rates."""
        learn(self.codec, self.detector, data, views)


def random_depths(own: Tensor, valid: Tensor, stages: int, rng: np.random.Generator) -> Tensor:
    """Stages per cell (B, H, W): all, the same fewer for all, or more for the more useful of those that are sent."""
    draw = rng.random()
    if draw < 0.35:
        return torch.full(own.shape, stages)
    low = int(rng.integers(1, stages + 1))
    if draw < 0.6:
        return torch.full(own.shape, low)
    high = int(rng.integers(low, stages + 1))
    share = float(rng.uniform(0.1, 0.9)) * valid.flatten(1).float().mean()
    floor = own.flatten(1).quantile(1 - float(share), dim=1)[:, None, None]
    return torch.where(own > floor, high, low)


def sensitivity(detector: Detector, bev: Tensor, probes: int) -> Tensor:
    """How much each direction of a cell's features (B, C, H, W) moves the detector's answers: (C, C), symmetric.

    The mean outer product of gradients of random sums of answers, each weighted by what an error in it would count.
    """
    total = torch.zeros(bev.shape[1], bev.shape[1])
    for probe in range(probes):
        cells = bev.clone().requires_grad_()
        raw = detector.raw_heads(refine(detector, cells))
        hot = torch.sigmoid(raw.heat.detach().float())
        generator = torch.Generator().manual_seed(probe)
        signs = [2.0 * torch.randint(2, part.shape, generator=generator) - 1 for part in (raw.heat, raw.boxes)]
        top = hot.amax(1, keepdim=True)
        answer = (signs[0] * (hot * (1 - hot)).sqrt() * raw.heat).sum()
        answer = answer + BOX_WEIGHT * (signs[1] * top * (top > 0.05) * raw.boxes).sum()
        slope = torch.autograd.grad(answer, cells)[0].transpose(0, 1).flatten(1)
        total += slope @ slope.T
    return total


def roots(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The square root of a symmetric positive matrix, and its inverse."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.sqrt()) @ vectors.T, (vectors / values.sqrt()) @ vectors.T
