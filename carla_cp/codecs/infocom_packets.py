"""The bodies of InfoCom's packets: ours, entropy coded, of a region each, and the paper's values at their own width."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.base import Room
from carla_cp.codecs.bitstream import HEADER_BYTES, SLACK_BITS, PayloadError, SymbolReader, SymbolWriter
from carla_cp.codecs.cells import fill
from carla_cp.codecs.infocom_symbols import ABSENT, OCTAVES, STEP, Floats, InfocomSymbols, LatentModel, PillarModel
from carla_cp.codecs.positions import BoolArray, PositionModel, mask_of
from carla_cp.types import IntArray

# A body's first byte: channels of content + _LATENT or not + _TABLES x the set of level tables, or one of the paper's.
_CHANNELS, _LATENT, _TABLES = 3, 4, 8
_PAPER_BAND, _PAPER_LATENT = 0x80, 0x81
LADDER = (0, 1200, 850)  # pillars that must fit for 0, 1, 2 channels of content: by AP on validation maps
_BAND = struct.Struct("<HH")  # first row, rows
_MOST = 1e4  # a float of the latent


@dataclass(frozen=True, slots=True, eq=False)
class InfocomTables:
    """The probabilities of all symbols."""

    where: PositionModel
    pillars: PillarModel
    latent: LatentModel


@dataclass(frozen=True, slots=True, eq=False)
class InfocomChoice:
    """All that could be sent of a view."""

    latent: Floats  # (latent,)
    order: IntArray  # flat indices of the best pillars, the highest rated first
    values: IntArray  # (1 + content, best pillars) in that order: level, then content, in [0, LEVELS]


def best(rating: Floats, count: int) -> IntArray:
    """The `count` places of highest rating, the highest first; equal ones in order."""
    floor = np.partition(rating, len(rating) - count)[len(rating) - count]
    likely = np.flatnonzero(rating >= floor)
    return np.asarray(likely[np.argsort(-rating[likely], kind="stable")][:count])


class Packer:
    """Cuts what was chosen of a view into packets, each with the latent if it is sent: it is small."""

    def __init__(
        self, shape: tuple[int, int], tables: InfocomTables, choice: InfocomChoice, steps: IntArray | None
    ) -> None:
        """Of the pillar grid's rows and columns, and the latent in steps if it is sent."""
        self.shape, self.tables, self.order, self.steps = shape, tables, choice.order, steps
        self.fixed_bits = SLACK_BITS + (0.0 if steps is None else tables.latent.bits(steps))
        self.values = np.zeros((len(choice.values), shape[0] * shape[1]), np.int64)
        self.values[:, choice.order] = choice.values

    def channels(self, count: int, room: Room) -> int:
        """The most channels of content with which enough of the first `count` pillars, or all, fit."""
        channels = len(self.values) - 1
        if room.total is None:
            return channels
        aim = 8 * (room.total - HEADER_BYTES * -(-room.total // room.packet))
        while channels and self.bits(self.order[: min(LADDER[channels], count)], channels) > aim:
            channels -= 1
        return channels

    def bodies(self, count: int, channels: int, room: Room) -> list[bytes]:
        """The first `count` pillars, or as many as fit, with so many channels of content."""
        return fill(
            self.order[:count],
            self.shape[1],
            room,
            lambda cells: self.bits(cells, channels),
            lambda cells: self.write(cells, channels),
        )

    def bits(self, cells: IntArray, channels: int) -> float:
        """What a packet of these pillars takes, closely."""
        mask = mask_of(cells, *self.shape)
        values = self.values[: 1 + channels, np.sort(cells)]
        return self.fixed_bits + self.tables.where.bits(mask) + self.tables.pillars.bits(mask, values)

    def write(self, cells: IntArray, channels: int) -> bytes:
        """The body of a packet of these pillars."""
        mask = mask_of(cells, *self.shape)
        return write_body(self.tables, mask, self.values[: 1 + channels, np.sort(cells)], self.steps)


def write_body(tables: InfocomTables, mask: BoolArray, values: IntArray, steps: IntArray | None) -> bytes:
    """Of pillars, at least one, their values (1 + channels, kept) in row order, and a latent in steps, or none."""
    writer = SymbolWriter()
    tables.where.write(writer, mask)
    chosen = tables.pillars.cheapest(mask, values[0])[0]
    tables.pillars.write(writer, mask, values, chosen)
    if steps is not None:
        tables.latent.write(writer, steps)
    return bytes([len(values) - 1 + (0 if steps is None else _LATENT) + _TABLES * chosen]) + writer.to_bytes()


def read_body(tables: InfocomTables, body: bytes, shape: tuple[int, int]) -> InfocomSymbols:
    """What a packet for a pillar grid of that shape says. Raises PayloadError."""
    if not body:
        raise PayloadError("an empty body holds nothing")
    if body[0] == _PAPER_LATENT:
        return _read_floats(tables, body, shape)
    if body[0] == _PAPER_BAND:
        return _read_band(tables, body, shape)
    channels = body[0] & _CHANNELS
    if body[0] >= _TABLES * OCTAVES or channels > len(tables.pillars.content):
        raise PayloadError(f"{body[0]:#04x} is no layout of this codec")
    reader = SymbolReader(body[1:])
    mask = tables.where.read(reader, *shape)
    values = tables.pillars.read(reader, mask, channels, body[0] // _TABLES)
    latent = tables.latent.read(reader).astype(np.float32) * np.float32(STEP) if body[0] & _LATENT else None
    reader.finish()
    return InfocomSymbols(latent, mask, values)


def paper_bodies(choice: InfocomChoice, shape: tuple[int, int], most: int) -> list[bytes]:
    """The latent as 32-bit floats; then in bands of rows a bit for each pillar and 4 bits for each kept one's level.

    At a tenth of all pillars a bit for each is shorter than their indices. `most` is what a body may take.
    """
    mask = mask_of(choice.order, *shape)
    levels = np.zeros(mask.shape, np.uint8)
    levels.reshape(-1)[choice.order] = choice.values[0]
    bodies, first = [bytes([_PAPER_LATENT]) + choice.latent.astype("<f4").tobytes()], 0
    for row in range(1, shape[0] + 1):
        if row == shape[0] or _band_bytes(mask[first : row + 1]) > most:
            bodies.append(_write_band(mask, levels, first, row))
            first = row
    return bodies


def _band_bytes(mask: BoolArray) -> int:
    return 1 + _BAND.size + -(-mask.size // 8) + -(-int(mask.sum()) // 2)


def _write_band(mask: BoolArray, levels: npt.NDArray[np.uint8], first: int, end: int) -> bytes:
    """The rows from `first` up to `end`."""
    kept = levels[first:end][mask[first:end]]
    nibbles = np.append(kept, np.zeros(len(kept) % 2, np.uint8))
    packed = (nibbles[::2] << 4 | nibbles[1::2]).astype(np.uint8)
    flags = np.packbits(mask[first:end])
    return bytes([_PAPER_BAND]) + _BAND.pack(first, end - first) + flags.tobytes() + packed.tobytes()


def _read_band(tables: InfocomTables, body: bytes, shape: tuple[int, int]) -> InfocomSymbols:
    if len(body) < 1 + _BAND.size:
        raise PayloadError(f"{len(body)} bytes name no band of rows")
    first, rows = _BAND.unpack_from(body, 1)
    rest = np.frombuffer(body, np.uint8, offset=1 + _BAND.size)
    flags = rows * shape[1]
    if not 0 < rows <= shape[0] - first or len(rest) < -(-flags // 8):
        raise PayloadError(f"{len(rest)} bytes are no {rows} rows from {first} on")
    mask = np.zeros(shape, bool)
    mask[first : first + rows] = np.unpackbits(rest, count=flags).reshape(rows, -1).astype(bool)
    count, packed = int(mask.sum()), rest[-(-flags // 8) :]
    if len(packed) != -(-count // 2):
        raise PayloadError(f"{len(packed)} bytes are not {count} levels of 4 bits")
    values = np.full((1 + len(tables.pillars.content), count), ABSENT, np.int64)
    values[0] = np.stack([packed >> 4, packed & 15], axis=1).reshape(-1)[:count]
    return InfocomSymbols(None, mask, values)


def _read_floats(tables: InfocomTables, body: bytes, shape: tuple[int, int]) -> InfocomSymbols:
    if len(body) != 1 + 4 * len(tables.latent.means):
        raise PayloadError(f"{len(body) - 1} bytes are not {len(tables.latent.means)} floats")
    latent = np.frombuffer(body, "<f4", offset=1).astype(np.float32)
    if not np.isfinite(latent).all() or np.abs(latent).max() > _MOST:
        raise PayloadError("the latent lies beyond anything that is sent")
    none = np.zeros((1 + len(tables.pillars.content), 0), np.int64)
    return InfocomSymbols(latent, np.zeros(shape, bool), none)
