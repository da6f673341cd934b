"""What tests of the evaluation share: the tools as modules, and an untrained detector that claims boxes everywhere."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import torch

from carla_cp.perception.checkpoint import save_detector
from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.detector import Detector

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def load_tool(name: str) -> ModuleType:
    """A script of tools/, whose neighbours it imports by their bare names."""
    sys.path.insert(0, str(TOOLS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(TOOLS))


def save_claimer(folder: Path) -> Path:
    """A checkpoint whose head fires at every cell."""
    torch.manual_seed(2)
    detector = Detector(DetectorConfig()).eval()
    with torch.no_grad():
        detector.head.heat.weight.mul_(8.0)
        detector.head.heat.bias.fill_(-1.5)
    save_detector(detector, folder)
    return folder
