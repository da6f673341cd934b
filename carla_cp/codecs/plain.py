"""Cells of a stage with nothing coded: each value takes the bytes of its type, each position two or four.

A packet holds a stretch of the grid's cells in row order, or cells by their indices. Eight-bit values count steps of
their channel's scale, a power of 2**(1/8) which every packet holds as a byte per channel, since any other may be lost.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import torch

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import HEADER_BYTES, Header, PayloadError
from carla_cp.codecs.cells import morton
from carla_cp.codecs.positions import mask_of
from carla_cp.codecs.taps import TapShapes
from carla_cp.types import IntArray, Shared, Stage

Floats = npt.NDArray[np.float32]

_KIND = struct.Struct("<BI")  # precision | _BLOCK1 | _LISTED; the first cell of a stretch, 0 of a list
_BLOCK1, _LISTED, _PRECISION = 0x10, 0x20, 0x0F
_MAX_HALF = 65504.0
_STEPS, _ZERO, _LEVELS = 8, 160, 255  # scales per octave, the code of scale 1, the largest eight-bit value
_SCALES = np.exp2((np.arange(256) - _ZERO) / _STEPS).astype(np.float32)


class Precision(IntEnum):
    """Of the values, by the number that stands in the message."""

    FP32 = 0
    FP16 = 1
    INT8 = 2

    @property
    def bytes(self) -> int:
        """Of one value."""
        return (4, 2, 1)[self]

    @property
    def dtype(self) -> str:
        """Of values in a message."""
        return ("<f4", "<f2", "u1")[self]


@dataclass(frozen=True, slots=True, eq=False)
class PlainCells:
    """Cells and their values."""

    stage: Stage
    precision: Precision  # in which they were sent
    cells: IntArray  # (N,) flat indices
    values: Floats  # (N, channels)

    @property
    def formula_bytes(self) -> float:
        """Values times their size: what papers count, with neither positions nor headers."""
        return float(self.values.size * self.precision.bytes)


def rounded(features: torch.Tensor, precision: Precision) -> torch.Tensor:
    """What arrives of features (C, rows, columns), not negative."""
    if precision is Precision.INT8:
        scales = torch.from_numpy(_SCALES).to(features.device)[_scale_codes(features).long()][:, None, None]
        return (features / scales).round().clamp(0, _LEVELS) * scales
    return features.clamp(-_MAX_HALF, _MAX_HALF).half().float() if precision is Precision.FP16 else features.float()


def _scale_codes(features: torch.Tensor) -> torch.Tensor:
    """(C,) uint8: the least scales whose largest value reaches each channel's maximum."""
    most = features.flatten(1).amax(1).double().clamp(min=1e-30)
    return (torch.ceil(_STEPS * torch.log2(most / _LEVELS)) + _ZERO).clamp(0, 255).to(torch.uint8)


class PlainStage:
    """A stage's values as they would be sent."""

    def __init__(self, stage: Stage, precision: Precision, features: torch.Tensor) -> None:
        """Of features (C, rows, columns), not negative; they leave their device at once."""
        self.kind, self.columns = precision | (_BLOCK1 if stage is Stage.BLOCK1 else 0), features.shape[2]
        self.scales = b""
        by_cell = features.permute(1, 2, 0).flatten(0, 1)
        if precision is Precision.INT8:
            codes = _scale_codes(features)
            scales = torch.from_numpy(_SCALES).to(features.device)[codes.long()]
            levels = (by_cell / scales).round().clamp(0, _LEVELS).to(torch.uint8)
            levels = torch.cat([codes[None], levels]).cpu()
            self.scales, self.values = levels[0].numpy().tobytes(), levels[1:].numpy()
        elif precision is Precision.FP16:
            self.values = by_cell.clamp(-_MAX_HALF, _MAX_HALF).half().cpu().numpy().astype(precision.dtype)
        else:
            self.values = by_cell.float().cpu().numpy().astype(precision.dtype)
        self.head = _KIND.size + len(self.scales)
        self.size = self.values.shape[1] * precision.bytes  # of a cell
        self.index_type = _index_type(len(self.values))

    def all(self, room: Room) -> list[bytes]:
        """Every cell, or [] where they do not fit."""
        count = len(self.values)
        each = self._each(room, self.size)
        if room.total is not None and _total(count, each, self.head, self.size) > room.total:
            return []
        return [
            _KIND.pack(self.kind, start) + self.scales + self.values[start : start + each].tobytes()
            for start in range(0, count, each)
        ]

    def some(self, order: IntArray, room: Room) -> list[bytes]:
        """As many cells as fit, of flat indices by falling use; each packet holds a stretch of the Morton curve."""
        size = self.size + self.index_type.itemsize
        each, count = self._each(room, size), len(order)
        if room.total is not None:
            full, rest = divmod(room.total, HEADER_BYTES + self.head + each * size)
            count = min(count, full * each + max(rest - HEADER_BYTES - self.head, 0) // size)
        curve = morton(order[:count], self.columns)
        return [self._listed(np.sort(curve[start : start + each])) for start in range(0, count, each)]

    def _each(self, room: Room, size: int) -> int:
        """Cells per packet: as many as fit, and at least one."""
        return max((room.packet - HEADER_BYTES - self.head) // size, 1)

    def _listed(self, cells: IntArray) -> bytes:
        where = cells.astype(self.index_type).tobytes()
        return _KIND.pack(self.kind | _LISTED, 0) + self.scales + where + self.values[cells].tobytes()


def _total(count: int, each: int, head: int, size: int) -> int:
    return count * size + -(-count // each) * (HEADER_BYTES + head)


def _index_type(cells: int) -> np.dtype[np.unsignedinteger]:
    return np.dtype("<u2") if cells <= 1 << 16 else np.dtype("<u4")


def read_plain(body: bytes, shapes: TapShapes) -> PlainCells:
    """The cells of one packet. Raises PayloadError."""
    if len(body) < _KIND.size:
        raise PayloadError(f"{len(body)} bytes are no features")
    kind, start = _KIND.unpack_from(body)
    number = kind & _PRECISION
    if number > Precision.INT8 or kind & ~(_PRECISION | _BLOCK1 | _LISTED):
        raise PayloadError(f"{kind:#04x} is no kind of cells")
    stage, precision = Stage.BLOCK1 if kind & _BLOCK1 else Stage.BEV, Precision(number)
    channels, rows, columns = shapes.of(stage)
    at = _KIND.size + (channels if precision is Precision.INT8 else 0)
    index = _index_type(rows * columns)
    size = channels * precision.bytes + (index.itemsize if kind & _LISTED else 0)
    count, rest = divmod(len(body) - at, size)
    if rest or not 1 <= count <= rows * columns:
        raise PayloadError(f"{len(body)} bytes are no {stage.value} cells of {channels} values")
    if kind & _LISTED:
        cells = np.frombuffer(body, index, count, at).astype(np.int64)
        at += count * index.itemsize
    else:
        cells = np.arange(start, start + count)
    if int(cells.max()) >= rows * columns:
        raise PayloadError(f"a cell lies outside the grid of {rows} x {columns}")
    values = np.frombuffer(body, precision.dtype, offset=at).reshape(count, channels).astype(np.float32)
    if precision is Precision.INT8:
        values *= _SCALES[np.frombuffer(body, np.uint8, channels, _KIND.size)]
    elif not np.isfinite(values).all():
        raise PayloadError("a feature is not a finite number")
    return PlainCells(stage, precision, cells, values)


def join_plain(parts: Iterator[PlainCells], shapes: TapShapes) -> PlainCells:
    """The cells of all packets, each once. Raises PayloadError where they are not of one stage and precision."""
    first = next(parts)
    channels, rows, columns = shapes.of(first.stage)
    values = np.zeros((rows * columns, channels), np.float32)
    known = np.zeros(rows * columns, bool)
    values[first.cells], known[first.cells] = first.values, True
    for part in parts:
        if (part.stage, part.precision) != (first.stage, first.precision):
            raise PayloadError("packets of two stages or precisions stand in one message")
        values[part.cells], known[part.cells] = part.values, True
    cells = np.flatnonzero(known)
    return PlainCells(first.stage, first.precision, cells, values if len(cells) == len(values) else values[cells])


def rebuild_plain(header: Header, symbols: PlainCells, shapes: TapShapes) -> Shared:
    """The features; cells that were not sent are 0 and invalid."""
    channels, rows, columns = shapes.of(symbols.stage)
    features = np.zeros((rows * columns, channels), np.float32)
    features[symbols.cells] = symbols.values
    return Shared(
        sender=header.sender,
        time_us=header.time_us,
        world_from_agent=header.world_from_agent,
        stage=symbols.stage,
        features=torch.from_numpy(features).T.reshape(channels, rows, columns).contiguous(),
        valid=torch.from_numpy(mask_of(symbols.cells, rows, columns)),
    )
