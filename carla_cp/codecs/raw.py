"""The reference: features as they are, whole or the cells that matter most.

Sent is what the receivers' fusion takes: the BEV stage, or the backbone's first block where it fuses every scale.
Variants: `raw:fp32`, what most papers charge for full features; `raw:fp16`, which is plain `raw`; `raw:int8`, with a
scale per channel. Nothing is entropy-coded.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from carla_cp.codecs.base import Bodies, Codec, ViewLike
from carla_cp.codecs.bitstream import MAX_PACKETS, Header
from carla_cp.codecs.plain import PlainCells, PlainStage, Precision, join_plain, read_plain, rebuild_plain, rounded
from carla_cp.codecs.ranking import rank
from carla_cp.codecs.taps import TapShapes, spread, tapped
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import GridSpec, Shared, Stage


class RawCodec(Codec[PlainCells]):
    """Sends a stage cell by cell: 2 MiB whole in fp16; under a budget the most useful cells, with their positions.

    Packets are longer than asked for where one cell is.
    """

    name = "raw"
    number = 3
    tap = Stage.BEV
    most_packets = MAX_PACKETS  # plain values are read at once
    variants = ("fp32", "fp16", "int8")

    def __init__(self, fingerprint: int = 0, grid: GridSpec | None = None, shapes: TapShapes | None = None) -> None:
        super().__init__(fingerprint, grid)
        self.shapes = shapes if shapes is not None else TapShapes()

    @classmethod
    def for_detector(cls, fingerprint: int, config: DetectorConfig) -> RawCodec:
        """One that knows the shapes of the detector's stages."""
        return cls(fingerprint, config.grid, TapShapes.of_config(config))

    def check_fusion(self, tap: Stage, what: str) -> None:
        """Sends whatever fusion takes."""

    @property
    def precision(self) -> Precision:
        """Of what it sends; it reads all."""
        return Precision[self.variant.upper()] if self.variant else Precision.FP16

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """What arrives of features (C, rows, columns) at the full rate."""
        return rounded(features, self.precision)

    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        """Every cell, or as many as fit."""
        cells = PlainStage(view.tap, self.precision, tapped(view))
        _, rows, columns = self.shapes.of(view.tap)
        order = rank(spread(view.heat, rows, columns))
        return lambda room: cells.all(room) or cells.some(order, room)

    def read(self, body: bytes) -> PlainCells:
        """Cells and values of one packet. Raises PayloadError."""
        return read_plain(body, self.shapes)

    def join(self, parts: Iterator[PlainCells]) -> PlainCells:
        """The cells of the packets that are there. Raises PayloadError."""
        return join_plain(parts, self.shapes)

    def reconstruct(self, header: Header, symbols: PlainCells) -> Shared:
        """The features; cells that were not sent are 0 and invalid."""
        return rebuild_plain(header, symbols, self.shapes)

    def formula_bytes(self, symbols: PlainCells) -> float:
        """Cells times channels times the bytes of a value."""
        return symbols.formula_bytes
