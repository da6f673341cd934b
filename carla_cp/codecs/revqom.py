"""ReVQom (Residual Vector Quantization for Communication-Efficient Multi-Agent Perception, ICASSP 2026).

As in the paper: a 1x1 convolution brings the BEV feature to few channels, a residual quantiser with EMA codebooks
replaces each cell by an index per stage, two convolutions bring it back; commitment and orthogonality losses; K = 64.

Different here: 32 channels and 8 stages, the first three of which are the paper's 18 bits per cell; no group norm,
whose statistics the receiver could not know; the "post-affine" sees the 3x3 cells around, as far as they were sent,
and how many stages each has, beside a plain 1x1 expansion; the projection starts from what the detector's answers hang
on; only partners' features are coded, not the ego's own; EMA decay 0.95, cells weighted by usefulness, depths drawn per
training step. New: codes are chosen by distance and bits, so that cells nobody needs take cheap ones; indices are
entropy coded in the context of neighbours and of the stage before; under a budget only the cells leave that are worth
their bits, with their positions and in one of two depths. `paper`, `paper12` and `paper6` send every cell's nearest
codes of 3, 2 and 1 stages, 6 bits each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from carla_cp.codecs.base import Bodies, Codec, Room, ViewLike
from carla_cp.codecs.bitstream import HEADER_BYTES, Header, Table
from carla_cp.codecs.cells import fill
from carla_cp.codecs.closely import even_stretches
from carla_cp.codecs.positions import PositionModel
from carla_cp.codecs.ranking import usefulness
from carla_cp.codecs.revqom_packets import SOME, WHOLE, RevqomPackets, RevqomSymbols, RevqomTables
from carla_cp.codecs.rvq import ResidualQuantiser
from carla_cp.codecs.rvq_budget import Plan, plan
from carla_cp.codecs.rvq_coder import DEEP_CONTEXTS, LEVELS, IndexModel, fixed
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import FloatArray, GridSpec, IntArray, Shared, Stage

GROUPS = 24  # of contexts
# In units of the first stage's mean squared length:
PRICE = 0.0005  # of a bit, in squared distance of a cell of usefulness 1
FLOOR = 0.002  # of the squared usefulness
ABSENT = 1.0  # squared distance that a cell counts for which is not sent
LEAST = 0.01  # what sending a cell is worth, however far it is from what it says
PAIRS = ((1, 4), (1, 6), (2, 6), (2, 8), (3, 8), (4, 8), (6, 8), (8, 8))  # depths that one message may mix
_PAPER_STAGES = {"paper": 3, "paper12": 2, "paper6": 1}
POWER = 1.0  # of usefulness, that a cell's worth goes by
_CELL_BITS = 2.5  # position and depth of a cell, about
_SOME_CELLS = 1000  # that a budget chooses among, and one more for every three bytes
_TRIES = 5


@dataclass(frozen=True, slots=True)
class RevqomConfig:
    """Sizes; the defaults are what is trained here."""

    channels: int = 64
    width: int = 32  # C_r
    stages: int = 8  # n_q
    codes: int = 64  # K
    hidden: int = 48


class RevqomCodec(Codec[RevqomSymbols]):
    """Sends codebook indices of BEV cells."""

    name = "revqom"
    number = 5
    tap = Stage.BEV
    learned = True
    variants = tuple(_PAPER_STAGES)

    def __init__(self, fingerprint: int = 0, grid: GridSpec | None = None, config: RevqomConfig | None = None) -> None:
        super().__init__(fingerprint, grid)
        self.config = config = config if config is not None else RevqomConfig()
        self.down = nn.Conv2d(config.channels, config.width, 1)
        self.quantiser = ResidualQuantiser(config.stages, config.codes, config.width)
        self.expand = nn.Conv2d(config.width, config.channels, 1)
        self.around = nn.Sequential(
            nn.Conv2d(config.width + 1, config.hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(config.hidden, config.channels, 1),
        )
        nn.init.zeros_(self.around[2].weight)  # type: ignore[arg-type]
        self._register_tables()
        self._parsed: RevqomTables | None = None

    def _register_tables(self) -> None:
        stages, codes = self.config.stages, self.config.codes
        flat, even = (torch.from_numpy(Table.uniform(count).weights).to(torch.int32) for count in (codes, 2))
        where = PositionModel.uniform(self.grid.rows, self.grid.columns)
        self.index_groups: Tensor
        self.index_tables: Tensor
        self.deep_tables: Tensor
        self.position_tables: Tensor
        self.stage_bits: Tensor
        self.register_buffer("index_groups", torch.zeros(2, stages, codes, dtype=torch.uint8))
        self.register_buffer("index_tables", flat.repeat(2, stages, GROUPS + 1, 1))
        self.register_buffer("deep_tables", even.repeat(LEVELS, DEEP_CONTEXTS, 1))
        self.register_buffer("position_tables", torch.from_numpy(where.weights).to(torch.int32))
        self.register_buffer("stage_bits", torch.full((stages, codes), float(np.log2(codes))))  # mean cost of a code

    @classmethod
    def for_detector(cls, fingerprint: int, config: DetectorConfig) -> RevqomCodec:
        """Of the detector's number of BEV channels."""
        return cls(fingerprint, config.grid, RevqomConfig(channels=config.bev_channels))

    def tables(self) -> RevqomTables:
        """What the weights hold, made once."""
        if self._parsed is None:
            books = fixed(self.quantiser.codebooks.cpu().numpy())
            deep = tuple(tuple(Table(row) for row in level) for level in self.deep_tables.cpu().numpy())
            groups = self.index_groups.cpu().numpy().astype(np.int64)
            rows = [
                tuple(tuple(Table(row) for row in stage) for stage in kind) for kind in self.index_tables.cpu().numpy()
            ]
            whole, some = (IndexModel(books, groups[kind], rows[kind], deep) for kind in (WHOLE, SOME))
            where = PositionModel(self.position_tables.cpu().numpy())
            self._parsed = RevqomTables(whole, some, where, self.stage_bits.double().cpu().numpy())
        return self._parsed

    def set_tables(self, tables: RevqomTables) -> None:
        """Replaces the tables by ones learnt from data."""
        models = (tables.whole, tables.some)
        rows = [[[table.weights for table in stage] for stage in model.tables] for model in models]
        self.index_groups.copy_(torch.from_numpy(np.stack([model.groups for model in models])))
        self.index_tables.copy_(torch.from_numpy(np.array(rows)))
        self.deep_tables.copy_(torch.tensor(np.array([[t.weights for t in level] for level in tables.some.deep])))
        self.position_tables.copy_(torch.from_numpy(tables.where.weights))
        self.stage_bits.copy_(torch.from_numpy(tables.bits))
        self._parsed = None

    @property
    def packets(self) -> RevqomPackets:
        """How symbols become bodies."""
        return RevqomPackets((self.grid.rows, self.grid.columns), self.config.stages, self.config.codes, self.tables())

    # The network.

    def forward(self, features: Tensor, depth: Tensor | None = None, useful: Tensor | None = None) -> Tensor:
        """What arrives of features (B, C, rows, columns), straight through in training.

        `depth` (B, rows, columns) are the stages of each cell, all by default; with the cells' usefulness (B, rows,
        columns) codes are chosen by their bits besides.
        """
        latent = self.down(features).permute(0, 2, 3, 1)
        indices = self.codes_of(latent.detach().flatten(0, 2), useful)
        if depth is None:
            depth = torch.full_like(latent[..., 0], self.config.stages)
        stage = torch.arange(self.config.stages, device=depth.device)[:, None]
        coded = self.quantiser.look_up(torch.where(stage < depth.flatten(), indices, self.config.codes)).view_as(latent)
        if self.training:
            coded = latent + (coded - latent).detach()
        return self.up(coded.permute(0, 3, 1, 2), depth.float())

    def codes_of(self, vectors: Tensor, useful: Tensor | None) -> Tensor:
        """Indices (stages, N) of latents (N, width): the nearest, or chosen by the cells' usefulness as well."""
        if useful is None:
            return self.quantiser.search(vectors, self.config.stages)
        return self.quantiser.choose(vectors, price_of(useful, self.quantiser).flatten())

    def up(self, coded: Tensor, depth: Tensor) -> Tensor:
        """Features (B, C, rows, columns) of latents (B, width, rows, columns) of so many stages (B, rows, columns).

        Where depth is 0 nothing was sent, and nothing of it counts.
        """
        coded = coded.contiguous()  # another memory layout may round otherwise
        sent = (depth > 0)[:, None]
        known = torch.cat([coded * sent, depth[:, None] / self.config.stages], 1)
        features: Tensor = torch.relu(self.expand(coded) + self.around(known)) * sent
        return features

    # The message.

    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        """Every cell and stage, or the best choice that fits; of a paper's variant every cell or nothing."""
        return self.said(view.bev, view.heat)

    def said(self, bev: Tensor, heat: Tensor) -> Bodies:
        """The bodies of a view's features (C, rows, columns) with that heat (classes, rows, columns)."""
        latent = self.down(bev[None])[0].permute(1, 2, 0).flatten(0, 1)
        if self.variant:
            return partial(self._packed, self.quantiser.search(latent, _PAPER_STAGES[self.variant]).cpu().numpy())
        useful = usefulness(heat[None])[0].flatten()
        return partial(self._whole_or_some, latent, useful, self.codes_of(latent, useful))

    def _packed(self, found: IntArray, room: Room) -> list[bytes]:
        """Every cell's indices (stages, cells) uncoded; [] where they do not fit."""
        write = partial(self.packets.packed, found)
        bodies = even_stretches(np.ones(found.shape[1]), room.packet - HEADER_BYTES, write)
        return bodies if room.fits(bodies) else []

    def _whole_or_some(self, latent: Tensor, useful: Tensor, indices: Tensor, room: Room) -> list[bytes]:
        """Every cell and stage where they fit, otherwise the best choice that does."""
        found = indices.cpu().numpy()
        if room.total is None or self.tables().whole.least_bits(found) <= 8 * room.total:
            bits = self.tables().bits[np.arange(len(found))[:, None], found].sum(0)
            bodies = even_stretches(bits / 8, room.packet - HEADER_BYTES, partial(self.packets.whole, found))
            if room.total is None or room.fits(bodies):
                return bodies
        return self._most_useful(latent, useful, indices, room)

    def _most_useful(self, latent: Tensor, useful: Tensor, indices: Tensor, room: Room) -> list[bytes]:
        """The cells and stages that are worth most in so much room; [] where none fits."""
        assert room.total is not None
        count = min(len(useful), 2 * room.total, _SOME_CELLS + room.total // 3)
        value, cells = useful.topk(count)
        chosen = indices[:, cells]
        unit = self.quantiser.energy
        gains = (ABSENT * unit - self.quantiser.distances(latent[cells], chosen)).clamp(min=LEAST * unit) * value**POWER
        host = torch.cat([gains, chosen.to(gains), cells[None].to(gains)]).cpu().numpy().astype(np.float64)
        stages = self.config.stages
        found, cells_at = host[stages:-1].astype(np.int64), host[-1].astype(np.int64)
        bits = self.tables().bits[np.arange(stages)[:, None], found].cumsum(0) + _CELL_BITS
        return self._fit(cells_at, found, host[:stages], bits, room)

    def _fit(self, cells: IntArray, found: IntArray, gains: FloatArray, bits: FloatArray, room: Room) -> list[bytes]:
        """The packets of the best plan whose real size is within the room."""
        assert room.total is not None
        aim, best, size_of_best = 8.0 * (room.total - HEADER_BYTES), list[bytes](), 0
        pairs: tuple[tuple[int, int], ...] = PAIRS
        for _ in range(_TRIES):
            choice = plan(gains, bits, aim, pairs)
            bodies = self._planned(choice, cells, found, room)
            size = sum(HEADER_BYTES + len(body) for body in bodies)
            if room.fits(bodies) and size > size_of_best:
                best, size_of_best = bodies, size
            if not bodies or 0 <= room.total - size <= max(8, room.total // 100):
                break
            pairs = ((choice.low, choice.high),)
            if size > room.total and (choice.depths > 0).all():
                # Every cell was affordable, and would be again with a little less than the aim.
                aim = min(aim, choice.bits)
            aim *= (room.total - HEADER_BYTES - 3) / (size - HEADER_BYTES)
        return best

    def _planned(self, choice: Plan, cells: IntArray, found: IntArray, room: Room) -> list[bytes]:
        """The packets of a plan for these flat cells."""
        depth = np.zeros(self.grid.rows * self.grid.columns, np.int64)
        depth[cells] = choice.depths
        indices = np.zeros((len(found), len(depth)), np.int64)
        indices[:, cells] = found
        sent = cells[choice.depths > 0]

        def write(piece: IntArray) -> bytes:
            return self.packets.some(np.sort(piece), indices, depth, choice)

        def bits(piece: IntArray) -> float:
            stage = np.arange(len(found))[:, None]
            parts = self.tables().bits[stage, indices[:, piece]] * (stage < depth[piece])
            return float(parts.sum()) + _CELL_BITS * len(piece)

        return fill(sent, self.grid.columns, Room(None, room.packet), bits, write) if len(sent) else []

    def read(self, body: bytes) -> RevqomSymbols:
        """Cells and indices. Raises PayloadError."""
        return self.packets.read(body)

    def join(self, parts: Iterator[RevqomSymbols]) -> RevqomSymbols:
        """All cells of all parts; of a cell that several hold the last says what it is."""
        shape = (self.grid.rows, self.grid.columns)
        indices = np.full((self.config.stages, *shape), self.config.codes, np.int64)
        for part in parts:
            indices[:, part.mask] = part.indices
        mask = indices[0] < self.config.codes
        return RevqomSymbols(mask, indices[:, mask])

    def formula_bytes(self, symbols: RevqomSymbols) -> float:
        """log2 K bits for each stage of each cell, as the paper counts."""
        return float((symbols.indices < self.config.codes).sum() * np.log2(self.config.codes) / 8)

    def reconstruct(self, header: Header, symbols: RevqomSymbols) -> Shared:
        """The features; cells that were not sent are 0 and invalid."""
        device = self.quantiser.codebooks.device
        mask = torch.from_numpy(symbols.mask).to(device)
        indices = torch.from_numpy(symbols.indices).to(device)
        coded = torch.zeros(*mask.shape, self.config.width, device=device)
        depth = torch.zeros(mask.shape, device=device)
        coded[mask] = self.quantiser.look_up(indices)
        depth[mask] = (indices < self.config.codes).sum(0).float()
        return Shared(
            sender=header.sender,
            time_us=header.time_us,
            world_from_agent=header.world_from_agent,
            stage=self.tap,
            features=self.up(coded.permute(2, 0, 1)[None], depth[None])[0],
            valid=mask,
        )


def price_of(useful: Tensor, quantiser: ResidualQuantiser) -> Tensor:
    """What a bit is worth in squared distance, for cells of that usefulness: what nobody needs may be wrong."""
    return PRICE * quantiser.energy / (FLOOR + useful.square())
