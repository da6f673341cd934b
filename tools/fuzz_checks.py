"""One batch of hostile payloads through one codec, and what a call may cost and give.

CPU time is the calling thread's, taken again twice where it looks too long: a garbage collection or a noisy neighbour
is no fault of the codec. Memory is checked three ways, since exact tracing would take ten times as long: the kernel's
high-water mark over each batch, payload by payload where a batch raised it; `tracemalloc` on one payload in 64, which
sees what is allocated and never touched; and a limit on the address space, at which a call without bound fails.
"""

from __future__ import annotations

import gc
import re
import resource
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from fuzz_payloads import Corpus, payloads, sealed_payloads

from carla_cp.codecs import Codec, PayloadError
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import Detections, ObjectClass, Shared, Stage

CPU_S = 0.2
EXTRA_BYTES = 64 << 20
HEADROOM_BYTES = 4 << 30  # of address space, beyond what a worker has when it starts
TRACED_EVERY = 64
MAX_POINTS = 1 << 18
MAX_BOXES = 1024
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


@dataclass(frozen=True, slots=True)
class Batch:
    """A part of the run; its payloads follow from it alone."""

    which: int  # of the corpora
    number: int
    count: int
    whole: bool  # through the whole of `decode`, all sealed; else through `parse`
    seed: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A payload that broke a promise."""

    codec: str
    whole: bool
    reason: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a batch."""

    batch: Batch
    sealed: int
    refused: int
    decoded: int
    slowest_s: float
    cpu_s: float  # of all calls
    failures: tuple[Failure, ...]


def batch_payloads(batch: Batch, corpora: Sequence[Corpus]) -> list[tuple[bool, bytes]]:
    """Its payloads, each with whether it was sealed."""
    rng = np.random.default_rng([batch.seed, batch.which, batch.number, batch.whole])
    if batch.whole:
        return [(True, payload) for payload in sealed_payloads(rng, corpora, batch.which, batch.count)]
    return list(payloads(rng, corpora, batch.which, batch.count))


class Checker:
    """One codec under test."""

    def __init__(self, name: str, codec: Codec[object], config: DetectorConfig) -> None:
        self.name, self.codec = name, codec
        self.shapes = shapes_of(config)
        self.memory = EXTRA_BYTES + max(4 * int(np.prod(shape)) for shape in self.shapes.values())

    def warm(self, corpus: Corpus) -> None:
        """Has the codec make what it keeps, and checks that its own messages pass. Raises PayloadError."""
        for message in (*corpus.small[:2], *corpus.whole[:1]):
            self.codec.decode(message)

    def run(
        self,
        batch: Batch,
        corpora: Sequence[Corpus],
        before: Callable[[int], None],
        left_out: frozenset[int] = frozenset(),
    ) -> Outcome:
        """All payloads of a batch but those at the places `left_out`; `before` is told the place of each."""
        drawn = batch_payloads(batch, corpora)
        chosen = [(place, *each) for place, each in enumerate(drawn) if place not in left_out]
        failures: list[Failure] = []
        refused, slowest, total = 0, 0.0, 0.0
        start = resident()
        gc.collect()
        gc.disable()
        for place, _, payload in chosen:
            before(place)
            passed, spent, reason = self.call(payload, batch.whole)
            refused, slowest, total = refused + (not passed), max(slowest, spent), total + spent
            if not reason and (batch.number + place) % TRACED_EVERY == 0:
                reason = self.traced(payload, batch.whole)
            if reason:
                failures.append(Failure(self.name, batch.whole, reason, payload))
        gc.enable()
        if peak() - start > self.memory:
            failures += self.large([payload for *_, payload in chosen], batch.whole)
        sealed = sum(each for _, each, _ in chosen)
        return Outcome(batch, sealed, refused, len(chosen) - refused, slowest, total, tuple(failures))

    def call(self, payload: bytes, whole: bool) -> tuple[bool, float, str]:
        """Whether it was decoded, the CPU time that it took, and what was wrong, "" for nothing."""
        passed, spent, reason = self._once(payload, whole)
        for _ in range(2):
            if spent > CPU_S:
                spent = min(spent, self._once(payload, whole)[1])
        if not reason and spent > CPU_S:
            reason = f"took {spent:.2f} s of CPU time"
        return passed, spent, reason

    def _once(self, payload: bytes, whole: bool) -> tuple[bool, float, str]:
        begin = time.thread_time()
        try:
            shared = self.codec.decode(payload) if whole else None
            if not whole:
                self.codec.parse(payload)
        except PayloadError:
            return False, time.thread_time() - begin, ""
        except Exception as error:  # whatever it is, it is what this looks for
            return False, time.thread_time() - begin, _line(error)
        spent = time.thread_time() - begin
        return True, spent, "" if shared is None else fault_of(shared, self.shapes)

    def traced(self, payload: bytes, whole: bool) -> str:
        """What is wrong with what Python and NumPy allocate for it, touched or not."""
        tracemalloc.start()
        self._once(payload, whole)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return self._too_much(most)

    def large(self, several: Sequence[bytes], whole: bool) -> list[Failure]:
        """Those payloads that take too much memory, each tried by itself."""
        found: list[Failure] = []
        for payload in several:
            start = resident()
            self._once(payload, whole)
            reason = self._too_much(peak() - start)
            if reason:
                found.append(Failure(self.name, whole, reason, payload))
        return found

    def _too_much(self, taken: int) -> str:
        return f"allocated {taken >> 20} MiB" if taken > self.memory else ""


def shapes_of(config: DetectorConfig) -> dict[Stage, tuple[int, int, int]]:
    """Those of a detector's stages."""
    grid, stride = config.grid, config.strides[0]
    return {
        Stage.PILLARS: (config.pillar_channels, grid.pillar_rows, grid.pillar_columns),
        Stage.BLOCK1: (config.filters[0], grid.pillar_rows // stride, grid.pillar_columns // stride),
        Stage.BEV: (config.bev_channels, grid.rows, grid.columns),
    }


def fault_of(shared: Shared, shapes: dict[Stage, tuple[int, int, int]]) -> str:
    """What is unsound in a decoded stage, "" for nothing."""
    parts = [part is not None for part in (shared.points, shared.features, shared.detections)]
    if sum(parts) != 1:
        return f"decoded to {sum(parts)} of points, features and boxes"
    if shared.points is not None:
        sound = shared.points.ndim == 2 and shared.points.shape[1] == 4 and len(shared.points) <= MAX_POINTS
        return "" if sound and np.isfinite(shared.points).all() else "decoded to unsound points"
    if shared.detections is not None:
        return _fault_of_boxes(shared.detections)
    return _fault_of_features(shared, shapes)


def _fault_of_boxes(found: Detections) -> str:
    count = len(found.boxes)
    if count > MAX_BOXES or found.boxes.shape != (count, 7):
        return f"decoded to boxes of shape {found.boxes.shape}"
    if found.scores.shape != (count,) or found.labels.shape != (count,):
        return "decoded to more or fewer scores or labels than boxes"
    if not np.isfinite(found.boxes).all() or (count and found.boxes[:, 3:6].min() <= 0):
        return "decoded to a box that is none"
    if count and not (found.scores.min() >= 0 and found.scores.max() <= 1 and (np.diff(found.scores) <= 0).all()):
        return "decoded to scores that do not fall from at most 1 to at least 0"
    if count and not (found.labels.min() >= 0 and found.labels.max() < len(ObjectClass)):
        return "decoded to a label of no class"
    return ""


def _fault_of_features(shared: Shared, shapes: dict[Stage, tuple[int, int, int]]) -> str:
    features, valid = shared.features, shared.valid
    if features is None or valid is None:
        return "decoded to features without their valid cells"
    expected = shapes.get(shared.stage)
    if tuple(features.shape) != expected or tuple(valid.shape) != expected[1:] or valid.dtype != torch.bool:
        return f"decoded to features {tuple(features.shape)} of {shared.stage.value}"
    if not bool(torch.isfinite(features).all()):
        return "decoded to features that are not finite"
    return ""


def limit_address_space() -> None:
    """A call that wants memory without bound fails from now on."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + HEADROOM_BYTES, most))


def resident() -> int:
    """Bytes of memory in use; the high-water mark begins anew there."""
    _CLEAR.write_text(_RESET_PEAK)
    return _status("VmRSS")


def peak() -> int:
    """The most bytes of memory in use since `resident`."""
    return _status("VmHWM")


def _status(field: str) -> int:
    match = re.search(rf"^{field}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    if match is None:
        raise OSError(f"{_STATUS} has no {field}: fuzzing needs Linux")
    return int(match[1]) << 10


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
