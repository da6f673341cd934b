"""The reference: BEV features as half floats, whole or the cells that matter most."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from carla_cp.codecs import positions
from carla_cp.codecs.base import Codec, ViewLike
from carla_cp.codecs.bitstream import Header, PayloadError, SymbolReader, SymbolWriter, largest
from carla_cp.codecs.ranking import rank
from carla_cp.types import GridSpec, IntArray, Shared, Stage

CHANNELS = 64
_WORDS = struct.Struct("<H")  # of the positions
_ALL = 0xFFFF  # in their place: every cell
_MAX_HALF = 65504.0


@dataclass(frozen=True, slots=True, eq=False)
class RawSymbols:
    """Cells and their values."""

    mask: npt.NDArray[np.bool_]  # (rows, columns)
    values: npt.NDArray[np.float16]  # (cells set in mask, in row order; channels)


class RawCodec(Codec[RawSymbols]):
    """Sends the BEV stage in fp16: 2 MiB whole; under a budget the cells of most heat, with their positions."""

    name = "raw"
    number = 3
    tap = Stage.BEV

    def __init__(self, fingerprint: int = 0, grid: GridSpec | None = None) -> None:
        super().__init__(fingerprint, grid)
        self._tables = positions.uniform_tables(self.grid.rows, self.grid.columns)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """What arrives of features (C, rows, columns) at the full rate."""
        return features.clamp(-_MAX_HALF, _MAX_HALF).half().float()

    def body(self, view: ViewLike, room: int | None) -> bytes:
        """Every cell, or as many as fit."""
        halves = view.bev.clamp(-_MAX_HALF, _MAX_HALF).half().permute(1, 2, 0).cpu().numpy()
        whole = _WORDS.pack(_ALL) + halves.astype("<f2").tobytes()
        if room is None or len(whole) <= room:
            return whole
        order = rank(view.heat)
        count = largest(min(len(order), room // (2 * CHANNELS)), lambda n: len(self._some(halves, order[:n])) <= room)
        return self._some(halves, order[:count]) if count else b""

    def _some(self, halves: npt.NDArray[np.float16], chosen: IntArray) -> bytes:
        mask = positions.mask_of(chosen, self.grid.rows, self.grid.columns)
        writer = SymbolWriter()
        positions.write(writer, mask, self._tables)
        where = writer.to_bytes()
        return _WORDS.pack(len(where) // 4) + where + halves[mask].astype("<f2").tobytes()

    def read(self, body: bytes) -> RawSymbols:
        """Cells and values. Raises PayloadError."""
        if len(body) < _WORDS.size:
            raise PayloadError(f"{len(body)} bytes are no features")
        (words,) = _WORDS.unpack_from(body)
        end = _WORDS.size
        mask = np.ones((self.grid.rows, self.grid.columns), bool)
        if words != _ALL:
            end += 4 * words
            reader = SymbolReader(body[_WORDS.size : end])
            mask = positions.read(reader, self._tables, self.grid.rows, self.grid.columns)
            reader.finish()
        if len(body) - end != 2 * CHANNELS * int(mask.sum()):
            raise PayloadError(f"{len(body) - end} bytes are not the values of {int(mask.sum())} cells")
        values = np.frombuffer(body, "<f2", offset=end).reshape(-1, CHANNELS).astype(np.float16)
        if not np.isfinite(values).all():
            raise PayloadError("a feature is not a finite number")
        return RawSymbols(mask, values)

    def reconstruct(self, header: Header, symbols: RawSymbols) -> Shared:
        """The features; cells that were not sent are 0 and invalid."""
        features = np.zeros((*symbols.mask.shape, CHANNELS), np.float32)
        features[symbols.mask] = symbols.values
        return Shared(
            sender=header.sender,
            time_us=header.time_us,
            world_from_agent=header.world_from_agent,
            stage=self.tap,
            features=torch.from_numpy(features).permute(2, 0, 1).contiguous(),
            valid=torch.from_numpy(symbols.mask),
        )
