"""What an InfoCom message says, and the tables by which it is said in few bits.

The latent's dimensions are Gaussians: each has its own mean and spread, and those whose tables are nearest to one
another share one, so that a few calls code all; a dimension that says nothing costs nothing. A pillar's level is coded
in the context of how many pillars beside it are kept, by the best of some sets of tables; each of its content channels
in the context of what was said of it just before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.bitstream import SymbolReader, SymbolWriter, Table
from carla_cp.codecs.positions import BoolArray
from carla_cp.types import FloatArray, IntArray

LEVELS = 15  # above zero: 4 bits
STEP = 0.5  # of the latent
LIMIT = 15  # steps of the latent either way of its mean
PHASES = 4  # of a mean between two steps
SPREADS = 16
OCTAVES, BESIDE = 8, 4  # sets of level tables, and contexts in each
ABSENT = -1  # the content of a pillar that came without
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class InfocomSymbols:
    """The latent, if it was sent, and the kept pillars."""

    latent: Floats | None  # (latent,)
    mask: BoolArray  # (rows, columns) of pillars
    values: IntArray  # (1 + content, kept) in row order: level, then content; in [0, LEVELS], or ABSENT


class LatentModel:
    """The Gaussian of each dimension of a latent in steps."""

    def __init__(self, means: IntArray, classes: IntArray, tables: Sequence[Table]) -> None:
        """Of each dimension's mean, the table of what is left, and the tables, of 2 * LIMIT + 1 symbols each."""
        self.means, self.classes, self.tables = means, classes, tuple(tables)

    @staticmethod
    def learnt(steps: IntArray) -> LatentModel:
        """The one that suits latents (views, dimensions)."""
        middle, deviation = steps.mean(axis=0), steps.std(axis=0)
        quarters = np.rint(middle * PHASES).astype(np.int64)
        spread = np.abs(np.log(_spreads())[:, None] - np.log(deviation + 1e-9)).argmin(axis=0)
        return LatentModel(quarters // PHASES, quarters % PHASES * SPREADS + spread, gaussians())

    def bits(self, steps: IntArray) -> float:
        """What `write` will cost."""
        symbols = self._symbols(steps)
        return float(sum(table.bits[symbols[self.classes == place]].sum() for place, table in enumerate(self.tables)))

    def write(self, writer: SymbolWriter, steps: IntArray) -> None:
        """Appends a latent (dimensions,); what lies farther than LIMIT from its mean is brought there."""
        writer.put_in_context(self._symbols(steps), self.classes, self.tables)

    def read(self, reader: SymbolReader) -> IntArray:
        """The latent that was written."""
        return reader.take_in_context(self.classes, self.tables) + self.means - LIMIT

    def _symbols(self, steps: IntArray) -> IntArray:
        return np.asarray((steps - self.means).clip(-LIMIT, LIMIT) + LIMIT)


def _spreads() -> FloatArray:
    """The standard deviations that tables are made for, in steps."""
    return np.asarray(0.02 * 2 ** (np.arange(SPREADS) * 0.6))


def gaussians() -> list[Table]:
    """Tables of rounded Gaussians by phase, then spread."""
    edges = np.arange(-LIMIT, LIMIT + 2) - 0.5
    tables = []
    for phase in range(PHASES):
        for spread in _spreads():
            below = [0.5 * math.erfc(-(edge - phase / PHASES) / (spread * math.sqrt(2))) for edge in edges]
            tables.append(Table.from_counts(np.diff(below)))
    return tables


class PillarModel:
    """The tables of what is said of a kept pillar."""

    def __init__(self, levels: npt.ArrayLike, content: npt.ArrayLike) -> None:
        """Of table weights (OCTAVES, BESIDE, LEVELS) and (content, LEVELS + 1, LEVELS + 1)."""
        self.levels = [[Table(row) for row in rows] for rows in np.asarray(levels)]
        self.content = [[Table(row) for row in rows] for rows in np.asarray(content)]

    @staticmethod
    def learnt(samples: Sequence[InfocomSymbols], channels: int) -> PillarModel:
        """The one that suits these messages; every value stays possible."""
        levels = np.full((OCTAVES, BESIDE, LEVELS), 0.3)
        content = np.full((channels, LEVELS + 1, LEVELS + 1), 0.1)
        for sample in samples:
            level, before = sample.values[0], sample.values[0]
            np.add.at(levels[octave(len(level))], (beside(sample.mask), level - 1), 1.0)
            for counts, row in zip(content, sample.values[1:], strict=True):
                np.add.at(counts, (before, row), 1.0)
                before = row
        return PillarModel(_weights(levels), _weights(content))

    def weights(self) -> tuple[IntArray, IntArray]:
        """What the constructor takes."""
        levels, content = (
            np.array([[table.weights for table in row] for row in rows], np.int64)
            for rows in (self.levels, self.content)
        )
        return levels, content.reshape(len(self.content), LEVELS + 1, LEVELS + 1)

    @cached_property
    def _level_bits(self) -> FloatArray:
        return np.array([np.concatenate([table.bits for table in tables]) for tables in self.levels])

    @cached_property
    def _content_bits(self) -> list[FloatArray]:
        return [np.stack([table.bits for table in tables]) for tables in self.content]

    def cheapest(self, mask: BoolArray, levels: IntArray) -> tuple[int, float]:
        """The set of tables that says the levels of a mask in the fewest bits, and those bits.

        A region of a long message is not like a short one: the count of its own pillars does not tell.
        """
        counts = np.bincount(beside(mask) * LEVELS + levels - 1, minlength=BESIDE * LEVELS)
        bits = self._level_bits @ counts
        return int(bits.argmin()), float(bits.min())

    def bits(self, mask: BoolArray, values: IntArray) -> float:
        """What `write` will cost, by the set of tables that is cheapest."""
        content = zip(self._content_bits, values, values[1:], strict=False)
        return self.cheapest(mask, values[0])[1] + float(sum(bits[before, row].sum() for bits, before, row in content))

    def write(self, writer: SymbolWriter, mask: BoolArray, values: IntArray, tables: int) -> None:
        """Appends values (1 + channels, kept), levels of at least 1, of the pillars that a mask holds."""
        writer.put_in_context(values[0] - 1, beside(mask), self.levels[tables])
        for rows, before, row in zip(self.content, values, values[1:], strict=False):
            writer.put_in_context(row, before, rows)

    def read(self, reader: SymbolReader, mask: BoolArray, channels: int, tables: int) -> IntArray:
        """The values that were written; ABSENT where there are fewer channels of content than could be."""
        values = np.full((1 + len(self.content), int(mask.sum())), ABSENT, np.int64)
        values[0] = reader.take_in_context(beside(mask), self.levels[tables]) + 1
        for row in range(1, 1 + channels):
            values[row] = reader.take_in_context(values[row - 1], self.content[row - 1])
        return values


def _weights(counts: FloatArray) -> IntArray:
    flat = [Table.from_counts(row).weights for row in counts.reshape(-1, counts.shape[-1])]
    return np.array(flat, np.int64).reshape(counts.shape)


def octave(count: int) -> int:
    """Which level tables learn from a message of `count` pillars: the more, the lower their levels."""
    return min(max((count - 1).bit_length() - 6, 0), OCTAVES - 1)


def beside(mask: BoolArray) -> IntArray:
    """For each kept pillar, in row order, how many of the eight around it are kept, in BESIDE classes."""
    cells = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), np.uint8)
    cells[1:-1, 1:-1] = mask
    rows = cells[:-2] + cells[1:-1] + cells[2:]
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return np.asarray((around[mask].astype(np.int64) - 1) // 2).clip(max=BESIDE - 1)
