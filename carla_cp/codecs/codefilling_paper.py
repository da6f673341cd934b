"""The fixed rate of CodeFilling as its paper has it: all indices of a cell, eight bits each, nothing entropy coded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import SLACK_BITS, SymbolReader, SymbolWriter, Table
from carla_cp.codecs.closely import fill_closely
from carla_cp.codecs.indices import MIXES
from carla_cp.codecs.positions import BoolArray, PositionModel, mask_of
from carla_cp.types import IntArray

PAPER = MIXES  # the layout byte


@dataclass(frozen=True, eq=False)
class PaperPackets:
    """How cells of a grid are sent at the paper's rate."""

    where: PositionModel
    shape: tuple[int, int]  # rows, columns
    levels: int
    groups: int
    codes: int

    @cached_property
    def _table(self) -> Table:
        return Table.uniform(self.codes)

    def bodies(self, chosen: IntArray, indices: IntArray, room: Room) -> list[bytes]:
        """Packets of these flat cells, of indices (levels, groups, all cells)."""
        cell_bits = self.levels * self.groups * np.log2(self.codes)

        def guess(cells: IntArray) -> float:
            return float(self.where.bits(mask_of(cells, *self.shape)) + len(cells) * cell_bits + SLACK_BITS)

        def write(cells: IntArray) -> bytes:
            writer = SymbolWriter()
            self.where.write(writer, mask_of(cells, *self.shape))
            writer.put(indices[:, :, np.sort(cells)].ravel(), self._table)
            return bytes([PAPER]) + writer.to_bytes()

        return fill_closely(chosen, self.shape[1], room, guess, write)

    def read(self, body: bytes) -> tuple[BoolArray, IntArray]:
        """Which cells, and their indices (levels, groups, cells) in row order, of a body. Raises PayloadError."""
        reader = SymbolReader(body[1:])
        mask = self.where.read(reader, *self.shape)
        count = int(mask.sum())
        indices = reader.take(self.levels * self.groups * count, self._table)
        reader.finish()
        return mask, indices.reshape(self.levels, self.groups, count)
