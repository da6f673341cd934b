"""Where2comm's values: rounded to steps that each channel learns, and coded with a table per group of channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from carla_cp.codecs.base import MOST_PACKETS, Room
from carla_cp.codecs.bitstream import HEADER_BYTES, PayloadError, SymbolReader, SymbolWriter, Table, largest
from carla_cp.codecs.cells import morton
from carla_cp.codecs.positions import PositionModel, mask_of
from carla_cp.types import FloatArray, IntArray, Stage

Levels = npt.NDArray[np.uint8]

PRECISIONS = 4  # each with steps twice as wide as the one before
LEVELS = 64  # of a value
GROUPS = 16  # of channels whose levels are distributed alike; each has one table
STEP = 0.2  # geometric mean of the channels' finest steps
HURRY = 4.0  # how much faster steps learn than other weights
LADDER = (900, 360, 140, 0)  # cells that must fit, for each precision to be chosen; guesses, not tuned
REPEATS = 1.25  # a message has no more cells than this many grids
_POSITION_BITS = 6.0  # of a cell, when precisions are compared
_SLACK_BITS = 96  # of a packet: kind, path from the root, the coder's rounding
_KIND, _BLOCK1, _PRECISION = 0x40, 0x10, 0x0F


@dataclass(frozen=True, slots=True, eq=False)
class CodedCells:
    """Cells and the levels of their values."""

    stage: Stage
    precision: int
    cells: IntArray  # (N,) flat indices, ascending
    levels: Levels  # (N, channels)


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """What a cell coder codes with."""

    values: list[list[Table]]  # by [precision][group]
    bits: FloatArray  # (PRECISIONS, channels, LEVELS), what each level costs
    channels: list[IntArray]  # of each group
    where: PositionModel


class CellCoder(nn.Module):
    """Cells of one stage to packets, and back."""

    def __init__(self, stage: Stage, shape: tuple[int, int, int]) -> None:
        """Of the stage's channels, rows and columns; all channels alike."""
        super().__init__()
        self.stage, self.shape = stage, shape
        self.shares = nn.Parameter(torch.zeros(shape[0]))
        self.centres: Tensor
        self.groups: Tensor
        self.value_tables: Tensor
        self.position_tables: Tensor
        flat = torch.from_numpy(Table.uniform(LEVELS).weights).to(torch.int32)
        self.register_buffer("centres", torch.arange(LEVELS).repeat(PRECISIONS, shape[0], 1) * STEP)
        self.register_buffer("groups", (torch.arange(shape[0]) * GROUPS // shape[0]).to(torch.int32))
        self.register_buffer("value_tables", flat.repeat(PRECISIONS, GROUPS, 1))
        where = PositionModel.uniform(*shape[1:])
        self.register_buffer("position_tables", torch.from_numpy(where.weights).to(torch.int32))
        self._parsed: Tables | None = None

    def steps(self, precision: int) -> Tensor:
        """(channels,): their geometric mean is fixed, and with it, nearly, what cells cost."""
        factors: Tensor = torch.exp(HURRY * (self.shares - self.shares.mean()))
        return STEP * float(1 << precision) * factors

    def tables(self) -> Tables:
        """As the buffers have them."""
        if self._parsed is None:
            groups = self.groups.cpu().numpy()
            values = [[Table(row) for row in rows] for rows in self.value_tables.cpu().numpy()]
            bits = np.stack([[rows[group].bits for group in groups] for rows in values])
            channels = [np.flatnonzero(groups == group) for group in range(GROUPS)]
            self._parsed = Tables(values, bits, channels, PositionModel(self.position_tables.cpu().numpy()))
        return self._parsed

    def learn(self, counts: FloatArray, sums: FloatArray, where: PositionModel) -> None:
        """Takes tables and centres from data: how often each level occurs, and the sum of the values behind it.

        Both are (PRECISIONS, channels, LEVELS). Channels of nearly the same cost share a table.
        """
        share = (counts[1] + 1e-3) / (counts[1] + 1e-3).sum(axis=1, keepdims=True)
        order = np.argsort(-(share * np.log(share)).sum(axis=1), kind="stable")
        groups = np.empty(len(order), np.int64)
        groups[order] = np.arange(len(order)) * GROUPS // len(order)
        together = np.stack([counts[:, groups == group].sum(axis=1) for group in range(GROUPS)], axis=1)
        tables = [[Table.from_counts(row + 0.05).weights for row in rows] for rows in together]
        steps = np.stack([self.steps(precision).detach().cpu().numpy() for precision in range(PRECISIONS)])
        centres = np.where(counts > 0, sums / np.maximum(counts, 1), np.arange(LEVELS) * steps[:, :, None])
        self.groups.copy_(torch.from_numpy(groups))
        self.value_tables.copy_(torch.from_numpy(np.array(tables)))
        self.centres.copy_(torch.from_numpy(centres))
        self.position_tables.copy_(torch.from_numpy(where.weights))
        self._parsed = None

    def levels(self, vectors: Tensor, precision: int) -> Tensor:
        """Levels (..., channels) of values (..., channels)."""
        return (vectors / self.steps(precision).detach()).round().clamp(0, LEVELS - 1)

    def straight(self, vectors: Tensor, precision: int) -> Tensor:
        """Rounded values (..., channels), straight through: values and steps get the gradients of no rounding."""
        steps = self.steps(precision)
        scaled = (vectors / steps).clamp(0, LEVELS - 1)
        return (scaled + (scaled.round() - scaled).detach()) * steps

    def look_up(self, levels: Tensor, precision: int) -> Tensor:
        """The values (N, channels) that levels (N, channels) of whole numbers stand for."""
        return self.centres[precision].gather(1, levels.T).T

    def bodies(self, features: Tensor, order: IntArray, room: Room) -> list[bytes]:
        """Packets with as many cells of features (channels, rows, columns) as fit, of `order` by falling use."""
        if room.total is not None:
            order = order[: room.total]  # none takes less than a byte
        vectors = features.flatten(1).T[torch.from_numpy(order).to(features.device)]
        fine, all_levels = range(PRECISIONS if room.total is not None else 1), []
        for precision in fine:
            all_levels.append(self.levels(vectors, precision).to(torch.uint8))
        stacked = torch.stack(all_levels).cpu().numpy()
        costs = np.stack([self._cost(stacked[precision], precision) for precision in fine])
        precision = _finest(costs, room)
        return self._packets(order, stacked[precision], costs[precision], precision, room)

    def _cost(self, levels: Levels, precision: int) -> FloatArray:
        """What the values of each cell cost, (N,)."""
        bits = self.tables().bits[precision]
        return np.asarray(bits[np.arange(len(bits)), levels].sum(axis=1))

    def _packets(self, order: IntArray, levels: Levels, cost: FloatArray, precision: int, room: Room) -> list[bytes]:
        """As many cells of `order` as fit; each packet holds a stretch of the Morton curve."""
        size = cost.sum() / 8 if room.total is None else min(cost.sum() / 8, room.total)
        room = Room(room.total, max(room.packet, round(2 * size / MOST_PACKETS)))  # fewer than of plain cells
        place = np.zeros(self.shape[1] * self.shape[2], np.int64)
        place[order] = np.arange(len(order))
        running = np.cumsum(cost)

        def write(cells: IntArray) -> bytes:
            ascending = np.sort(cells)
            return self.write(CodedCells(self.stage, precision, ascending, levels[place[ascending]]))

        def fits(count: int) -> bool:
            bits = running[count - 1] + self._position_bits(order[:count])
            packets = -(-bits // (8 * (room.packet - HEADER_BYTES) - _SLACK_BITS))
            return bool(bits + packets * (8 * HEADER_BYTES + _SLACK_BITS / 2) <= 8 * (room.total or 0))

        count = len(order) if room.total is None else largest(len(order), fits)
        while count:
            curve = morton(order[:count], self.shape[2])
            each = cost[place[curve]] + self._position_bits(curve) / count
            bodies = [body for piece in _pieces(curve, each, room.packet) for body in _short(piece, room.packet, write)]
            if room.total is None or room.fits(bodies):
                return bodies
            count -= 1 + count // 64
        return []

    def _position_bits(self, cells: IntArray) -> float:
        return self.tables().where.bits(mask_of(cells, *self.shape[1:]))

    def write(self, symbols: CodedCells) -> bytes:
        """The body of one packet."""
        tables, writer = self.tables(), SymbolWriter()
        tables.where.write(writer, mask_of(symbols.cells, *self.shape[1:]))
        for channels, table in zip(tables.channels, tables.values[symbols.precision], strict=True):
            writer.put(symbols.levels[:, channels].ravel().astype(np.int64), table)
        kind = _KIND | symbols.precision | (_BLOCK1 if self.stage is Stage.BLOCK1 else 0)
        return bytes([kind]) + writer.to_bytes()

    def read(self, body: bytes) -> CodedCells:
        """What `write` was given, of a body that `is_coded`. Raises PayloadError."""
        precision = body[0] & _PRECISION
        if precision >= PRECISIONS:
            raise PayloadError(f"there is no precision {precision}")
        tables, reader = self.tables(), SymbolReader(body[1:])
        cells = np.flatnonzero(tables.where.read(reader, *self.shape[1:]))
        levels = np.empty((len(cells), self.shape[0]), np.uint8)
        for channels, table in zip(tables.channels, tables.values[precision], strict=True):
            levels[:, channels] = reader.take(len(cells) * len(channels), table).reshape(-1, len(channels))
        reader.finish()
        return CodedCells(self.stage, precision, cells, levels)

    def join(self, first: CodedCells, others: Iterator[CodedCells]) -> CodedCells:
        """The cells of all packets, each once. Raises PayloadError where they are not of one kind, or too many."""
        channels, rows, columns = self.shape
        levels, known = np.zeros((rows * columns, channels), np.uint8), np.zeros(rows * columns, bool)
        levels[first.cells], known[first.cells] = first.levels, True
        left = REPEATS * len(known) - len(first.cells)
        for number, part in enumerate(others):
            left -= len(part.cells)
            if (part.stage, part.precision) != (first.stage, first.precision) or number + 2 > MOST_PACKETS or left < 0:
                raise PayloadError(f"packet {number + 1} has no place in the message")
            levels[part.cells], known[part.cells] = part.levels, True
        cells = np.flatnonzero(known)
        return CodedCells(first.stage, first.precision, cells, levels[cells])


def stage_of_coded(body: bytes) -> Stage | None:
    """The stage of a body that a `CellCoder` wrote; None of any other."""
    if not body or body[0] & ~(_BLOCK1 | _PRECISION) != _KIND:
        return None
    return Stage.BLOCK1 if body[0] & _BLOCK1 else Stage.BEV


def _pieces(curve: IntArray, bits: FloatArray, packet: int) -> list[IntArray]:
    """Stretches of a curve of cells, each of about as many as a packet holds, of the bits that each cell takes."""
    most, running = 8 * (packet - HEADER_BYTES) - _SLACK_BITS, np.cumsum(bits)
    starts = [0]
    while starts[-1] < len(curve):
        before = running[starts[-1]] - bits[starts[-1]]
        starts.append(max(int(np.searchsorted(running, before + most, "right")), starts[-1] + 1))
    return np.split(curve, starts[1:-1])


def _short(piece: IntArray, packet: int, write: Callable[[IntArray], bytes]) -> list[bytes]:
    """The bodies of a stretch, which is halved until each fits a packet or holds one cell."""
    body = write(piece)
    if len(body) <= packet - HEADER_BYTES or len(piece) == 1:
        return [body]
    return [body for half in np.array_split(piece, 2) for body in _short(half, packet, write)]


def _finest(costs: FloatArray, room: Room) -> int:
    """The finest precision in which enough cells fit, of the bits (precisions, cells) that they cost by rank."""
    if room.total is None:
        return 0
    running = np.cumsum(costs + _POSITION_BITS, axis=1)
    counts = (running <= 8 * room.total).sum(axis=1)
    enough = counts >= np.minimum(LADDER, costs.shape[1])
    return int(np.argmax(enough))
