"""ReVQom (Residual Vector Quantization for Communication-Efficient Multi-Agent Perception, ICASSP 2026).

As in the paper: a 1x1 convolution and group norm bring the BEV feature to few channels, a residual quantiser with EMA
codebooks replaces each cell by `stages` indices, a 1x1 "post-affine" and a 1x1 convolution bring it back; commitment
and orthogonality losses.

Different here: 64 channels to 16 on a 128 x 128 grid behind PointPillars instead of 256 behind sparse convolutions;
only partners' features are coded, not the ego's own; no group norm behind the decoder, since its statistics would
depend on which cells were sent; EMA decay 0.95, cells weighted by usefulness, between one and all stages drawn per
training step. New: indices are entropy coded with static tables (the paper sends log2 K bits each), and under a budget
only the most useful cells leave, with their positions, and with fewer stages where few cells would fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from carla_cp.codecs.base import Codec, ViewLike
from carla_cp.codecs.bitstream import Header, PayloadError, SymbolReader, SymbolWriter, Table, largest
from carla_cp.codecs.positions import BoolArray, PositionModel, mask_of
from carla_cp.codecs.ranking import rank
from carla_cp.codecs.rvq import ResidualQuantiser
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import FloatArray, GridSpec, IntArray, Shared, Stage

WHOLE, SOME = 0, 1  # rows of the tables: statistics of all cells, and of those that go first under a budget
LADDER = (0, 120, 240)  # cells that must fit for 1, 2, 3 stages
_SLACK_BITS = 8 + 64  # the stage byte, the coder's rounding


@dataclass(frozen=True, slots=True)
class RevqomConfig:
    """Sizes; the defaults are what is trained here."""

    channels: int = 64
    width: int = 16  # C_r
    stages: int = 3  # n_q
    codes: int = 64  # K
    groups: int = 2


@dataclass(frozen=True, slots=True, eq=False)
class RevqomSymbols:
    """Which cells, and the indices of each."""

    mask: BoolArray  # (rows, columns)
    indices: IntArray  # (stages, cells set in mask) in row order


class RevqomCodec(Codec[RevqomSymbols]):
    """Sends codebook indices of BEV cells."""

    name = "revqom"
    number = 5
    tap = Stage.BEV
    learned = True

    def __init__(self, fingerprint: int = 0, grid: GridSpec | None = None, config: RevqomConfig | None = None) -> None:
        super().__init__(fingerprint, grid)
        self.config = config = config if config is not None else RevqomConfig()
        self.down = nn.Sequential(
            nn.Conv2d(config.channels, config.width, 1), nn.GroupNorm(config.groups, config.width)
        )
        self.quantiser = ResidualQuantiser(config.stages, config.codes, config.width)
        self.up = nn.Sequential(
            nn.Conv2d(config.width, config.width, 1), nn.ReLU(), nn.Conv2d(config.width, config.channels, 1), nn.ReLU()
        )
        flat = torch.from_numpy(Table.uniform(config.codes).weights).to(torch.int32)
        where = PositionModel.uniform(self.grid.rows, self.grid.columns)
        self.index_tables: Tensor
        self.position_tables: Tensor
        self.register_buffer("index_tables", flat.repeat(2, config.stages, 1))
        self.register_buffer("position_tables", torch.from_numpy(where.weights).to(torch.int32))
        self._parsed: tuple[list[list[Table]], PositionModel] | None = None

    @classmethod
    def for_detector(cls, fingerprint: int, config: DetectorConfig) -> RevqomCodec:
        """Of the detector's number of BEV channels."""
        return cls(fingerprint, config.grid, RevqomConfig(channels=config.bev_channels))

    def tables(self) -> tuple[list[list[Table]], PositionModel]:
        """Index tables by [WHOLE or SOME][stage], and the model of positions."""
        if self._parsed is None:
            indices = [[Table(row) for row in rows] for rows in self.index_tables.cpu().numpy()]
            self._parsed = indices, PositionModel(self.position_tables.cpu().numpy())
        return self._parsed

    def set_tables(self, indices: list[list[Table]], where: PositionModel) -> None:
        """Replaces the tables by ones learnt from data."""
        rows = np.stack([np.stack([table.weights for table in group]) for group in indices])
        self.index_tables.copy_(torch.from_numpy(rows))
        self.position_tables.copy_(torch.from_numpy(where.weights))
        self._parsed = None

    def forward(self, features: Tensor, stages: int | None = None) -> Tensor:
        """What arrives of features (B, C, rows, columns) where every cell is sent; straight through in training."""
        latent = self.down(features)
        vectors = latent.permute(0, 2, 3, 1).flatten(0, 2)
        indices = self.quantiser.search(vectors.detach(), stages or self.config.stages)
        coded = self.quantiser.look_up(indices).view(len(features), *features.shape[2:], -1).permute(0, 3, 1, 2)
        return self._expand(latent + (coded - latent).detach() if self.training else coded)

    def _expand(self, coded: Tensor) -> Tensor:
        """Features (B, C, rows, columns) of latents; of one memory layout, since another may round otherwise."""
        features: Tensor = self.up(coded.contiguous())
        return features

    def body(self, view: ViewLike, room: int | None) -> bytes:
        """Every cell and stage, or the best choice that fits."""
        vectors = self.down(view.bev[None])[0].permute(1, 2, 0).flatten(0, 1)
        # A sent cell costs two bits at the least.
        if room is None or len(vectors) <= 4 * room:
            indices = self.quantiser.search(vectors, self.config.stages).cpu().numpy()
            whole = self._write(RevqomSymbols(np.ones((self.grid.rows, self.grid.columns), bool), indices))
            if room is None or len(whole) <= room:
                return whole
        return self._most_useful(vectors, rank(view.heat), room)

    def _most_useful(self, vectors: Tensor, order: IntArray, room: int) -> bytes:
        """The first cells of `order` that fit, with as many stages as can be had; b"" where none fits."""
        reach = min(len(order), room)  # cells that are looked at: few take less than a byte
        while True:
            chosen = torch.from_numpy(order[:reach]).to(vectors.device)
            indices = self.quantiser.search(vectors[chosen], self.config.stages).cpu().numpy()
            stages, count = self._choose(order[:reach], indices, room)
            if count < reach or reach == len(order):
                break
            reach = min(2 * reach, len(order))
        while count:
            body = self._write(self._some(order[:count], indices[:stages, :count]))
            if len(body) <= room:
                return body
            count -= 1 + count // 64
        return b""

    def _choose(self, order: IntArray, indices: IntArray, room: int) -> tuple[int, int]:
        """Stages and cells: the most stages for which enough cells fit."""
        cost = np.stack([table.bits[row] for table, row in zip(self.tables()[0][SOME], indices, strict=True)])
        for stages in range(self.config.stages, 0, -1):
            count = self._count(order, np.cumsum(cost[:stages].sum(axis=0)), room)
            if count >= LADDER[stages - 1]:
                break
        return stages, count

    def _count(self, order: IntArray, running: FloatArray, room: int) -> int:
        """How many cells fit whose indices cost `running` bits in all."""
        where = self.tables()[1]

        def fits(count: int) -> bool:
            free = 8 * room - _SLACK_BITS - running[count - 1]
            mask = mask_of(order[:count], self.grid.rows, self.grid.columns)
            return bool(free > 0 and where.bits(mask) <= free)

        return largest(len(order), fits)

    def _some(self, chosen: IntArray, indices: IntArray) -> RevqomSymbols:
        mask = mask_of(chosen, self.grid.rows, self.grid.columns)
        return RevqomSymbols(mask, indices[:, np.argsort(chosen)])

    def _write(self, symbols: RevqomSymbols) -> bytes:
        stages = len(symbols.indices)
        kind = WHOLE if symbols.mask.all() and stages == self.config.stages else SOME
        tables, where = self.tables()
        writer = SymbolWriter()
        if kind == SOME:
            where.write(writer, symbols.mask)
        for row, table in zip(symbols.indices, tables[kind], strict=False):
            writer.put(row, table)
        return bytes([kind << 4 | stages]) + writer.to_bytes()

    def read(self, body: bytes) -> RevqomSymbols:
        """Cells and indices. Raises PayloadError."""
        if not body:
            raise PayloadError("an empty body holds no cells")
        kind, stages = body[0] >> 4, body[0] & 15
        if kind not in (WHOLE, SOME) or not 1 <= stages <= self.config.stages:
            raise PayloadError(f"{body[0]:#04x} is no layout of this codec")
        tables, where = self.tables()
        reader = SymbolReader(body[1:])
        shape = (self.grid.rows, self.grid.columns)
        mask = where.read(reader, *shape) if kind == SOME else np.ones(shape, bool)
        count = int(mask.sum())
        indices = np.stack([reader.take(count, table) for table in tables[kind][:stages]])
        reader.finish()
        return RevqomSymbols(mask, indices)

    def reconstruct(self, header: Header, symbols: RevqomSymbols) -> Shared:
        """The features; cells that were not sent are 0 and invalid."""
        device = self.quantiser.codebooks.device
        mask = torch.from_numpy(symbols.mask).to(device)
        coded = torch.zeros(*mask.shape, self.config.width, device=device)
        coded[mask] = self.quantiser.look_up(torch.from_numpy(symbols.indices).to(device))
        features = self._expand(coded.permute(2, 0, 1)[None])[0] * mask
        return Shared(
            sender=header.sender,
            time_us=header.time_us,
            world_from_agent=header.world_from_agent,
            stage=self.tap,
            features=features,
            valid=mask,
        )
