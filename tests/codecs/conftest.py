"""A checkpoint with seeded random codec weights, so that no test needs a trained one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from carla_cp.codecs import CODECS
from carla_cp.codecs.weights import detector_fingerprint, save_weights
from carla_cp.perception.config import DetectorConfig


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    DetectorConfig().save(folder / "config.json")
    save_file({"some.weight": torch.arange(4.0)}, folder / "weights.safetensors")
    for kind in CODECS.values():
        if kind.learned:
            torch.manual_seed(3)
            save_weights(kind(), folder, detector_fingerprint(folder))
    return folder
