"""The tools' view that looks like a detector's without one, and a checkpoint whose codecs are untrained."""

from __future__ import annotations

from pathlib import Path

import torch
from fake_view import POSE, FakeView, fake_view
from safetensors.torch import save_file

from carla_cp.codecs import CODECS
from carla_cp.codecs.weights import detector_fingerprint, save_weights
from carla_cp.perception.config import DetectorConfig

__all__ = ["POSE", "FakeView", "fake_view", "random_checkpoint"]


def random_checkpoint(folder: Path, seed: int = 3) -> Path:
    """A checkpoint folder of a detector like `mini` with random codec weights, all of that seed."""
    DetectorConfig().save(folder / "config.json")
    save_file({"some.weight": torch.full((4,), float(seed))}, folder / "weights.safetensors")
    for kind in CODECS.values():
        if kind.learned:
            torch.manual_seed(seed)
            save_weights(kind(), folder, detector_fingerprint(folder))
    return folder
