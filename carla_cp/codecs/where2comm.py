"""Where2comm (Communication-Efficient Collaborative Perception via Spatial Confidence Maps, NeurIPS 2022).

As in the paper: the sender's confidence in each cell is the maximum over classes of what it detects by itself, smoothed
by the official code's Gaussian (5 x 5, sigma 1); its product with the receiver's request map says which cells matter,
and the cells that matter most travel. `where2comm:paper` is the official test setting: every cell above 0.01, its
features as 32-bit floats. The fusion that belongs to it is the rule `where2comm`, trained with a random share of the
cells; the tap is what the receivers' fusion takes, the backbone's first block for that rule.

Different: a request is a packet of some 60 to 100 bytes and is part of what is counted; the confidence is that of a
head of the detector's own, not of one that is trained with the selection. The paper charges cells x channels x 4 bytes
and neither positions nor requests. New: values are rounded to steps that each channel learns by distillation, at a
precision that follows the budget, and entropy coded, positions too.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from carla_cp.codecs.base import Bodies, Codec, ViewLike
from carla_cp.codecs.bitstream import MAX_PACKETS, Header, PayloadError
from carla_cp.codecs.plain import PlainCells, PlainStage, Precision, join_plain, read_plain, rebuild_plain
from carla_cp.codecs.positions import mask_of
from carla_cp.codecs.ranking import falling
from carla_cp.codecs.requests import Weights, ask, wanted
from carla_cp.codecs.taps import TapShapes, spread, tapped
from carla_cp.codecs.where2comm_cells import CellCoder, CodedCells, stage_of_coded
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import GridSpec, Shared, Stage

THRESHOLD = 0.01
REACH, SIGMA = 2, 1.0  # of the Gaussian [cells]

Where2commSymbols: TypeAlias = CodedCells | PlainCells


class Where2commCodec(Codec[Where2commSymbols]):
    """Sends the cells in which the sender is confident and the receiver is not."""

    name = "where2comm"
    number = 7
    tap = Stage.BEV
    learned = True
    asks = True
    most_packets = MAX_PACKETS  # of the paper's plain values; coded ones are fewer
    variants = ("paper",)

    def __init__(self, fingerprint: int = 0, grid: GridSpec | None = None, shapes: TapShapes | None = None) -> None:
        super().__init__(fingerprint, grid)
        self.shapes = shapes = shapes if shapes is not None else TapShapes()
        self.bev, self.block1 = (CellCoder(stage, shapes.of(stage)) for stage in (Stage.BEV, Stage.BLOCK1))

    @classmethod
    def for_detector(cls, fingerprint: int, config: DetectorConfig) -> Where2commCodec:
        """One that knows the shapes of the detector's stages."""
        return cls(fingerprint, config.grid, TapShapes.of_config(config))

    def check_fusion(self, tap: Stage, what: str) -> None:
        """Sends whatever fusion takes."""

    def coder(self, stage: Stage) -> CellCoder:
        """That of a stage."""
        return self.bev if stage is Stage.BEV else self.block1

    def forward(self, features: Tensor, precision: int = 0, stage: Stage = Stage.BEV) -> Tensor:
        """What arrives of features (B, C, rows, columns) where every cell is sent; straight through in training."""
        coder, vectors = self.coder(stage), features.permute(0, 2, 3, 1)
        if self.training:
            return coder.straight(vectors, precision).permute(0, 3, 1, 2)
        levels = coder.levels(vectors, precision).flatten(0, 2).long()
        return coder.look_up(levels, precision).view(vectors.shape).permute(0, 3, 1, 2)

    def request(self, view: ViewLike) -> bytes:
        """Where the receiver is sure itself."""
        return ask(self, view)

    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        """The cells that matter most."""
        _, rows, columns = self.shapes.of(view.tap)
        matters = spread(selection(view.heat, wanted(request, self, view))[None], rows, columns)[0]
        order = falling(matters)
        if self.variant == "paper":
            above = int((matters > THRESHOLD).sum())
            return partial(PlainStage(view.tap, Precision.FP32, tapped(view)).some, order[:above])
        return partial(self.coder(view.tap).bodies, tapped(view), order)

    def read(self, body: bytes) -> Where2commSymbols:
        """Cells and values of one packet. Raises PayloadError."""
        stage = stage_of_coded(body)
        return read_plain(body, self.shapes) if stage is None else self.coder(stage).read(body)

    def join(self, parts: Iterator[Where2commSymbols]) -> Where2commSymbols:
        """The cells of the packets that are there. Raises PayloadError."""
        first = next(parts)
        if isinstance(first, CodedCells):
            return self.coder(first.stage).join(first, (_coded(part) for part in parts))
        plain = (_plain(part) for part in _with(first, parts))
        return join_plain(plain, self.shapes)

    def reconstruct(self, header: Header, symbols: Where2commSymbols) -> Shared:
        """The features; cells that were not sent are 0 and invalid."""
        if isinstance(symbols, PlainCells):
            return rebuild_plain(header, symbols, self.shapes)
        coder, (channels, rows, columns) = self.coder(symbols.stage), self.shapes.of(symbols.stage)
        device = coder.centres.device
        values = coder.look_up(torch.from_numpy(symbols.levels).to(device).long(), symbols.precision)
        features = torch.zeros(rows * columns, channels, device=device)
        features[torch.from_numpy(symbols.cells).to(device)] = values
        return Shared(
            sender=header.sender,
            time_us=header.time_us,
            world_from_agent=header.world_from_agent,
            stage=symbols.stage,
            features=features.T.reshape(channels, rows, columns).contiguous(),
            valid=torch.from_numpy(mask_of(symbols.cells, rows, columns)).to(device),
        )

    def formula_bytes(self, symbols: Where2commSymbols) -> float:
        """Cells times channels times four."""
        return 4.0 * len(symbols.cells) * self.shapes.of(symbols.stage)[0]


def selection(heat: Tensor, demand: Weights | None) -> Tensor:
    """How much each cell (rows, columns) matters, of heat (classes, rows, columns) and of how much it is wanted."""
    confidence = smoothed(heat.float().amax(0))
    return confidence if demand is None else confidence * torch.from_numpy(demand).to(confidence)


def smoothed(confidence: Tensor) -> Tensor:
    """A map (rows, columns) under the Gaussian, with zeros around it."""
    taps = torch.exp(-0.5 * (torch.arange(-REACH, REACH + 1, device=confidence.device) / SIGMA) ** 2)
    taps = taps / taps.sum()
    rows = F.conv2d(confidence[None, None], taps[None, None, None], padding=(0, REACH))
    return F.conv2d(rows, taps[None, None, :, None], padding=(REACH, 0))[0, 0]


def _with(first: Where2commSymbols, parts: Iterator[Where2commSymbols]) -> Iterator[Where2commSymbols]:
    yield first
    yield from parts


def _coded(part: Where2commSymbols) -> CodedCells:
    if isinstance(part, CodedCells):
        return part
    raise PayloadError("packets with and without coding stand in one message")


def _plain(part: Where2commSymbols) -> PlainCells:
    if isinstance(part, PlainCells):
        return part
    raise PayloadError("packets with and without coding stand in one message")
