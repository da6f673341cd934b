"""All that dense_sparse could say of a view, in which order, and how it shares packets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import HEADER_BYTES, nearly_largest
from carla_cp.codecs.cells import morton
from carla_cp.codecs.closely import FULL
from carla_cp.codecs.dense_sparse_tokens import Patches, TokenTables, first_bits
from carla_cp.types import FloatArray, IntArray

PATCH_BITS = 6.0  # about what a patch's place and depth take
_EACH, _LESS = 18, 12  # bytes of a body beside its patches': layout, rounding, and but for the first, to begin anew


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
        free = room.packet - HEADER_BYTES
        later = self.bits.copy()
        later[:, 0] = 0.0
        running = np.cumsum(later.ravel()[order])

        def size(count: int) -> float:
            depth = self.depth(order[:count])
            bits = running[count - 1] + first_bits(depth, self.tokens[0], self.patch, tables)
            bits += tables.where.bits(depth > 0) + tables.depth.bits[depth[depth > 0] - 1].sum()
            length = start + float(bits) / 8
            return length + math.ceil(length / (FULL * free)) * (HEADER_BYTES + _EACH) - _LESS

        return nearly_largest(len(order), size, room.total, room.total // 4)

    def curve(self, depth: IntArray) -> tuple[IntArray, FloatArray]:
        """The patches of that depth, flat, along the Morton curve, and about how many bytes each takes."""
        places = morton(np.flatnonzero(depth), depth.shape[1])
        sent = np.arange(self.bits.shape[1]) < depth.ravel()[places, None]
        return places, ((self.bits[places] * sent).sum(1) + PATCH_BITS) / 8
