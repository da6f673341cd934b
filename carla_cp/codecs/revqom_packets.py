"""The packets of ReVQom: some cells, or a stretch of all cells, entropy coded; or a stretch at the paper's own rate."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from carla_cp.codecs.bitstream import PayloadError, SymbolReader, SymbolWriter
from carla_cp.codecs.positions import BoolArray, PositionModel, mask_of
from carla_cp.codecs.rvq_budget import Plan
from carla_cp.codecs.rvq_coder import LEVELS, IndexModel, Layout, level_of
from carla_cp.types import FloatArray, IntArray

WHOLE, SOME, PACKED = 0, 1, 2  # kinds of packets: all cells of a stretch, some cells, all of a stretch uncoded
_STRETCH = struct.Struct("<II")  # the first cell, how many


@dataclass(frozen=True, slots=True, eq=False)
class RevqomSymbols:
    """Which cells, and the indices of each."""

    mask: BoolArray  # (rows, columns)
    indices: IntArray  # (stages, cells set in mask) in row order; `codes` where a cell has no such stage


@dataclass(frozen=True, eq=False)
class RevqomTables:
    """What symbols are coded with."""

    whole: IndexModel
    some: IndexModel
    where: PositionModel
    bits: FloatArray  # (stages, codes): what an index costs among some cells, in the mean


@dataclass(frozen=True, slots=True, eq=False)
class RevqomPackets:
    """How symbols of a grid become bodies, and back."""

    shape: tuple[int, int]  # rows, columns
    stages: int
    codes: int
    tables: RevqomTables

    def some(self, cells: IntArray, indices: IntArray, depth: IntArray, choice: Plan) -> bytes:
        """The body of these flat cells, ascending, of indices (stages, all cells) and depths (all cells,)."""
        writer, mask = SymbolWriter(), mask_of(cells, *self.shape)
        deep = depth[cells] == choice.high
        low, high = (choice.low, choice.high) if not deep.all() else (choice.high, choice.high)
        layout = Layout(low, high, level_of(deep))
        self.tables.where.write(writer, mask)
        self.tables.some.write(writer, mask, indices[:, cells], deep, layout)
        return bytes([SOME << 4 | layout.level, low << 4 | high]) + writer.to_bytes()

    def whole(self, indices: IntArray, first: int, end: int) -> bytes:
        """The body of all stages of the cells from `first` up to `end`, of indices (stages, all cells)."""
        writer, mask = SymbolWriter(), self._stretch(first, end - first)
        every = np.ones(end - first, bool)
        self.tables.whole.write(writer, mask, indices[:, first:end], every, Layout(self.stages, self.stages, 0))
        return (
            bytes([WHOLE << 4, self.stages << 4 | self.stages]) + _STRETCH.pack(first, end - first) + writer.to_bytes()
        )

    def packed(self, indices: IntArray, first: int, end: int) -> bytes:
        """The body of as many stages as indices (stages, all cells) have, of a stretch, log2 K bits each."""
        stages = len(indices)
        bits = indices[:, first:end, None] >> np.arange(_bits_of(self.codes)) & 1
        head = bytes([PACKED << 4, stages << 4 | stages]) + _STRETCH.pack(first, end - first)
        return head + np.packbits(bits.astype(np.uint8)).tobytes()

    def read(self, body: bytes) -> RevqomSymbols:
        """Cells and indices. Raises PayloadError."""
        if len(body) < 2:
            raise PayloadError(f"a body of {len(body)} bytes holds no cells")
        kind, level, low, high = body[0] >> 4, body[0] & 15, body[1] >> 4, body[1] & 15
        if kind not in (WHOLE, SOME, PACKED) or level >= LEVELS or not 1 <= low <= high <= self.stages:
            raise PayloadError(f"{body[:2].hex()} is no layout of this codec")
        layout = Layout(low, high, level)
        if kind == SOME:
            reader = SymbolReader(body[2:])
            mask = self.tables.where.read(reader, *self.shape)
            indices = self.tables.some.read(reader, mask, layout)
            reader.finish()
            return RevqomSymbols(mask, indices)
        if len(body) < 2 + _STRETCH.size or low != high:
            raise PayloadError(f"{body[: 2 + _STRETCH.size].hex()} names no stretch of cells")
        mask, data = self._stretch(*_STRETCH.unpack_from(body, 2)), body[2 + _STRETCH.size :]
        return RevqomSymbols(
            mask, self._read_packed(data, mask, low) if kind == PACKED else self._read_whole(data, mask, layout)
        )

    def _read_whole(self, data: bytes, mask: BoolArray, layout: Layout) -> IntArray:
        reader = SymbolReader(data)
        indices = self.tables.whole.read(reader, mask, layout)
        reader.finish()
        return indices

    def _read_packed(self, data: bytes, mask: BoolArray, stages: int) -> IntArray:
        count, width = int(mask.sum()), _bits_of(self.codes)
        if len(data) != -(-stages * count * width // 8):
            raise PayloadError(f"{len(data)} bytes are not {stages} x {count} indices of {width} bits")
        bits = np.unpackbits(np.frombuffer(data, np.uint8), count=stages * count * width)
        indices = np.full((self.stages, count), self.codes, np.int64)
        indices[:stages] = bits.reshape(stages, count, width).astype(np.int64) @ (1 << np.arange(width))
        if indices[:stages].max() >= self.codes:
            raise PayloadError(f"an index of {indices[:stages].max()} is beyond {self.codes} codes")
        return indices

    def _stretch(self, first: int, count: int) -> BoolArray:
        rows, columns = self.shape
        if not 0 < count <= rows * columns - first:
            raise PayloadError(f"{count} cells from {first} on are not in a grid of {rows} x {columns}")
        return mask_of(np.arange(first, first + count), rows, columns)


def _bits_of(codes: int) -> int:
    return (codes - 1).bit_length()
