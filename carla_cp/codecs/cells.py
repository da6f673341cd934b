"""Which cells a message can afford, and how they share its packets: neighbours travel together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import HEADER_BYTES, largest
from carla_cp.types import IntArray

Write = Callable[[IntArray], bytes]  # flat cell indices, in the order of `morton`, to the body of a packet
Bits = Callable[[IntArray], float]  # what that body takes, closely


def fill(order: IntArray, columns: int, room: Room, bits: Bits, write: Write) -> list[bytes]:
    """The bodies of packets with as many cells as fit, of flat indices by falling use; [] where none fits.

    A packet holds a stretch of the Morton curve: a lost one costs its region, and positions cost little in it.
    `columns` is the grid's width.
    """
    count = len(order) if room.total is None else largest(len(order), lambda n: n == 0 or _fits(order[:n], room, bits))
    while count:
        bodies = _packets(morton(order[:count], columns), room, bits, write)
        if bodies and room.fits(bodies):
            return bodies
        if room.total is None:
            return []
        count -= 1 + count // 64
    return []


def morton(cells: IntArray, columns: int) -> IntArray:
    """The same flat cell indices along the Morton (Z-order) curve."""
    rows, places = np.divmod(cells, columns)
    return np.asarray(cells[np.argsort(spread(rows) << 1 | spread(places), kind="stable")])


def spread(values: IntArray) -> IntArray:
    """The lowest 16 bits of each value, a zero between any two."""
    spread = values & 0xFFFF
    for shift, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
        spread = (spread | spread << shift) & mask
    return spread


def _fits(cells: IntArray, room: Room, bits: Bits) -> bool:
    """Whether cells are likely to fit, headers of the packets that they need included."""
    assert room.total is not None
    size = bits(cells) / 8
    packets = max(1, -(-size // (room.packet - HEADER_BYTES)))
    return bool(size + HEADER_BYTES * packets <= room.total)


def _packets(curve: IntArray, room: Room, bits: Bits, write: Write) -> list[bytes]:
    """Bodies of few packets, of cells along the curve; [] where they do not fit."""
    size, most = room.packet - HEADER_BYTES, len(curve)
    pieces = min(max(1, round(-(-bits(curve) / 8 // size))), most)
    while True:
        bodies = [write(piece) for piece in np.array_split(curve, pieces)]
        longest = max(map(len, bodies))
        if longest <= size:
            return bodies
        if pieces == most or (room.total is not None and pieces * HEADER_BYTES + sum(map(len, bodies)) > room.total):
            return []
        pieces = min(max(pieces + 1, pieces * longest // size), most)
