"""Packets of as many cells as fit, where what a packet takes is known only once it is written."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import HEADER_BYTES, largest
from carla_cp.codecs.cells import Bits, Write, fill, morton
from carla_cp.types import FloatArray, IntArray

_AIM = 0.995  # of a budget
_EMPTY, _ROUNDING = 0.03, 4  # of a budget, and bytes, that may stay empty
_ROUNDS = 4
_CLOSE = 0.985  # of the room: no further round
_WIDER = 1.005  # what a guess is mended by, beyond what was too much
FULL = 0.98  # of a packet's room, that it is planned to take


def fill_closely(order: IntArray, columns: int, room: Room, guess: Bits, write: Write) -> list[bytes]:
    """As `cells.fill`, where `guess` may be off by a factor and the cost of cells differs from place to place.

    What was written mends the guess, and of a few rounds the fullest message is kept.
    """
    best, most, factor = list[bytes](), 0, 1.0
    for _ in range(_ROUNDS):
        count = len(order) if room.total is None else _affordable(order, room, guess, factor)
        if not count:
            return best
        chosen = morton(order[:count], columns)
        bodies = _packets(chosen, room.packet - HEADER_BYTES, factor * guess(chosen) / 8 / len(chosen), write)
        if not bodies:
            return best
        fits, used = room.fits(bodies), sum(HEADER_BYTES + len(body) for body in bodies)
        if room.total is None:
            return bodies
        if fits and used > most:
            best, most = bodies, used
        if fits and (used > _CLOSE * room.total or count == len(order)):
            return bodies
        factor *= used / room.total * (1.0 if fits else _WIDER)
    return best or fill(order, columns, room, lambda cells: factor * guess(cells), write)


def fullest(most: int, count: int, room: Room, write: Callable[[int], list[bytes]]) -> list[bytes]:
    """The bodies of about as many of at most `most` items as fit, where `count` is a good guess; [] where none does.

    `write` makes those of a count, which need not fit, or none where a packet cannot hold an item.
    """
    total = room.total
    while count:
        bodies = write(count)
        used = sum(HEADER_BYTES + len(body) for body in bodies)
        if not bodies:
            count -= 1 + count // 64
        elif total is not None and used > total:
            count = min(count - 1, int(count * _AIM * total / used))
        elif total is None or count == most or total - used <= max(_EMPTY * total, _ROUNDING):
            return bodies
        else:
            more = min(most, max(count + 1, int(count * _AIM * total / used)))
            return _fuller(bodies, count, more, room, write)
    return []


def _fuller(bodies: list[bytes], count: int, more: int, room: Room, write: Callable[[int], list[bytes]]) -> list[bytes]:
    """The bodies of up to `more` items where a few tries find some that fit, otherwise these, of `count`."""
    for _ in range(_ROUNDS):
        further = write(more)
        if further and room.fits(further):
            return further
        more = (count + more) // 2
        if more == count:
            break
    return bodies


def stretches(costs: FloatArray, limit: int, write: Callable[[int, int], bytes]) -> list[bytes]:
    """Bodies of at most `limit` bytes, one full after the other; [] where even one item is longer.

    `write` makes one of the items from a start to a stop, which take about `costs` bytes, (items,), each: what was
    written mends the guess for what follows.
    """
    ends, bodies, at, factor = np.append(0.0, np.cumsum(costs)), list[bytes](), 0, 1.0
    while at < len(costs):
        stop = max(at + 1, int(np.searchsorted(ends, ends[at] + FULL * limit / factor, "right")) - 1)
        body = write(at, stop)
        while len(body) > limit:
            if stop == at + 1:
                return []
            stop = max(at + 1, min(stop - 1, at + int((stop - at) * FULL * limit / len(body))))
            body = write(at, stop)
        bodies.append(body)
        at, factor = stop, len(body) / (ends[stop] - ends[at])
    return bodies


def even_stretches(costs: FloatArray, limit: int, write: Callable[[int, int], bytes]) -> list[bytes]:
    """Bodies as those of `stretches`, of about equal length, and as few as fit; longer ones where an item is longer.

    None is nearly empty, so that the loss of any costs about as much.
    """
    costs, edges, count = costs.copy(), [0, len(costs)], 1
    bodies = [write(0, len(costs))]
    while max(map(len, bodies)) > limit and len(bodies) < len(costs):
        for (first, end), body in zip(pairwise(edges), bodies, strict=True):
            costs[first:end] *= len(body) / costs[first:end].sum()
        count = max(count + 1, -(-sum(map(len, bodies)) * 51 // (limit * 50)))
        ends = np.searchsorted(np.cumsum(costs), costs.sum() * np.arange(1, count) / count)
        edges = [0, *np.unique(ends.clip(1, len(costs) - 1)).tolist(), len(costs)]
        bodies = [write(first, end) for first, end in pairwise(edges)]
    return bodies


def _affordable(order: IntArray, room: Room, guess: Bits, factor: float) -> int:
    """How many cells are likely to fit, headers of the packets that they need included."""
    assert room.total is not None
    total, packet = room.total, room.packet - HEADER_BYTES

    def fits(count: int) -> bool:
        size = factor * guess(order[:count]) / 8
        return bool(size + HEADER_BYTES * max(1, -(-size // packet)) <= total)

    return largest(len(order), lambda count: count == 0 or fits(count))


def _packets(curve: IntArray, limit: int, cell_bytes: float, write: Write) -> list[bytes]:
    """Bodies of at most `limit` bytes of cells along the curve, one full after the other; [] where a cell is longer."""
    bodies: list[bytes] = []
    at = 0
    while at < len(curve):
        count = min(len(curve) - at, max(1, int(FULL * limit / cell_bytes)))
        body = write(curve[at : at + count])
        while len(body) > limit:
            if count == 1:
                return []
            count = max(1, min(count - 1, int(FULL * count * limit / len(body))))
            body = write(curve[at : at + count])
        bodies.append(body)
        at, cell_bytes = at + count, len(body) / count
    return bodies
