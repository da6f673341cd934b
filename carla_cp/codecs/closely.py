"""Packets of as many cells as fit, where what a packet takes is known only once it is written."""

from __future__ import annotations

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import HEADER_BYTES, largest
from carla_cp.codecs.cells import Bits, Write, fill, morton
from carla_cp.types import IntArray

_ROUNDS = 4
_CLOSE = 0.985  # of the room: no further round
_WIDER = 1.005  # what a guess is mended by, beyond what was too much
_SPARE = 0.98  # of a packet's room, that it is planned to take


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
        count = min(len(curve) - at, max(1, int(_SPARE * limit / cell_bytes)))
        body = write(curve[at : at + count])
        while len(body) > limit:
            if count == 1:
                return []
            count = max(1, min(count - 1, int(_SPARE * count * limit / len(body))))
            body = write(curve[at : at + count])
        bodies.append(body)
        at, cell_bytes = at + count, len(body) / count
    return bodies
