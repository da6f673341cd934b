"""All that dense_sparse could say of a view, in which order, and how it shares packets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import HEADER_BYTES, largest
from carla_cp.codecs.cells import morton
from carla_cp.codecs.dense_sparse_tokens import Patches, TokenTables
from carla_cp.types import FloatArray, IntArray

PATCH_BITS = 6.0  # about what a patch's place and depth take
_SPARE = 0.015  # of a message, that may stay empty
_SLACK = 5  # bytes per packet: the layout byte, the coder's rounding


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Coarse tokens and fine ones, and of each stage of each patch what it gains and costs."""

    coarse: IntArray  # (coarse cells,)
    tokens: IntArray  # (stages, rows, columns)
    gain: FloatArray  # (patches, stages): distortion removed, in units of what it costs the detector
    bits: FloatArray  # (patches, stages) of tokens
    patch: int  # cells along one

    def order(self) -> IntArray:
        """Stages of patches (patch x stages + stage) by falling gain per bit; none before those that it builds on."""
        bits = self.bits.copy()
        bits[:, 0] += PATCH_BITS
        worth = np.minimum.accumulate(self.gain / bits, axis=1)
        return np.argsort(-worth.ravel(), kind="stable")

    def depth(self, order: IntArray) -> IntArray:
        """Stages of each patch (patch rows, patch columns) by a prefix of the order."""
        stages, rows, columns = self.tokens.shape
        patches = np.bincount(order // stages, minlength=len(self.gain))
        return patches.reshape(rows // self.patch, columns // self.patch)

    def only(self, depth: IntArray, part: IntArray) -> Patches:
        """Of the patches of that depth those with these flat indices."""
        some = np.zeros_like(depth)
        some.ravel()[part] = depth.ravel()[part]
        return Patches(some, self.tokens)

    def count(self, order: IntArray, start: int, room: Room, tables: TokenTables) -> int:
        """How many of the order are likely to fit behind `start` bytes."""
        if room.total is None:
            return len(order)
        total, free = room.total, room.packet - HEADER_BYTES
        running = np.cumsum(self.bits.ravel()[order])

        def fits(count: int) -> bool:
            depth = self.depth(order[:count])
            bits = running[count - 1] + tables.where.bits(depth > 0) + tables.depth.bits[depth[depth > 0] - 1].sum()
            size = start + bits / 8
            return bool(size + math.ceil(size / free) * (HEADER_BYTES + _SLACK) <= total)

        return largest(len(order), lambda count: count == 0 or fits(count))

    def further(self, order: IntArray, count: int, bodies: list[bytes], room: Room) -> int:
        """How many of the order are worth a try where `count` made these bodies; no more where they fill it."""
        used = sum(HEADER_BYTES + len(body) for body in bodies)
        if room.total is None or room.total - used < max(_SPARE * room.total, 12) or count == len(order):
            return count
        return min(len(order), count + max(1, int(count * 0.9 * (room.total - used) / used)))

    def shares(self, depth: IntArray, start: int, pieces: int) -> list[IntArray]:
        """The patches of that depth, flat, along the Morton curve in about equal pieces, `start` bytes in the first."""
        curve = morton(np.flatnonzero(depth), depth.shape[1])
        sent = np.arange(self.bits.shape[1]) < depth.ravel()[curve, None]
        running = 8.0 * start + np.cumsum((self.bits[curve] * sent).sum(1) + PATCH_BITS)
        cuts = np.searchsorted(running, np.arange(1, pieces) * running[-1] / pieces)
        first, *others = np.split(curve, cuts)
        return [first, *(part for part in others if len(part))]

    def size(self, depth: IntArray) -> float:
        """About how many bytes patches of that depth take."""
        sent = np.arange(self.bits.shape[1]) < depth.ravel()[:, None]
        return float((self.bits * sent).sum() + PATCH_BITS * (depth > 0).sum()) / 8
