"""The fixed rate of CoBEVT-DR as its paper has it: six bits a token, 48 bits a patch, nothing entropy coded."""

from __future__ import annotations

import binascii
import math
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import HEADER_BYTES, PayloadError
from carla_cp.codecs.dense_sparse_plan import Plan
from carla_cp.codecs.dense_sparse_tokens import Patches
from carla_cp.types import IntArray

COARSE, FINE, WIDE = 1, 2, 4  # of the layout byte
SHARE = 8 / 33  # of the map in patches: 8 of 16 x 16 cells on 48 x 176
_PLACE = struct.Struct("<HHH")  # patch row and column, CRC-16


@dataclass(frozen=True, slots=True)
class PaperLayout:
    """How a grid of cells is sent at the paper's rate."""

    shape: tuple[int, int]  # cells, of whole patches
    stages: int  # that a token could have; one is sent
    stride: int  # cells along a coarse token
    patch: int  # cells along a patch of a Plan
    wide: int  # cells along a patch of the paper

    def bodies(self, plan: Plan, room: Room) -> list[bytes]:
        """The coarse grid and the best patches, or as many as there is room for; [] without room for the grid."""
        bodies = [bytes([WIDE | COARSE]) + pack_six(plan.coarse)]
        if not room.fits(bodies):
            return []
        for row, column in self._best(plan):
            part = plan.tokens[0][self._cells(row, column)]
            data = pack_six(part.ravel())
            patch = _PLACE.pack(row, column, _crc(data)) + data
            last = bodies[-1]
            further = [*bodies[:-1], bytes([last[0] | FINE]) + last[1:] + patch]
            if len(further[-1]) + HEADER_BYTES > room.packet:
                further = [*bodies, bytes([WIDE | FINE]) + patch]
            if not room.fits(further):
                break
            bodies = further
        return bodies

    def read(self, body: bytes) -> tuple[IntArray | None, Patches]:
        """Coarse tokens and patches of a body. Raises PayloadError."""
        rows, columns = self.shape
        at, coarse = 1, None
        depth = np.zeros((rows // self.patch, columns // self.patch), np.int64)
        tokens = np.zeros((self.stages, rows, columns), np.int64)
        if body[0] & COARSE:
            count = rows * columns // self.stride**2
            at += -(-6 * count // 8)
            coarse = unpack_six(body[1:at], count)
        size = _PLACE.size + -(-6 * self.wide**2 // 8)
        if (len(body) > at) != bool(body[0] & FINE) or (len(body) - at) % size:
            raise PayloadError(f"{len(body) - at} bytes are no patches of {size}")
        side = self.wide // self.patch
        for start in range(at, len(body), size):
            row, column, check = _PLACE.unpack_from(body, start)
            data = body[start + _PLACE.size : start + size]
            if (row + 1) * self.wide > rows or (column + 1) * self.wide > columns or _crc(data) != check:
                raise PayloadError(f"a patch at {row}, {column} is damaged or lies outside the grid")
            depth[row * side : (row + 1) * side, column * side : (column + 1) * side] = 1
            tokens[0][self._cells(row, column)] = unpack_six(data, self.wide**2).reshape(self.wide, self.wide)
        return coarse, Patches(depth, tokens)

    def _best(self, plan: Plan) -> list[tuple[int, int]]:
        """Row and column of the patches whose first stage gains most."""
        height, width, side = self.shape[0] // self.wide, self.shape[1] // self.wide, self.wide // self.patch
        gain = plan.gain[:, 0].reshape(height, side, width, side).sum((1, 3)).ravel()
        best = np.argsort(-gain, kind="stable")[: math.ceil(SHARE * len(gain))]
        return [(int(place) // width, int(place) % width) for place in best]

    def _cells(self, row: int, column: int) -> tuple[slice, slice]:
        wide = self.wide
        return slice(row * wide, (row + 1) * wide), slice(column * wide, (column + 1) * wide)


def pack_six(tokens: IntArray) -> bytes:
    """Tokens in [0, 64), six bits each, padded to whole bytes."""
    bits = (tokens[:, None] >> np.arange(5, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8).ravel()).tobytes()


def unpack_six(data: bytes, count: int) -> IntArray:
    """What `pack_six` packed. Raises PayloadError where the length is another."""
    if len(data) != -(-6 * count // 8):
        raise PayloadError(f"{len(data)} bytes are not {count} tokens of six bits")
    bits: npt.NDArray[np.uint8] = np.unpackbits(np.frombuffer(data, np.uint8))[: 6 * count]
    return np.asarray(bits.reshape(count, 6).astype(np.int64) @ (1 << np.arange(5, -1, -1)))


def _crc(data: bytes) -> int:
    return binascii.crc_hqx(data, 0)
