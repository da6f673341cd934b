"""Quantised boxes and the bytes that say them: what `late` sends.

Boxes go along the Morton curve of 3.2 m cells, so that a place costs its distance to the one before; heights and
headings are told against the box before, headings by quarter turns too (roads cross at right angles), sizes against
their class's usual one, standard deviations against those that usually go with class, score and distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from carla_cp.codecs.bitstream import TABLE_TOTAL, PayloadError, SymbolReader, SymbolWriter, Table
from carla_cp.codecs.cells import spread
from carla_cp.codecs.learnt import FOLDER, Rows, read_tables
from carla_cp.codecs.octaves import Meter, Octaves, Sink
from carla_cp.perception.certainty import LEVELS, nearest_levels, sigmas_of, usual_levels
from carla_cp.types import Detections, FloatArray, IntArray, ObjectClass

MAX_BOXES = 1023  # of a packet, and of a message
STEP_M = 0.05  # of places and sizes
TURN = 512  # headings of a full turn
SCORE_LEVELS = 64
MOST_Z = 1 << 11  # [STEP_M]
USUAL_SIZE = np.array([[90, 38, 32], [34, 12, 32], [10, 10, 36]])  # per class [STEP_M]
_USUAL_Z = USUAL_SIZE[:, 2] // 2
_FINE_BITS, _PLACE_BITS = 6, 14  # of a place in its cell, and of all
_HALF = 1 << (_PLACE_BITS - 1)
_QUARTER = TURN // 4
_SCORE_FINE = 4  # levels of a score under one table entry

_COUNTS, _GAPS, _RISES, _SIZES, _TURNS, _SCORES, _QUARTERS, _LABELS = read_tables(
    FOLDER / "boxes.safetensors",
    Rows("counts", 1, 21),
    Rows("gaps", 1, 33),
    Rows("rises", 3, 25),
    Rows("sizes", 9, 19),
    Rows("turns", 3, 15),
    Rows("scores", 3, SCORE_LEVELS // _SCORE_FINE),
    Rows("quarters", 3, 4),
    Rows("labels", 1, len(ObjectClass)),
)
COUNT, GAP, RISE, SIZE, TURNED = (Octaves(rows) for rows in (_COUNTS, _GAPS, _RISES, _SIZES, _TURNS))
LABEL = Table(_LABELS[0])
OFFSET = Table([TABLE_TOTAL - 8 * (LEVELS - 1), *[8] * (LEVELS - 1)])  # unusual sigmas are another detector's
SCORE, QUARTER = [Table(row) for row in _SCORES], [Table(row) for row in _QUARTERS]
_FINE, _SCORE_REST = Table.uniform(1 << _FINE_BITS), Table.uniform(_SCORE_FINE)


@dataclass(frozen=True, slots=True, eq=False)
class BoxSymbols:
    """Boxes in steps, in the order of `curve`."""

    labels: IntArray  # (N,) ObjectClass
    scores: IntArray  # (N,) in [0, SCORE_LEVELS)
    places: IntArray  # (N, 3) of the centre [STEP_M]
    sizes: IntArray  # (N, 3) from 1 [STEP_M]
    headings: IntArray  # (N,) in [0, TURN)
    sigmas: IntArray  # (N, 3) in [0, LEVELS)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: IntArray) -> BoxSymbols:
        """The chosen boxes, in that order."""
        return BoxSymbols(
            self.labels[chosen],
            self.scores[chosen],
            self.places[chosen],
            self.sizes[chosen],
            self.headings[chosen],
            self.sigmas[chosen],
        )

    @staticmethod
    def joined(first: BoxSymbols, second: BoxSymbols) -> BoxSymbols:
        """The boxes of both, each once, the best MAX_BOXES; in an order that does not depend on which came first."""
        rows = np.unique(np.concatenate([first._rows(), second._rows()]), axis=0)
        labels, scores, places, sizes, headings, sigmas = np.split(rows, [1, 2, 5, 8, 9], axis=1)
        both = BoxSymbols(labels[:, 0], scores[:, 0], places, sizes, headings[:, 0], sigmas)
        return both.take(np.sort(np.argsort(-both.scores, kind="stable")[:MAX_BOXES]))

    def _rows(self) -> IntArray:
        flat = (self.labels[:, None], self.scores[:, None], self.places, self.sizes, self.headings[:, None])
        return np.concatenate([*flat, self.sigmas], axis=1)


# ------------------------------------------------------------------------------------------------- boxes and symbols


def quantise(found: Detections) -> BoxSymbols:
    """The boxes along the curve; values out of a field's range are clipped to it."""
    boxes, labels = found.boxes, found.labels
    places = np.rint(boxes[:, :3] / STEP_M).astype(np.int64)
    places = np.clip(places, [-_HALF, -_HALF, -MOST_Z], [_HALF - 1, _HALF - 1, MOST_Z])
    sizes = np.clip(np.rint(boxes[:, 3:6] / STEP_M), 1, SIZE.most).astype(np.int64)
    scores = np.clip(np.floor(found.scores * SCORE_LEVELS), 0, SCORE_LEVELS - 1).astype(np.int64)
    headings = np.rint(boxes[:, 6] * (TURN / (2 * math.pi))).astype(np.int64) % TURN
    sigmas = _usual(labels, scores, places) if found.sigmas is None else nearest_levels(found.sigmas)
    order = np.argsort(curve(places), kind="stable")
    return BoxSymbols(labels, scores, places, sizes, headings, sigmas).take(order)


def restore(symbols: BoxSymbols) -> Detections:
    """The boxes that symbols stand for, by falling score."""
    values = symbols.take(np.argsort(-symbols.scores, kind="stable"))
    headings = (values.headings + TURN // 2) % TURN - TURN // 2
    boxes = np.column_stack([values.places * STEP_M, values.sizes * STEP_M, headings * (2 * math.pi / TURN)])
    return Detections(boxes, _score(values.scores), values.labels, sigmas_of(values.sigmas))


def curve(places: IntArray) -> IntArray:
    """The cell of each place on the Morton curve, (N,)."""
    cells = (places[:, :2] + _HALF) >> _FINE_BITS
    return np.asarray(spread(cells[:, 1]) << 1 | spread(cells[:, 0]))


def _corners(at: IntArray) -> IntArray:
    """The least x and y (N, 2) in cells of the Morton curve [STEP_M]."""
    return np.stack([_gathered(at), _gathered(at >> 1)], axis=1) * (1 << _FINE_BITS) - _HALF


def _gathered(values: IntArray) -> IntArray:
    """Every other bit of each value of 16, from the lowest on: what `spread` had spread."""
    bits = _PLACE_BITS - _FINE_BITS
    return np.asarray(sum(((values >> 2 * bit) & 1) << bit for bit in range(bits)))


def _score(levels: IntArray) -> FloatArray:
    return np.asarray((levels + 0.5) / SCORE_LEVELS, np.float64)


def _usual(labels: IntArray, scores: IntArray, places: IntArray) -> IntArray:
    return usual_levels(labels, _score(scores), np.asarray(places * STEP_M, np.float64))


# ------------------------------------------------------------------------------------------------- symbols and bytes


def write(symbols: BoxSymbols) -> bytes:
    """The bytes of 1 to MAX_BOXES boxes that lie along the curve."""
    writer = SymbolWriter()
    tell(writer, symbols)
    return writer.to_bytes()


def bits(symbols: BoxSymbols) -> float:
    """What `write` takes by its tables, without the coder's last word."""
    meter = Meter()
    tell(meter, symbols)
    return meter.bits


def tell(sink: Sink, symbols: BoxSymbols) -> None:
    """Hands all that `read` takes to the sink, in its order."""
    labels, at = symbols.labels, curve(symbols.places)
    COUNT.write(sink, np.array([len(symbols)]), np.zeros(1, np.int64))
    sink.put(labels, LABEL)
    sink.put_in_context(symbols.scores // _SCORE_FINE, labels, SCORE)
    sink.put(symbols.scores % _SCORE_FINE, _SCORE_REST)
    GAP.write(sink, np.diff(at, prepend=0), np.zeros_like(at))
    sink.put((symbols.places[:, :2] - _corners(at)).reshape(-1), _FINE)
    RISE.write(sink, np.diff(symbols.places[:, 2] - _USUAL_Z[labels], prepend=0), labels)
    SIZE.write(sink, (symbols.sizes - USUAL_SIZE[labels]).reshape(-1), _size_contexts(labels))
    turns = np.diff(symbols.headings, prepend=0) + _QUARTER // 2
    sink.put_in_context(turns // _QUARTER % 4, labels, QUARTER)
    TURNED.write(sink, turns % _QUARTER - _QUARTER // 2, labels)
    offsets = symbols.sigmas - _usual(labels, symbols.scores, symbols.places)
    sink.put((offsets % LEVELS).reshape(-1), OFFSET)


def read(data: bytes) -> BoxSymbols:
    """What was written. Raises PayloadError for what `write` cannot have made."""
    reader = SymbolReader(data)
    count = int(COUNT.read(reader, np.zeros(1, np.int64))[0])
    if count < 1:
        raise PayloadError(f"a message cannot hold {count} boxes")
    labels = reader.take(count, LABEL)
    scores = reader.take_in_context(labels, SCORE) * _SCORE_FINE + reader.take(count, _SCORE_REST)
    gaps = GAP.read(reader, np.zeros(count, np.int64))
    at = np.cumsum(gaps)
    if gaps.min() < 0 or at[-1] >= 1 << 2 * (_PLACE_BITS - _FINE_BITS):
        raise PayloadError("the boxes do not lie along the curve")
    places = np.zeros((count, 3), np.int64)
    places[:, :2] = _corners(at) + reader.take(2 * count, _FINE).reshape(-1, 2)
    places[:, 2] = np.cumsum(RISE.read(reader, labels)) + _USUAL_Z[labels]
    sizes = SIZE.read(reader, _size_contexts(labels)).reshape(-1, 3) + USUAL_SIZE[labels]
    if sizes.min() < 1 or sizes.max() > SIZE.most or np.abs(places[:, 2]).max() > MOST_Z:
        raise PayloadError("a box has no extent, or lies out of reach")
    turns = reader.take_in_context(labels, QUARTER) * _QUARTER + TURNED.read(reader, labels)
    offsets = reader.take(3 * count, OFFSET).reshape(-1, 3)
    reader.finish()
    sigmas = (_usual(labels, scores, places) + offsets) % LEVELS
    return BoxSymbols(labels, scores, places, sizes, np.cumsum(turns) % TURN, sigmas)


def _size_contexts(labels: IntArray) -> IntArray:
    return np.asarray((labels[:, None] * 3 + np.arange(3)).reshape(-1))
