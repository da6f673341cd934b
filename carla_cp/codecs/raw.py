"""The reference: features as half floats, whole or the cells that matter most.

Sent is what the receivers' fusion takes: the BEV stage, or the backbone's first block where it fuses every scale.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from carla_cp.codecs.base import Codec, ViewLike
from carla_cp.codecs.bitstream import Header, PayloadError, SymbolReader, SymbolWriter, largest
from carla_cp.codecs.positions import PositionModel, mask_of
from carla_cp.codecs.ranking import rank
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import GridSpec, IntArray, Shared, Stage

_WORDS = struct.Struct("<H")  # of the positions, with _BLOCK1 set for the first block
_ALL = {Stage.BEV: 0xFFFF, Stage.BLOCK1: 0xFFFE}  # in their place: every cell
_BLOCK1 = 0x8000
_MAX_HALF = 65504.0


@dataclass(frozen=True, slots=True)
class RawShapes:
    """Channels, rows and columns of the stages; the defaults are those of `mini`."""

    bev: tuple[int, int, int] = (64, 128, 128)
    block1: tuple[int, int, int] = (32, 128, 128)

    @staticmethod
    def of_config(config: DetectorConfig) -> RawShapes:
        """Those of a detector."""
        grid, stride = config.grid, config.strides[0]
        return RawShapes(
            (config.bev_channels, grid.rows, grid.columns),
            (config.filters[0], grid.pillar_rows // stride, grid.pillar_columns // stride),
        )

    def of(self, stage: Stage) -> tuple[int, int, int]:
        """That of one stage."""
        return self.bev if stage is Stage.BEV else self.block1


@dataclass(frozen=True, slots=True, eq=False)
class RawSymbols:
    """Cells and their values."""

    stage: Stage
    mask: npt.NDArray[np.bool_]  # (rows, columns)
    values: npt.NDArray[np.float16]  # (cells set in mask, in row order; channels)


class RawCodec(Codec[RawSymbols]):
    """Sends a stage in fp16: 2 MiB whole; under a budget the cells of most heat, with their positions."""

    name = "raw"
    number = 3
    tap = Stage.BEV

    def __init__(self, fingerprint: int = 0, grid: GridSpec | None = None, shapes: RawShapes = RawShapes()) -> None:
        super().__init__(fingerprint, grid)
        self.shapes = shapes

    @classmethod
    def for_detector(cls, fingerprint: int, config: DetectorConfig) -> RawCodec:
        """One that knows the shapes of the detector's stages."""
        return cls(fingerprint, config.grid, RawShapes.of_config(config))

    def check_fusion(self, tap: Stage, what: str) -> None:
        """Sends whatever fusion takes."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """What arrives of features (C, rows, columns) at the full rate."""
        return features.clamp(-_MAX_HALF, _MAX_HALF).half().float()

    def body(self, view: ViewLike, room: int | None) -> bytes:
        """Every cell, or as many as fit."""
        stage = view.tap
        features = view.bev if stage is Stage.BEV else view.block1
        halves = features.clamp(-_MAX_HALF, _MAX_HALF).half().permute(1, 2, 0).cpu().numpy()
        whole = _WORDS.pack(_ALL[stage]) + halves.astype("<f2").tobytes()
        if room is None or len(whole) <= room:
            return whole
        channels, rows, columns = self.shapes.of(stage)
        heat = view.heat
        if heat.shape[1:] != (rows, columns):
            heat = torch.nn.functional.interpolate(heat[None], (rows, columns), mode="nearest")[0]
        order = rank(heat)
        most = min(len(order), room // (2 * channels))
        count = largest(most, lambda n: len(_some(stage, halves, order[:n])) <= room)
        return _some(stage, halves, order[:count]) if count else b""

    def read(self, body: bytes) -> RawSymbols:
        """Cells and values. Raises PayloadError."""
        if len(body) < _WORDS.size:
            raise PayloadError(f"{len(body)} bytes are no features")
        (words,) = _WORDS.unpack_from(body)
        end = _WORDS.size
        first = words == _ALL[Stage.BLOCK1] or (words & _BLOCK1 and words != _ALL[Stage.BEV])
        stage = Stage.BLOCK1 if first else Stage.BEV
        channels, rows, columns = self.shapes.of(stage)
        mask = np.ones((rows, columns), bool)
        if words != _ALL[stage]:
            end += 4 * (words & ~_BLOCK1)
            reader = SymbolReader(body[_WORDS.size : end])
            mask = PositionModel.uniform(rows, columns).read(reader, rows, columns)
            reader.finish()
        if len(body) - end != 2 * channels * int(mask.sum()):
            raise PayloadError(f"{len(body) - end} bytes are not the values of {int(mask.sum())} cells")
        values = np.frombuffer(body, "<f2", offset=end).reshape(-1, channels).astype(np.float16)
        if not np.isfinite(values).all():
            raise PayloadError("a feature is not a finite number")
        return RawSymbols(stage, mask, values)

    def reconstruct(self, header: Header, symbols: RawSymbols) -> Shared:
        """The features; cells that were not sent are 0 and invalid."""
        features = np.zeros((*symbols.mask.shape, symbols.values.shape[1]), np.float32)
        features[symbols.mask] = symbols.values
        return Shared(
            sender=header.sender,
            time_us=header.time_us,
            world_from_agent=header.world_from_agent,
            stage=symbols.stage,
            features=torch.from_numpy(features).permute(2, 0, 1).contiguous(),
            valid=torch.from_numpy(symbols.mask),
        )


def _some(stage: Stage, halves: npt.NDArray[np.float16], chosen: IntArray) -> bytes:
    rows, columns = halves.shape[:2]
    mask = mask_of(chosen, rows, columns)
    writer = SymbolWriter()
    PositionModel.uniform(rows, columns).write(writer, mask)
    where = writer.to_bytes()
    words = len(where) // 4 | (_BLOCK1 if stage is Stage.BLOCK1 else 0)
    return _WORDS.pack(words) + where + halves[mask].astype("<f2").tobytes()
