"""CoBEVT-DR (Dense Coverage, Sparse Refinement: Byte-Constrained Cooperative Perception), at the BEV features.

As in the paper: a coarse grid of average-pooled vectors, one token per 4 x 4 cells, tells of all the map; patches of
fine tokens refine what is predicted to gain most; tokens index a SimVQ codebook (K 64, d 64: frozen random codes under
a learnt linear map); a smaller budget is a prefix of the same ranking, from one set of weights. The variant `paper` is
its fixed rate: every coarse token, and the best 16 x 16-cell patches, the share of the map that its 8 patches cover
(8 of 33), six bits a token and 48 bits a patch (its place and a CRC-16).

Different here: 64 channels to 24 on a 128 x 128 grid; patches are 2 x 2 cells, since a car covers few; a fine cell is
rebuilt from what was sent of the 3 x 3 cells around; no selector is learnt: the gain of a patch is the distortion that
it removes, which the sender knows exactly, times its prior by heat (a small network that corrected the prior by the
slope of the detector's loss ranked worse); the mask in training is drawn at random instead of from a Binary-Concrete.
New: a patch comes with one to six residual stages, each where its gain per bit is best. Tokens are entropy coded in the
context of neighbours and of the stage before. Where the coarse grid would take more than a small part of a budget it
stays away: behind fusion by maximum the same bytes in patches do no worse. Its cells count as received only where its
decoder expects them to help.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from carla_cp.codecs.base import Bodies, Codec, Room, ViewLike
from carla_cp.codecs.bitstream import HEADER_BYTES, Header, PayloadError, SymbolReader, SymbolWriter, Table
from carla_cp.codecs.closely import fullest, stretches
from carla_cp.codecs.dense_sparse_net import CoarseNet, DenseSparseConfig, FineNet, SimVq
from carla_cp.codecs.dense_sparse_paper import COARSE, FINE, WIDE, PaperLayout
from carla_cp.codecs.dense_sparse_plan import Plan
from carla_cp.codecs.dense_sparse_tokens import (
    Patches,
    Phase,
    TokenTables,
    colours,
    fine_cells,
    first_context,
    phases,
    put_coarse,
    take_coarse,
    take_patches,
    write_patches,
)
from carla_cp.codecs.positions import PositionModel
from carla_cp.codecs.ranking import usefulness
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import FloatArray, GridSpec, IntArray, Shared, Stage

FLOOR = 0.01  # added to what a cell is worth by heat
COARSE_SHARE = 0.06  # of a budget, at most
_PATCH_BYTES = 64  # what a patch may take in a packet of its own
GATE = 0.0  # logit above which a coarse cell counts


@dataclass(frozen=True, slots=True, eq=False)
class DenseSparseSymbols:
    """The coarse grid, if it is there, and the fine patches."""

    coarse: IntArray | None  # (coarse cells,) in row order
    patches: Patches
    wide: bool  # fine tokens came in patches of the paper's size


class DenseSparseCodec(Codec[DenseSparseSymbols]):
    """Sends a coarse grid of tokens, and fine ones where they gain most."""

    name = "dense_sparse"
    number = 10
    tap = Stage.BEV
    learned = True
    variants = ("paper",)

    def __init__(
        self, fingerprint: int = 0, grid: GridSpec | None = None, config: DenseSparseConfig | None = None
    ) -> None:
        super().__init__(fingerprint, grid)
        self.config = config = config if config is not None else DenseSparseConfig()
        self.fine, self.coarse = FineNet(config), CoarseNet(config)
        self.fine_codes = SimVq(config.stages, config.codes, config.code_width, config.width)
        self.coarse_codes = SimVq(1, config.codes, config.code_width, config.width)
        wide = config.wide
        self.shape = -(-self.grid.rows // wide) * wide, -(-self.grid.columns // wide) * wide  # cells, whole patches
        where = PositionModel.uniform(self.shape[0] // config.patch, self.shape[1] // config.patch)
        codes = Table.uniform(config.codes)
        self.position_tables: Tensor
        self.depth_table: Tensor
        self.first_tables: Tensor
        self.later_tables: Tensor
        self.coarse_tables: Tensor
        self.register_buffer("position_tables", torch.from_numpy(where.weights).to(torch.int32))
        self.register_buffer("depth_table", _rows(Table.uniform(config.stages), 1))
        self.register_buffer("first_tables", _rows(codes, config.codes + 1))
        self.register_buffer("later_tables", _rows(codes, (config.stages - 1) * config.codes))
        self.register_buffer("coarse_tables", _rows(codes, 2 * config.codes + 1))
        self._parsed: TokenTables | None = None

    @classmethod
    def for_detector(cls, fingerprint: int, config: DetectorConfig) -> DenseSparseCodec:
        """Of the detector's number of BEV channels."""
        return cls(fingerprint, config.grid, DenseSparseConfig(channels=config.bev_channels))

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        """In which order coarse tokens are coded."""
        return phases(self.shape[0] // self.config.stride, self.shape[1] // self.config.stride)

    @property
    def _paper(self) -> PaperLayout:
        config = self.config
        return PaperLayout(self.shape, config.stages, config.stride, config.patch, config.wide)

    def tables(self) -> TokenTables:
        """The integer tables of the weights, ready for use."""
        if self._parsed is None:
            codes, later = self.config.codes, _tables(self.later_tables)
            self._parsed = TokenTables(
                PositionModel(self.position_tables.cpu().numpy()),
                _tables(self.depth_table)[0],
                _tables(self.first_tables),
                tuple(later[start : start + codes] for start in range(0, len(later), codes)),
                _tables(self.coarse_tables),
            )
        return self._parsed

    def set_tables(self, learnt: TokenTables) -> None:
        """Replaces the tables by ones learnt from data."""
        self.position_tables.copy_(torch.from_numpy(learnt.where.weights))
        later = [table for rows in learnt.later for table in rows]
        groups = ((self.depth_table, [learnt.depth]), (self.first_tables, learnt.first), (self.later_tables, later))
        for buffer, tables in (*groups, (self.coarse_tables, learnt.coarse)):
            buffer.copy_(torch.from_numpy(np.stack([table.weights for table in tables])))
        self._parsed = None

    def forward(self, features: Tensor, depth: Tensor | None = None) -> Tensor:
        """What arrives of features (B, C, rows, columns) whose cells have so many stages (B, rows, columns), or all."""
        rows, columns = self.grid.rows, self.grid.columns
        rim = (0, self.shape[1] - columns, 0, self.shape[0] - rows)
        if depth is None:
            depth = torch.full((len(features), rows, columns), self.config.stages, device=features.device)
        depth = F.pad(depth, rim)
        vectors = F.pad(self.fine.down(features), rim).permute(0, 2, 3, 1).flatten(0, 2)
        indices, _ = self.fine_codes.search(vectors.detach(), self.config.stages)
        coded = self.fine_codes.look_up(indices, depth.flatten())
        if self.training:
            coded = vectors + (coded - vectors).detach()
        whole = self.fine.expand(coded.view(*depth.shape, -1).permute(0, 3, 1, 2), depth)
        return whole[..., :rows, :columns]

    def plan(self, features: Tensor, heat: Tensor) -> Plan:
        """What could be sent of features (C, rows, columns) and heat (classes, rows, columns)."""
        config = self.config
        rows, columns = self.shape
        rim = (0, columns - features.shape[2], 0, rows - features.shape[1])
        padded = F.pad(features[None], rim).contiguous(memory_format=torch.channels_last)
        vectors = self.fine.down(padded)[0].permute(1, 2, 0).flatten(0, 1)
        nothing = self.fine.down(torch.zeros_like(padded[:, :, :1, :1])).flatten()
        tokens, left = self.fine_codes.search(vectors, config.stages)
        before = torch.cat([(vectors - nothing).square().sum(1)[None], left[:-1]])
        worth = F.pad(usefulness(heat[None]), rim).flatten() + FLOOR
        blurred = self.coarse.shrink(padded)[0].permute(1, 2, 0).flatten(0, 1)
        coarse, _ = self.coarse_codes.search(blurred, 1)
        gain = self._by_patch((before - left) * worth).cpu().numpy().astype(np.float64)
        numbers = tokens.view(config.stages, rows, columns).cpu().numpy()
        return Plan(coarse[0].cpu().numpy(), numbers, gain, self._token_bits(numbers), config.patch)

    def _by_patch(self, values: Tensor) -> Tensor:
        """Sums (patches, stages) of values (stages, cells)."""
        patch, (rows, columns) = self.config.patch, self.shape
        return values.view(-1, rows // patch, patch, columns // patch, patch).sum((2, 4)).flatten(1).T

    def _token_bits(self, tokens: IntArray) -> FloatArray:
        """What the tokens of each patch and stage cost, (patches, stages), were those beside it sent too."""
        tables = self.tables()
        white, _ = colours(np.ones(self.shape, bool))
        context = np.where(white, len(tables.first) - 1, first_context(white, tokens[0], len(tables.first) - 1))
        costs = [np.stack([table.bits for table in tables.first])[context, tokens[0]]]
        for stage, rows in enumerate(tables.later, 1):
            costs.append(np.stack([table.bits for table in rows])[tokens[stage - 1], tokens[stage]])
        return np.asarray(self._by_patch(torch.from_numpy(np.stack(costs)).flatten(1)).numpy())

    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        """The coarse grid in the first where there is room, and along the Morton curve the patches that fit."""
        plan = self.plan(view.bev, view.heat)
        if self.variant == "paper":
            return partial(self._paper.bodies, plan)
        return partial(self._fullest, plan, plan.order(), len(self._write(plan.coarse, None)))

    def _fullest(self, plan: Plan, order: IntArray, start: int, room: Room) -> list[bytes]:
        """The packets of as much of the order as fits, behind a coarse grid of `start` bytes or none."""
        coarse: IntArray | None = plan.coarse
        alone = start + _PATCH_BYTES > room.packet - HEADER_BYTES
        if alone or (room.total is not None and start > COARSE_SHARE * room.total):
            coarse, start = None, 0

        def write(count: int) -> list[bytes]:
            return self._packets(plan, plan.depth(order[:count]), coarse, start, room)

        return fullest(len(order), plan.count(order, start, room, self.tables()), room, write)

    def _packets(self, plan: Plan, depth: IntArray, coarse: IntArray | None, start: int, room: Room) -> list[bytes]:
        """Bodies along the Morton curve, one full after the other; [] where a patch takes more than a packet."""
        curve, costs = plan.curve(depth)
        costs[0] += start

        def write(first: int, stop: int) -> bytes:
            return self._write(coarse if first == 0 else None, plan.only(depth, curve[first:stop]))

        return stretches(costs, room.packet - HEADER_BYTES, write)

    def _write(self, coarse: IntArray | None, patches: Patches | None) -> bytes:
        writer, tables = SymbolWriter(), self.tables()
        if patches is not None and patches.depth.any():
            write_patches(writer, patches, self.config.patch, tables)
        if coarse is not None:
            put_coarse(writer, coarse, self.phases, tables.coarse)
        layout = COARSE * (coarse is not None) + FINE * (patches is not None and bool(patches.depth.any()))
        return bytes([layout]) + writer.to_bytes()

    def read(self, body: bytes) -> DenseSparseSymbols:
        """Coarse grid and patches of one packet. Raises PayloadError."""
        if not body or not body[0] & (COARSE | FINE) or body[0] >> 3:
            raise PayloadError("the body is of no layout of this codec")
        if body[0] & WIDE:
            return DenseSparseSymbols(*self._paper.read(body), True)
        reader, tables, patches = SymbolReader(body[1:]), self.tables(), self._no_patches()
        if body[0] & FINE:
            patches = take_patches(reader, self.shape, self.config.patch, tables)
        coarse = None
        if body[0] & COARSE:
            count = self.shape[0] * self.shape[1] // self.config.stride**2
            coarse = take_coarse(reader, count, self.phases, tables.coarse)
        reader.finish()
        return DenseSparseSymbols(coarse, patches, False)

    def _no_patches(self) -> Patches:
        rows, columns = (side // self.config.patch for side in self.shape)
        return Patches(np.zeros((rows, columns), np.int64), np.zeros((self.config.stages, *self.shape), np.int64))

    def join(self, parts: Iterator[DenseSparseSymbols]) -> DenseSparseSymbols:
        """Each patch as deep as any packet has it. Raises PayloadError where packets are of both layouts."""
        whole, coarse, wide = self._no_patches(), None, None
        for part in parts:
            if wide not in (None, part.wide):
                raise PayloadError("packets of both layouts stand in one message")
            wide = part.wide
            coarse = part.coarse if coarse is None else coarse
            deeper = np.where(part.patches.depth > whole.depth, part.patches.depth, 0)
            np.copyto(whole.tokens, part.patches.tokens, where=fine_cells(deeper, self.config.patch) > 0)
            np.copyto(whole.depth, deeper, where=deeper > 0)
        return DenseSparseSymbols(coarse, whole, bool(wide))

    def formula_bytes(self, symbols: DenseSparseSymbols) -> float:
        """Six bits a token and 48 a patch, as the paper charges."""
        cells = self.config.patch**2
        sent = symbols.patches.depth > 0
        patches = sent.sum() * cells / (self.config.wide**2 if symbols.wide else cells)
        tokens = symbols.patches.depth.sum() * cells + (len(symbols.coarse) if symbols.coarse is not None else 0)
        return float(tokens * math.log2(self.config.codes) + 48 * patches) / 8

    def reconstruct(self, header: Header, symbols: DenseSparseSymbols) -> Shared:
        """The features; cells that were not sent, or of which the coarse grid knows too little, are 0 and invalid."""
        grid, device = self.grid, self.position_tables.device
        depth = torch.from_numpy(fine_cells(symbols.patches.depth, self.config.patch)).to(device)
        valid = depth > 0
        coded = torch.zeros(*self.shape, self.config.width, device=device)
        tokens = torch.from_numpy(symbols.patches.tokens).to(device)
        coded[valid] = self.fine_codes.look_up(tokens[:, valid], depth[valid])
        features = self.fine.expand(coded.permute(2, 0, 1)[None], depth[None])[0]
        if symbols.coarse is not None:
            blurred, useful = self.expand_coarse(torch.from_numpy(symbols.coarse).to(device))
            helpful = (useful > GATE) & ~valid
            features = torch.where(helpful, blurred, features)
            valid = valid | helpful
        return Shared(
            sender=header.sender,
            time_us=header.time_us,
            world_from_agent=header.world_from_agent,
            stage=self.tap,
            features=features[:, : grid.rows, : grid.columns].contiguous(),
            valid=valid[: grid.rows, : grid.columns].contiguous(),
        )

    def expand_coarse(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Features (C, rows, columns) of all coarse tokens, and the logits (rows, columns) of their use."""
        rows, columns = (side // self.config.stride for side in self.shape)
        vectors = self.coarse_codes.look_up(tokens[None], torch.ones_like(tokens))
        features, useful = self.coarse.expand(vectors.view(rows, columns, -1).permute(2, 0, 1)[None])
        return features[0], useful[0]


def _rows(table: Table, count: int) -> Tensor:
    return torch.from_numpy(table.weights).to(torch.int32).repeat(count, 1)


def _tables(rows: Tensor) -> tuple[Table, ...]:
    return tuple(Table(row) for row in rows.cpu().numpy())
