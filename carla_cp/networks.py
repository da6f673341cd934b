"""The networks that a team runs, and the arithmetic that makes them repeatable."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from carla_cp.codecs import codec_for, load_codec
from carla_cp.codecs.base import Codec
from carla_cp.perception.base import DetectorLike, OutsideDetector
from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.config import CheckpointError
from carla_cp.perception.plugins import is_plugin, plugin_detector
from carla_cp.types import CodecChoice

EPISODE_THREADS = 1  # of torch in one operation: a sum depends on how it is split, so no machine splits any


@dataclass(frozen=True, slots=True)
class Networks:
    """A detector and the codecs of its features."""

    detector: DetectorLike
    codecs: tuple[tuple[CodecChoice, Codec[Any]], ...]

    def codec(self, choice: CodecChoice) -> Codec[Any]:
        """The codec of one of the choices they were loaded for."""
        return next(codec for known, codec in self.codecs if known == choice)


def load_networks(checkpoint: Path, device: str, fusion: str | None, choices: Sequence[CodecChoice]) -> Networks:
    """The networks of a checkpoint, for use under `repeatable`.

    Raises CheckpointError or CodecError, each with one line that names the thing and the mend.
    """
    detector = _detector(checkpoint, device, fusion)
    codecs = tuple((choice, _codec(choice.name, checkpoint, detector, device)) for choice in choices)
    for choice, codec in codecs:
        codec.check_fusion(detector.tap, f"--codec {choice.label} --fusion {detector.config.fusion}")
    return Networks(detector, codecs)


def _codec(name: str, checkpoint: Path, detector: DetectorLike, device: str) -> Codec[Any]:
    if isinstance(detector, OutsideDetector):
        return codec_for(name, detector, device)
    return load_codec(name, checkpoint, device)


def _detector(checkpoint: Path, device: str, fusion: str | None) -> DetectorLike:
    if not is_plugin(checkpoint):
        return load_detector(checkpoint, device, fusion=fusion)
    if fusion is not None:
        raise CheckpointError(f"{checkpoint} fuses by its own rule, not by {fusion}; leave --fusion out")
    return plugin_detector(checkpoint).load(device)


def agents_pool() -> ThreadPoolExecutor:
    """As many threads as there are cores; operations within one are not split."""
    return ThreadPoolExecutor(os.cpu_count(), "agent", torch.set_num_threads, (EPISODE_THREADS,))


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """Within it the same input gives the same bits, in the caller's thread and in those of an `agents_pool`.

    Torch's settings belong to the process; what they were before is put back.
    """
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    settings = torch.utils.deterministic
    filling = settings.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.set_num_threads(EPISODE_THREADS)
    torch.use_deterministic_algorithms(True)
    # Nothing here reads what it has not written, and filling costs time.
    settings.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
        settings.fill_uninitialized_memory = filling  # type: ignore[attr-defined]
