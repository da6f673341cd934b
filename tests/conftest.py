"""What the end-to-end tests share: one embedded server, and the committed checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from carla_cp.networks import EPISODE_THREADS
from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.detector import Detector
from carla_cp.world import embedded_server

ROOT = Path(__file__).resolve().parent.parent
CHECKPOINT = ROOT / "checkpoints" / "mini"


@pytest.fixture(scope="session")
def server_address() -> Iterator[tuple[str, int]]:
    """Host and port of an embedded server that all end-to-end tests use in turn."""
    with embedded_server() as address:
        yield address


@pytest.fixture(scope="session")
def detector() -> Detector:
    """The committed detector."""
    torch.use_deterministic_algorithms(True)
    return load_detector(CHECKPOINT, "cpu", threads=EPISODE_THREADS)
