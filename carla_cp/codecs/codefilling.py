"""CodeFilling (Communication-Efficient Collaborative Perception via Information Filling with Codebook, CVPR 2024).

As in the paper: the tap is the BEV feature; two groups of channels, each with a codebook of 256 codes and two more for
what the ones before leave, replace a cell by up to six indices; the codebooks are the same at all agents, learnt behind
the frozen detector, codes that nobody uses are given away again; information filling chooses the cells, so that what
several senders are sure of reaches the receiver's demand and does not go far beyond. `codefilling:paper` is that: every
cell above the official threshold, 48 bits each, which is what the paper charges.

Different here: codes follow averages of what falls to them, not Gumbel-softmax gradients: no temperature to anneal, and
256 codes settle within minutes. The official solver sees the confidence of all senders at once, which no sender can:
here each knows the receiver's request (where2comm's packet, its bytes counted), and the variant leaves out cells of
which the receiver is sure, or that lie outside of its grid. Without it only the latter stay away: on validation
frames a second view of what the receiver is sure of is worth its bytes. Positions, which the paper does not charge, are
in the message. New: indices are entropy coded, each in the context of a neighbour's or of the one before; under a
budget cells and further levels compete by what they gain for a bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from carla_cp.codecs.base import Bodies, Codec, Room, ViewLike
from carla_cp.codecs.bitstream import (
    HEADER_BYTES,
    SLACK_BITS,
    Header,
    PayloadError,
    SymbolReader,
    SymbolWriter,
    largest,
)
from carla_cp.codecs.closely import fill_closely
from carla_cp.codecs.codefilling_paper import PAPER, PaperPackets
from carla_cp.codecs.indices import CLASSES, IndexModel
from carla_cp.codecs.positions import BoolArray, PositionModel, mask_of
from carla_cp.codecs.ranking import usefulness
from carla_cp.codecs.requests import Weights, ask, wanted
from carla_cp.codecs.rvq import ResidualQuantiser
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import FloatArray, GridSpec, IntArray, Shared, Stage

THRESHOLD = 0.01  # of the confidence, in the official settings
FILLING = np.array([1.0, 1.0, 0.0], np.float32)  # demand by how sure the receiver is, in the paper's variant
REFINE = 1.0  # what a cell's whole residual is worth, beside the cell


@dataclass(frozen=True, slots=True)
class CodefillingConfig:
    """Sizes; the defaults are what is trained here."""

    channels: int = 64
    groups: int = 2
    width: int = 16  # channels of a group
    levels: int = 3
    codes: int = 256


@dataclass(frozen=True, slots=True, eq=False)
class CodefillingSymbols:
    """Which cells, and the indices of each, in row order."""

    mask: BoolArray  # (rows, columns)
    indices: IntArray  # (levels, groups, cells), 0 beyond a cell's depth
    depth: IntArray  # (cells,) in [1, levels]


class CodefillingCodec(Codec[CodefillingSymbols]):
    """Sends codebook indices of the cells that the receiver is in want of."""

    name = "codefilling"
    number = 9
    tap = Stage.BEV
    learned = True
    asks = True
    variants = ("paper",)

    def __init__(
        self, fingerprint: int = 0, grid: GridSpec | None = None, config: CodefillingConfig | None = None
    ) -> None:
        super().__init__(fingerprint, grid)
        self.config = config = config if config is not None else CodefillingConfig()
        inner = config.groups * config.width
        self.down = nn.Conv2d(config.channels, inner, 1)
        self.groups = nn.ModuleList(
            ResidualQuantiser(config.levels, config.codes, config.width) for _ in range(config.groups)
        )
        self.up = nn.Sequential(
            nn.Conv2d(inner, config.channels, 1), nn.ReLU(), nn.Conv2d(config.channels, config.channels, 1)
        )
        where = PositionModel.uniform(self.grid.rows, self.grid.columns)
        model = IndexModel.uniform(config.levels, config.groups, config.codes)
        self._paper = PaperPackets(
            where, (self.grid.rows, self.grid.columns), config.levels, config.groups, config.codes
        )
        self.position_tables: Tensor
        self.classes: Tensor
        self.index_tables: Tensor
        self.depth_tables: Tensor
        self.residue: Tensor
        self.register_buffer("position_tables", torch.from_numpy(where.weights).to(torch.int32))
        self.register_buffer("classes", torch.from_numpy(model.classes).to(torch.uint8))
        self.register_buffer("index_tables", torch.from_numpy(model.weights).to(torch.int32))
        self.register_buffer("depth_tables", torch.from_numpy(model.depth_weights).to(torch.int32))
        self.register_buffer("residue", torch.ones(1))  # of a cell, without any level, squared: the mean
        self._parsed: tuple[PositionModel, IndexModel] | None = None

    @classmethod
    def for_detector(cls, fingerprint: int, config: DetectorConfig) -> CodefillingCodec:
        """Of the detector's number of BEV channels."""
        return cls(fingerprint, config.grid, CodefillingConfig(channels=config.bev_channels))

    def tables(self) -> tuple[PositionModel, IndexModel]:
        """The integer tables of the weights, ready for use."""
        if self._parsed is None:
            buffers = (self.classes, self.index_tables, self.depth_tables)
            model = IndexModel(*(buffer.cpu().numpy() for buffer in buffers))
            if int(model.classes.max()) >= CLASSES:
                raise ValueError(f"classes of indices go to {model.classes.max()}, there are {CLASSES}")
            self._parsed = PositionModel(self.position_tables.cpu().numpy()), model
        return self._parsed

    def set_tables(self, where: PositionModel, model: IndexModel) -> None:
        """Replaces the tables by ones learnt from data."""
        self.position_tables.copy_(torch.from_numpy(where.weights))
        self.classes.copy_(torch.from_numpy(model.classes))
        self.index_tables.copy_(torch.from_numpy(model.weights))
        self.depth_tables.copy_(torch.from_numpy(model.depth_weights))
        self._parsed = None

    def vectors(self, latent: Tensor) -> list[Tensor]:
        """The groups' vectors (cells, width) of latents (B, groups * width, rows, columns)."""
        return list(latent.permute(0, 2, 3, 1).flatten(0, 2).chunk(self.config.groups, dim=1))

    def search(self, vectors: list[Tensor]) -> Tensor:
        """The indices (levels, groups, cells) of the groups' vectors."""
        found = [group.search(part, self.config.levels) for group, part in zip(self.books, vectors, strict=True)]
        return torch.stack(found, dim=1)

    def look_up(self, indices: Tensor, depth: Tensor) -> Tensor:
        """The vectors (cells, groups * width) of indices (levels, groups, cells), as far as each cell's depth."""
        parts = []
        for group, book in enumerate(self.books):
            codes = [stage[index] for stage, index in zip(book.codebooks, indices[:, group], strict=True)]
            parts.append(sum((code * (depth > level)[:, None] for level, code in enumerate(codes)), codes[0] * 0))
        return torch.cat(parts, dim=1)

    @property
    def books(self) -> list[ResidualQuantiser]:
        """The codebooks of each group."""
        return [group for group in self.groups if isinstance(group, ResidualQuantiser)]

    def forward(self, features: Tensor, levels: int | None = None) -> Tensor:
        """What arrives of features (B, C, rows, columns) where every cell is sent; straight through in training."""
        latent = self.down(features)
        vectors = self.vectors(latent)
        indices = self.search([part.detach() for part in vectors])
        depth = torch.full((indices.shape[2],), levels or self.config.levels, device=features.device)
        coded = self.look_up(indices, depth).view(len(features), *features.shape[2:], -1).permute(0, 3, 1, 2)
        return self._expand(latent + (coded - latent).detach() if self.training else coded)

    def _expand(self, coded: Tensor) -> Tensor:
        """Features (B, C, rows, columns) of latents; of one memory layout, since another may round otherwise."""
        features: Tensor = self.up(coded.contiguous()).relu()
        return features

    def request(self, view: ViewLike) -> bytes:
        """Where the receiver is sure itself."""
        return ask(self, view)

    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        """As many cells and levels as fit; in the variant those above the threshold."""
        if self.variant == "paper":
            return self._plain_bodies(view, wanted(request, self, view, FILLING))
        demand = wanted(request, self, view)
        indices, gain = self.gains(view.bev[None], view.heat)
        if demand is not None:
            gain = gain * demand.ravel()
        cost = self.tables()[1].cell_bits(indices)
        return partial(self._fill, indices, gain, cost)

    def gains(self, features: Tensor, heat: Tensor) -> tuple[IntArray, FloatArray]:
        """Indices (levels, groups, cells) of features (1, C, rows, columns), and what each level (levels, cells) gains.

        The first level gains a cell's usefulness; the others gain of it what they take off the residue, in means.
        """
        vectors = self.vectors(self.down(features))
        indices, whole, left = self.search(vectors), torch.cat(vectors, dim=1), []
        for levels in range(1, self.config.levels + 1):
            depth = torch.full((indices.shape[2],), levels, device=whole.device)
            left.append((whole - self.look_up(indices, depth)).square().sum(1) / self.residue)
        useful = usefulness(heat[None])[0].flatten()
        gain = torch.cat([useful[None], REFINE * useful * -torch.stack(left).diff(dim=0)])
        numbers = torch.cat([indices.flatten(0, 1), gain]).cpu().double().numpy()
        count = indices.shape[0] * indices.shape[1]
        return numbers[:count].astype(np.int64).reshape(indices.shape), numbers[count:]

    def choose(self, gain: FloatArray, cost: FloatArray, room: Room) -> tuple[IntArray, IntArray]:
        """Cells by what their first level gains for a bit, and how many levels each would have, at least one.

        Both of gains and bits (levels, cells); one level more is had where it gains more for a bit than another cell.
        """
        worth = np.minimum.accumulate(gain / np.maximum(cost, 1.0), axis=0)
        order = np.argsort(-worth[0], kind="stable")
        if room.total is None:
            return order, np.full(cost.shape[1], len(cost))
        items = np.argsort(-worth.ravel(), kind="stable")
        running = np.cumsum(cost.ravel()[items])
        cells = items % cost.shape[1]
        free = 8 * (room.total - HEADER_BYTES) - SLACK_BITS
        where, (rows, columns) = self.tables()[0], (self.grid.rows, self.grid.columns)

        def fits(count: int) -> bool:
            rest = free - running[count - 1]
            return bool(rest > 0 and where.bits(mask_of(cells[:count], rows, columns)) <= rest)

        count = largest(int(np.searchsorted(running, max(free, 0))), lambda n: n == 0 or fits(n))
        return order, np.maximum(np.bincount(cells[:count], minlength=cost.shape[1]), 1)

    def _fill(self, indices: IntArray, gain: FloatArray, cost: FloatArray, room: Room) -> list[bytes]:
        """The packets of what `choose` finds of indices (levels, groups, cells), with their gains and bits."""
        order, depth = self.choose(gain, cost, room)
        where = self.tables()[0]
        rows, columns = self.grid.rows, self.grid.columns
        cost = np.cumsum(cost, axis=0)[depth - 1, np.arange(len(depth))]

        def guess(chosen: IntArray) -> float:
            return where.bits(mask_of(chosen, rows, columns)) + float(cost[chosen].sum()) + SLACK_BITS

        def write(chosen: IntArray) -> bytes:
            cells = np.sort(chosen)
            return self.packet(CodefillingSymbols(mask_of(cells, rows, columns), indices[:, :, cells], depth[cells]))

        return fill_closely(order, columns, room, guess, write)

    def packet(self, symbols: CodefillingSymbols) -> bytes:
        """The body that says these."""
        where, model = self.tables()
        writer, mix = SymbolWriter(), model.mix(symbols.indices, symbols.depth)
        where.write(writer, symbols.mask)
        model.write(writer, symbols.mask, symbols.indices, symbols.depth, mix)
        return bytes([mix]) + writer.to_bytes()

    def _plain_bodies(self, view: ViewLike, demand: Weights | None) -> Bodies:
        """Packets of the cells above the threshold with all levels, nothing of which is entropy coded."""
        indices = self.search(self.vectors(self.down(view.bev[None]))).cpu().numpy()
        chosen = np.flatnonzero(view.heat.amax(0).cpu().numpy() > THRESHOLD)
        if demand is not None:
            chosen = chosen[demand.ravel()[chosen] > 0.5]
        return lambda room: self._paper.bodies(chosen, indices, Room(None, room.packet))

    def read(self, body: bytes) -> CodefillingSymbols:
        """Cells, indices and depths. Raises PayloadError."""
        if not body or body[0] > PAPER:
            raise PayloadError("the body is of no layout of this codec")
        if body[0] == PAPER:
            mask, indices = self._paper.read(body)
            return CodefillingSymbols(mask, indices, np.full(indices.shape[2], self.config.levels))
        reader, (where, model) = SymbolReader(body[1:]), self.tables()
        mask = where.read(reader, self.grid.rows, self.grid.columns)
        indices, depth = model.read(reader, mask, body[0])
        reader.finish()
        return CodefillingSymbols(mask, indices, depth)

    def join(self, parts: Iterator[CodefillingSymbols]) -> CodefillingSymbols:
        """The cells of all packets, of one that is repeated the last."""
        mask = np.zeros((self.grid.rows, self.grid.columns), bool)
        every = np.zeros((self.config.levels, self.config.groups, *mask.shape), np.int64)
        depth = np.zeros(mask.shape, np.int64)
        for part in parts:
            mask |= part.mask
            every[:, :, part.mask], depth[part.mask] = part.indices, part.depth
        return CodefillingSymbols(mask, every[:, :, mask], depth[mask])

    def formula_bytes(self, symbols: CodefillingSymbols) -> float:
        """The bits of all indices, without their positions."""
        return float(symbols.depth.sum()) * self.config.groups * float(np.log2(self.config.codes)) / 8

    def reconstruct(self, header: Header, symbols: CodefillingSymbols) -> Shared:
        """The features; cells that were not sent are 0 and invalid."""
        device = self.residue.device
        mask = torch.from_numpy(symbols.mask).to(device)
        coded = torch.zeros(*mask.shape, self.config.groups * self.config.width, device=device)
        coded[mask] = self.look_up(
            torch.from_numpy(symbols.indices).to(device), torch.from_numpy(symbols.depth).to(device)
        )
        return Shared(
            sender=header.sender,
            time_us=header.time_us,
            world_from_agent=header.world_from_agent,
            stage=self.tap,
            features=self._expand(coded.permute(2, 0, 1)[None])[0] * mask,
            valid=mask,
        )
