"""Batches of synthetic frames for the tests of the training tools."""

from __future__ import annotations

import numpy as np
from batches import Batch, make_batch

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.samples import Augmentation, make_sample
from tests.perception.synthetic import make_frame


def one_batch(frames: int, seed: int, config: DetectorConfig | None = None) -> Batch:
    """So many frames of a few agents each, for a detector of that configuration (default: mini)."""
    rng, config = np.random.default_rng(seed), config or DetectorConfig()
    samples = [make_sample(make_frame(seed + i), config, rng, Augmentation()) for i in range(frames)]
    return make_batch(samples, config, rng)
