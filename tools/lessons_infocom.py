"""How InfoCom is taught.

Joint, as in the paper: the loaded detector and the codec learn together from the detection loss and the divergence; the
ego's own pillars stay as they are. Different: the divergence counts from the first step, since the codec comes trained;
the price on idle ratings stays, since budgets go by them; what the own heat head says of use goes in without a
gradient.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from codec_features import Features
from codec_lessons import WINDOW, Arrival, Lesson, Loss, Sending, distil
from torch.nn import functional as F

from carla_cp.codecs.infocom import SHARE, InfocomCodec, InfocomRate
from carla_cp.codecs.infocom_packets import InfocomTables
from carla_cp.codecs.infocom_symbols import STEP, InfocomSymbols, LatentModel, PillarModel
from carla_cp.codecs.positions import PositionModel, mask_of
from carla_cp.perception.detector import Detector
from carla_cp.types import FloatArray

DIVERGENCE_WEIGHT, DIVERGENCE_FROM = 1e-3, 0.5  # of the training: the paper's half
RATE_WEIGHT = 3.0
JOINT_RATE_WEIGHT = 0.15  # detection pulls a seventh as hard as distillation: 3.0 would silence it, 0 rate everything
FEWEST_PILLARS = 80
TABLE_COUNTS = (50, 100, 200, 400, 800, 1600, 3200)  # pillars of messages that tables are learnt of


class InfocomTeacher:
    """Everything by gradients."""

    takes_pillars = True

    def __init__(self, codec: InfocomCodec, detector: Detector, seed: int) -> None:
        self.codec, self.detector = codec, detector
        self.noise = torch.Generator().manual_seed(seed)

    def loss(self, lesson: Lesson, progress: float, rng: np.random.Generator) -> Loss:
        """Distillation, divergence once it is on, and the price of rating what shows no object."""
        arrival = self._arrival(lesson, progress, rng, RATE_WEIGHT)
        task = distil(self.detector, lesson, arrival.bev, arrival.valid)
        return Loss(task + arrival.aside, task.item(), arrival.rate_nats)

    def send(self, sending: Sending, progress: float, rng: np.random.Generator) -> Arrival:
        """BEV features that a receiver makes of rebuilt pillars, with price and divergence."""
        return self._arrival(sending, progress, rng, JOINT_RATE_WEIGHT)

    def _arrival(self, sending: Sending, progress: float, rng: np.random.Generator, rate_weight: float) -> Arrival:
        assert sending.pillars is not None
        codec, stride = self.codec, self.detector.config.grid.bev_stride
        own, side = sending.seen(sending.useful), WINDOW * stride
        rate = InfocomRate(_count(own[0].numel() * stride**2, progress, rng), *_extras(codec.config.content, rng))
        noise = torch.randn(len(own), codec.config.latent, generator=self.noise)
        places = sending.corners
        corners = None if places is None else [(stride * row, stride * column) for row, column in places]
        with torch.autocast("cpu", torch.bfloat16):
            output = codec(sending.pillars, sending.useful, rate, noise, corners, side)
            rebuilt = self.detector.bev_from_pillars(output.pillars)
        valid = F.max_pool2d(output.valid[:, None].float(), stride)[:, 0] > 0
        idle = (1 - F.interpolate(own[:, None], scale_factor=stride)[:, 0]).clamp(min=0.02)
        aside = rate_weight * (output.rating * idle).mean()
        if progress > DIVERGENCE_FROM:
            aside = aside + DIVERGENCE_WEIGHT * output.divergence
        return Arrival(rebuilt.float(), valid, aside, output.divergence.item())

    def resume(self) -> None:
        """Nothing goes on but the weights."""

    def usage(self) -> list[FloatArray]:
        """There is no codebook."""
        return []

    @torch.no_grad()
    def learn_tables(self, data: Features, views: list[int]) -> None:
        """Latents, positions, and levels and content by how many pillars are kept."""
        codec, side = self.codec, self.codec.grid.pillar_rows
        latents, samples = [], []
        for view in views:
            heat = self.detector.heat_from_bev(data.bev_map(view)[None])[0]
            choice = codec.choice(data.pillar_map(view, side), heat)
            latents.append(np.rint(choice.latent / STEP).astype(np.int64))
            worth = int(np.count_nonzero(choice.values[0]))
            for count in {min(count, worth) for count in (*TABLE_COUNTS, worth)} - {0}:
                kept = np.sort(choice.order[:count])
                values = choice.values[:, :count][:, np.argsort(choice.order[:count])]
                samples.append(InfocomSymbols(None, mask_of(kept, *codec.shape), values))
        masks = [sample.mask for sample in samples]
        codec.set_tables(
            InfocomTables(
                PositionModel.learnt(masks) if masks else PositionModel.uniform(*codec.shape),
                PillarModel.learnt(samples, codec.config.content),
                LatentModel.learnt(np.array(latents)),
            )
        )


def _count(pillars: int, progress: float, rng: np.random.Generator) -> int:
    """How many pillars a step keeps: half of the time by the paper's schedule, else as budgets would have it."""
    if rng.random() < 0.5:
        falling = rng.random() < 0.6
        return math.ceil(pillars * (max(1 - 2 * progress, SHARE) if falling else rng.uniform(SHARE, 1)))
    return int(np.exp(rng.uniform(np.log(FEWEST_PILLARS), np.log(SHARE * pillars))))


def _extras(content: int, rng: np.random.Generator) -> tuple[int, bool]:
    """Channels of content, and whether the latent is sent."""
    channels = content if rng.random() < 0.5 else int(rng.integers(content + 1))
    return channels, bool(rng.random() < 0.85)
