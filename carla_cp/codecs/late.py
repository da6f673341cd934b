"""Late fusion: the sender's own boxes, as a Collective Perception Message tells them (ETSI TS 103 324, 2023).

Tap: boxes. Faithful: per object its class, confidence, place, dimensions and heading, each of place and heading with
its accuracy in coarse classes; the objects of most confidence where not all fit. Different: fields are entropy-coded
integers in steps of 5 cm, 0.7 degrees and a 64th of the score, and none is optional. Left out: velocities, ids, regions
that are free. New: a standard deviation along and across each box and of its heading, by which receivers join what
several agents say of one object. Boxes travel in stretches of the Morton curve: a lost packet costs its region.
`late:paper` is the accounting of InfoCom and of most tables of this field: eight numbers in float32 per box, no
accuracy, to be merged by non-maximum suppression; a byte for the class, which they have but one of, is added.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from carla_cp.codecs import boxes
from carla_cp.codecs.base import Bodies, Codec, ViewLike
from carla_cp.codecs.bitstream import Header, PayloadError
from carla_cp.codecs.boxes import MAX_BOXES, BoxSymbols
from carla_cp.codecs.cells import fill
from carla_cp.types import Detections, ObjectClass, Shared, Stage

LateSymbols: TypeAlias = BoxSymbols | Detections  # the latter of `late:paper`, in float32
_PAPER = np.dtype([("numbers", "<f4", 8), ("label", "u1")])  # box and score; the class
_PAPER_BYTES = 8 * 4  # per box, by the paper's formula
_MOST = 1e4  # of a number [m, rad]
_IN_ORDER = 2  # columns of a grid in whose Morton order indices rise


class LateCodec(Codec[LateSymbols]):
    """Sends boxes, about six bytes each; `late:paper` 33."""

    name = "late"
    number = 2
    tap = Stage.BOXES
    variants = ("paper",)

    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        """As many boxes as fit, by falling score; no boxes, no message."""
        found = view.boxes
        if self.variant == "paper":
            order = np.argsort(-found.scores, kind="stable")[:MAX_BOXES]
            return lambda room: fill(
                order,
                _IN_ORDER,
                room,
                lambda chosen: 8.0 * _PAPER.itemsize * len(chosen),
                lambda chosen: _paper_body(found.take(chosen)),
            )
        symbols = boxes.quantise(found)
        order = np.argsort(-symbols.scores, kind="stable")[:MAX_BOXES]
        return lambda room: fill(
            order,
            _IN_ORDER,
            room,
            lambda chosen: boxes.bits(symbols.take(np.sort(chosen))),
            lambda chosen: boxes.write(symbols.take(chosen)),
        )

    def read(self, body: bytes) -> LateSymbols:
        """The boxes of one packet. Raises PayloadError."""
        return _paper_boxes(body) if self.variant == "paper" else boxes.read(body)

    def join(self, parts: Iterator[LateSymbols]) -> LateSymbols:
        """The boxes of all packets, the best where they are too many."""
        joined = next(parts)
        for part in parts:
            if isinstance(joined, BoxSymbols) and isinstance(part, BoxSymbols):
                joined = BoxSymbols.joined(joined, part)
            elif isinstance(joined, Detections) and isinstance(part, Detections):
                joined = _both(joined, part)
        return joined

    def reconstruct(self, header: Header, symbols: LateSymbols) -> Shared:
        """The boxes in the sender's agent frame, by falling score."""
        found = boxes.restore(symbols) if isinstance(symbols, BoxSymbols) else symbols
        found = found.take(np.argsort(-found.scores, kind="stable"))
        return Shared(
            sender=header.sender,
            time_us=header.time_us,
            world_from_agent=header.world_from_agent,
            stage=self.tap,
            detections=found,
        )

    def formula_bytes(self, symbols: LateSymbols) -> float:
        """Eight float32 per box (InfoCom's accounting)."""
        return float(_PAPER_BYTES * len(symbols.labels))


def _both(first: Detections, second: Detections) -> Detections:
    """The boxes of both, each once, the best MAX_BOXES."""
    found = Detections.joined([first, second])
    rows = np.column_stack([-found.scores, found.boxes, found.labels])
    return found.take(np.unique(rows, axis=0, return_index=True)[1][:MAX_BOXES])


def _paper_body(found: Detections) -> bytes:
    rows = np.zeros(len(found.labels), _PAPER)
    rows["numbers"], rows["label"] = np.column_stack([found.boxes, found.scores]), found.labels
    return rows.tobytes()


def _paper_boxes(body: bytes) -> Detections:
    if not body or len(body) % _PAPER.itemsize or len(body) > MAX_BOXES * _PAPER.itemsize:
        raise PayloadError(f"{len(body)} bytes are no list of boxes")
    rows = np.frombuffer(body, _PAPER)
    if not np.isfinite(rows["numbers"]).all():  # before any cast: one of a signalling NaN warns
        raise PayloadError("a box holds something that is no number")
    numbers, labels = rows["numbers"].astype(np.float64), rows["label"].astype(np.int64)
    if not (np.abs(numbers) < _MOST).all() or labels.max() >= len(ObjectClass) or numbers[:, 3:6].min() <= 0:
        raise PayloadError("a box is of no class, has no extent or lies out of reach")
    if numbers[:, 7].min() < 0 or numbers[:, 7].max() > 1:
        raise PayloadError("a score is out of [0, 1]")
    return Detections(numbers[:, :7], numbers[:, 7], labels)
