"""The codecs that keep the contract, what they say of one view, and when two stages are the same."""

from __future__ import annotations

import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck

from carla_cp.codecs import CODECS, Codec, load_codec
from carla_cp.codecs.base import PACKET_BYTES
from carla_cp.types import Shared, Stage
from tests.codecs.fake import FakeView, fake_view
from tests.codecs.outside import CentresCodec

OUTSIDE = {CentresCodec.name: CentresCodec}
KINDS: dict[str, type[Codec[Any]]] = {**CODECS, **OUTSIDE}
SILENT = ("none", "oracle")
SENDING = [name for name in KINDS if name not in SILENT]
VARIANTS = [f"{name}:{variant}" for name in SENDING for variant in KINDS[name].variants]
SHAPES = {Stage.BEV: (64, 128, 128), Stage.PILLARS: (32, 256, 256), Stage.BLOCK1: (32, 128, 128)}
SHORT = 300  # bytes of a packet, so that small messages have several
REPEATED = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]


@lru_cache
def load(name: str, checkpoint: Path) -> Codec[Any]:
    return load_codec(name, checkpoint)


@lru_cache
def view(seed: int = 0, objects: int = 8) -> FakeView:
    return fake_view(seed, objects=objects)


@lru_cache(maxsize=256)
def message(codec: Codec[Any], budget: int | None, packet_bytes: int = PACKET_BYTES) -> bytes:
    """What it says of the first view; at its own rate where the rate is the paper's."""
    return codec.encode(view(), None if codec.fixed_rate else budget, packet_bytes=packet_bytes)


def same(first: Shared, second: Shared) -> bool:
    """Equal to the last bit, points and boxes in any order."""
    return digest(first) == digest(second)


def digest(shared: Shared) -> int:
    crc = zlib.crc32(repr((shared.sender, shared.time_us, shared.world_from_agent, shared.stage)).encode())
    arrays = [None if part is None else part.numpy() for part in (shared.features, shared.valid)]
    for array in [*arrays, rows_of(shared)]:
        crc = zlib.crc32(b"-" if array is None else np.ascontiguousarray(array).tobytes(), crc)
    return crc


def rows_of(shared: Shared) -> np.ndarray[Any, Any] | None:
    """Its points or boxes as sorted rows."""
    found = shared.detections
    if found is None and shared.points is None:
        return None
    rows = shared.points if found is None else np.column_stack([found.boxes, found.scores, found.labels])
    assert rows is not None
    return np.asarray(rows[np.lexsort(rows.T)])


def assert_sound(shared: Shared, codec: Codec[Any]) -> None:
    """One part is given, of the right shape, bounded and finite."""
    assert sum(part is not None for part in (shared.points, shared.features, shared.detections)) == 1
    if shared.points is not None:
        assert shared.points.shape[1] == 4 and len(shared.points) < 1 << 18 and np.isfinite(shared.points).all()
    if shared.detections is not None:
        found = shared.detections
        assert len(found.boxes) == len(found.scores) == len(found.labels) <= 1024
        assert np.isfinite(found.boxes).all() and (np.diff(found.scores) <= 0).all()
    if shared.features is not None:
        assert shared.valid is not None and shared.valid.dtype == torch.bool
        assert tuple(shared.features.shape) == SHAPES[codec.tap]
        assert tuple(shared.valid.shape) == SHAPES[codec.tap][1:]
        assert shared.features.dtype == torch.float32 and bool(torch.isfinite(shared.features).all())
