"""ERMVP (Communication-Efficient and Collaboration-Robust Multi-Vehicle Perception in Challenging Environments,
CVPR 2024).

As in the paper: the tap is the BEV feature; two 1x1 convolutions and a sigmoid score each cell, a mean-score price
keeps them apart, and a share of the cells, best score first, is kept; DPC-KNN groups what is kept, and each group is
merged, weighted by score, into one token; tokens leave with the positions of their cells, and the receiver spreads
them again. `ermvp:paper` is that: a fifth of the cells, a fifth as many tokens of 32-bit floats, and four bytes per
kept cell, into which its token's place in the packet fits as well.

Left out: feature spatial calibration and the attentive enhancement of the ego's features, which send nothing; the
authors' public code builds the sparse features and then fuses the dense ones, so its figures say nothing of the loss.
Different here: the score is learnt behind the frozen detector, straight through the selection, and the heat map has a
say in what goes first. New: cells are grouped by what is sent and by where they are; tokens are quantised values of few
learnt channels, each coded in the context of the two before; links between neighbours say which cells share a token;
positions are a quadtree; a budget decides how many cells leave and how many share a token, and each packet has its
region and tokens of its own.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from carla_cp.codecs.base import Bodies, Codec, Room, ViewLike
from carla_cp.codecs.bitstream import (
    HEADER_BYTES,
    MAX_PACKETS,
    SLACK_BITS,
    Header,
    PayloadError,
    SymbolReader,
    SymbolWriter,
    Table,
)
from carla_cp.codecs.closely import fill_closely
from carla_cp.codecs.clusters import LINK_CONTEXTS, LINKS, dpc_knn, read_links, write_links
from carla_cp.codecs.ermvp_paper import plain_bodies, read_plain
from carla_cp.codecs.positions import BoolArray, PositionModel, mask_of
from carla_cp.codecs.ranking import usefulness
from carla_cp.codecs.tokens import LIMIT, TokenModel
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import FloatArray, GridSpec, IntArray, Shared, Stage

SHARES = (0.2, 0.35, 0.6, 1.0)  # tokens per kept cell that a packet may have
PLACE_WEIGHT = 0.5  # of a cell's width, in steps of a channel, in what is grouped
KEPT, MERGED = 0.2, 0.2  # the paper's shares
PAPER = len(SHARES)  # in the layout byte
_STEPS_UP = (300, 700, 1400)  # budgets from which on the next share serves


@dataclass(frozen=True, slots=True)
class ErmvpConfig:
    """Sizes; the defaults are what is trained here."""

    channels: int = 64
    width: int = 16  # channels of a token


@dataclass(frozen=True, slots=True, eq=False)
class ErmvpSymbols:
    """Which cells, and what each was replaced by."""

    mask: BoolArray  # (rows, columns)
    values: npt.NDArray[np.float32]  # (cells set in mask, in row order; channels): steps, or features in the variant
    tokens: int  # how many were sent


@dataclass(frozen=True, slots=True, eq=False)
class ErmvpTables:
    """The probabilities of all symbols, and what a cell takes of them."""

    where: PositionModel
    links: tuple[tuple[Table, ...], ...]  # per share and context
    tokens: tuple[TokenModel, ...]  # per share
    cell_bits: FloatArray  # (shares,): links and tokens, per kept cell


class ErmvpCodec(Codec[ErmvpSymbols]):
    """Sends tokens, each for the cells of one cluster."""

    name = "ermvp"
    number = 8
    tap = Stage.BEV
    learned = True
    variants = ("paper",)
    most_packets = MAX_PACKETS  # of the variant's plain tokens; coded ones are fewer

    def __init__(self, fingerprint: int = 0, grid: GridSpec | None = None, config: ErmvpConfig | None = None) -> None:
        super().__init__(fingerprint, grid)
        self.config = config = config if config is not None else ErmvpConfig()
        self.rater = nn.Sequential(
            nn.Conv2d(config.channels, config.channels, 1), nn.ReLU(), nn.Conv2d(config.channels, 1, 1), nn.Sigmoid()
        )
        self.down = nn.Conv2d(config.channels, config.width, 1)
        self.steps = nn.Parameter(torch.full((config.width,), 2.0))  # per unit of a channel
        self.up = nn.Sequential(
            nn.Conv2d(config.width, config.channels, 1), nn.ReLU(), nn.Conv2d(config.channels, config.channels, 1)
        )
        self._add_tables(config.width)
        self._parsed: ErmvpTables | None = None

    def _add_tables(self, width: int) -> None:
        where = PositionModel.uniform(self.grid.rows, self.grid.columns)
        links = torch.from_numpy(Table.uniform(LINKS).weights).to(torch.int32)
        tokens = torch.from_numpy(TokenModel.uniform(width).weights).to(torch.int32)
        self.position_tables: Tensor
        self.link_tables: Tensor
        self.token_tables: Tensor
        self.cell_bits: Tensor
        self.register_buffer("position_tables", torch.from_numpy(where.weights).to(torch.int32))
        self.register_buffer("link_tables", links.repeat(len(SHARES), LINK_CONTEXTS, 1))
        self.register_buffer("token_tables", tokens.repeat(len(SHARES), 1, 1, 1))
        self.register_buffer("cell_bits", torch.tensor([6.0 * width * share + 3.0 for share in SHARES]))

    @classmethod
    def for_detector(cls, fingerprint: int, config: DetectorConfig) -> ErmvpCodec:
        """Of the detector's number of BEV channels."""
        return cls(fingerprint, config.grid, ErmvpConfig(channels=config.bev_channels))

    def tables(self) -> ErmvpTables:
        """The integer tables of the weights, ready for use."""
        if self._parsed is None:
            self._parsed = ErmvpTables(
                PositionModel(self.position_tables.cpu().numpy()),
                tuple(tuple(Table(row) for row in rows) for rows in self.link_tables.cpu().numpy()),
                tuple(TokenModel(rows) for rows in self.token_tables.cpu().numpy()),
                self.cell_bits.cpu().double().numpy(),
            )
        return self._parsed

    def set_tables(self, learnt: ErmvpTables) -> None:
        """Replaces the tables by ones learnt from data."""
        self.position_tables.copy_(torch.from_numpy(learnt.where.weights))
        rows = [[table.weights for table in tables] for tables in learnt.links]
        self.link_tables.copy_(torch.from_numpy(np.array(rows)))
        self.token_tables.copy_(torch.from_numpy(np.stack([model.weights for model in learnt.tokens])))
        self.cell_bits.copy_(torch.from_numpy(learnt.cell_bits))
        self._parsed = None

    def compressed(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Channels in steps (B, width, rows, columns) and scores (B, rows, columns) of features."""
        return self.down(features) * self.steps[:, None, None], self.rater(features)[:, 0]

    def forward(self, features: Tensor, owners: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """What arrives of features (B, C, rows, columns), their scores (B, rows, columns), and the tokens, in steps.

        `owners` (B, rows, columns) numbers the cluster of each cell over the whole batch, -1 where a cell stays away;
        without it every cell is a token. Straight through the rounding in training.
        """
        latent, score = self.compressed(features)
        vectors, weight = latent.permute(0, 2, 3, 1).flatten(0, 2), score.flatten()
        if owners is None:
            tokens = vectors
            spread = _rounded(tokens, self.training)
        else:
            owner = owners.flatten()
            kept = owner >= 0
            tokens = _merged(vectors[kept], weight[kept], owner[kept])
            spread = torch.zeros_like(vectors)
            spread[kept] = _rounded(tokens, self.training)[owner[kept]]
        spread = spread.view(len(features), *features.shape[2:], -1).permute(0, 3, 1, 2)
        return self._expand(spread), score, tokens

    def _expand(self, steps: Tensor) -> Tensor:
        """Features (B, C, rows, columns) of channels in steps; of one memory layout, since another may round
        otherwise."""
        features: Tensor = self.up((steps / self.steps[:, None, None]).contiguous()).relu()
        return features

    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        """As many cells as fit, by packets of clusters; the variant's one packet."""
        latent, score = self.compressed(view.bev[None])
        if self.variant == "paper":
            cells = torch.cat([view.bev, score]).flatten(1).T.cpu().numpy()
            return partial(self._paper, cells)
        value = score * usefulness(view.heat[None])
        every = torch.cat([latent[0], score, value]).flatten(1).T.cpu().numpy()
        return partial(self._fill, np.argsort(-every[:, -1], kind="stable"), every[:, :-1])

    def _fill(self, order: IntArray, cells: FloatArray, room: Room) -> list[bytes]:
        """The packets of the first cells of `order` that fit; `cells` (all, width + 1) are steps and score."""
        tables, share = self.tables(), share_for(room.total)

        def guess(chosen: IntArray) -> float:
            where = tables.where.bits(mask_of(chosen, self.grid.rows, self.grid.columns))
            return where + float(tables.cell_bits[share]) * len(chosen) + SLACK_BITS

        return fill_closely(order, self.grid.columns, room, guess, lambda chosen: self._write(chosen, cells, share))

    def _write(self, chosen: IntArray, cells: FloatArray, share: int) -> bytes:
        """The body of a packet with these cells, flat indices."""
        tokens, owner = self.clustered(np.sort(chosen), cells, share)
        return self.packet(mask_of(chosen, self.grid.rows, self.grid.columns), tokens, owner, share)

    def packet(self, mask: BoolArray, tokens: IntArray, owner: IntArray, share: int) -> bytes:
        """The body that says which token each cell set in mask, in row order, has."""
        tables, writer = self.tables(), SymbolWriter()
        tables.where.write(writer, mask)
        named = write_links(writer, mask, owner, tables.links[share])
        ordered = np.empty_like(tokens)
        ordered[named] = tokens[owner]
        tables.tokens[share].write(writer, ordered)
        return bytes([share]) + writer.to_bytes()

    def clustered(self, chosen: IntArray, cells: FloatArray, share: int) -> tuple[IntArray, IntArray]:
        """Tokens (clusters, width) in whole steps, and the cluster of each of these cells, flat indices."""
        steps, weight = cells[chosen, :-1], cells[chosen, -1]
        clusters = math.ceil(SHARES[share] * len(chosen))
        places = np.stack(np.divmod(chosen, self.grid.columns), axis=1)
        points = np.concatenate([steps, PLACE_WEIGHT * places], axis=1, dtype=np.float32)
        owner = dpc_knn(torch.from_numpy(points), clusters)
        merged = _merged(torch.from_numpy(steps), torch.from_numpy(weight), torch.from_numpy(owner))
        return np.rint(merged.numpy()).clip(-LIMIT, LIMIT).astype(np.int64), owner

    def _paper(self, cells: FloatArray, room: Room) -> list[bytes]:
        """Bodies of cells (all, channels + 1), features and score, as the paper has it, by tokens."""
        kept = np.sort(np.argsort(-cells[:, -1], kind="stable")[: math.ceil(KEPT * len(cells))])
        features = torch.from_numpy(cells[kept, :-1])
        owner = dpc_knn(features, math.ceil(MERGED * len(kept)))
        tokens = _merged(features, torch.from_numpy(cells[kept, -1]), torch.from_numpy(owner)).numpy()
        return [bytes([PAPER]) + body for body in plain_bodies(kept, owner, tokens, room.packet - HEADER_BYTES - 1)]

    def read(self, body: bytes) -> ErmvpSymbols:
        """Cells and what each was replaced by. Raises PayloadError."""
        if not body or body[0] > PAPER:
            raise PayloadError("the body is of no layout of this codec")
        if body[0] == PAPER:
            return ErmvpSymbols(*read_plain(body[1:], (self.grid.rows, self.grid.columns), self.config.channels))
        share, tables, reader = body[0], self.tables(), SymbolReader(body[1:])
        mask = tables.where.read(reader, self.grid.rows, self.grid.columns)
        owner, clusters = read_links(reader, mask, tables.links[share])
        tokens = tables.tokens[share].read(reader, clusters)
        reader.finish()
        return ErmvpSymbols(mask, tokens[owner].astype(np.float32), clusters)

    def join(self, parts: Iterator[ErmvpSymbols]) -> ErmvpSymbols:
        """The cells of all packets, of one that is repeated the last. Raises PayloadError."""
        mask, tokens = np.zeros((self.grid.rows, self.grid.columns), bool), 0
        every: npt.NDArray[np.float32] | None = None
        for part in parts:
            width = part.values.shape[1]
            every = np.zeros((*mask.shape, width), np.float32) if every is None else every
            if width != every.shape[2]:
                raise PayloadError("a packet of features stands among packets of tokens")
            mask |= part.mask
            every[part.mask] = part.values
            tokens += part.tokens
        if every is None:
            raise PayloadError("no packets are no message")
        return ErmvpSymbols(mask, every[mask], tokens)

    def formula_bytes(self, symbols: ErmvpSymbols) -> float:
        """Tokens of all channels as 32-bit floats, and four bytes per kept cell, as InfoCom's table charges."""
        return 4.0 * (symbols.tokens * self.config.channels + int(symbols.mask.sum()))

    def reconstruct(self, header: Header, symbols: ErmvpSymbols) -> Shared:
        """The features; cells that were not sent are 0 and invalid."""
        device = self.steps.device
        mask = torch.from_numpy(symbols.mask).to(device)
        spread = torch.zeros(*mask.shape, symbols.values.shape[1], device=device)
        spread[mask] = torch.from_numpy(symbols.values).to(device)
        spread = spread.permute(2, 0, 1)
        plain = symbols.values.shape[1] == self.config.channels
        features = spread.contiguous() if plain else self._expand(spread[None])[0] * mask
        return Shared(
            sender=header.sender,
            time_us=header.time_us,
            world_from_agent=header.world_from_agent,
            stage=self.tap,
            features=features,
            valid=mask,
        )


def share_for(budget: int | None) -> int:
    """The entry of `SHARES` that served such a budget best on validation frames: few bytes, few tokens."""
    return len(SHARES) - 1 if budget is None else bisect.bisect(_STEPS_UP, budget)


def _merged(vectors: Tensor, weight: Tensor, owner: Tensor) -> Tensor:
    """The means (clusters, C) of vectors (N, C), each counting by its weight (N,)."""
    clusters = int(owner.max()) + 1
    weight = weight[:, None] + 1e-6
    sums = vectors.new_zeros(clusters, vectors.shape[1]).index_add(0, owner, vectors * weight)
    return sums / weight.new_zeros(clusters, 1).index_add(0, owner, weight)


def _rounded(tokens: Tensor, straight: bool) -> Tensor:
    whole = tokens.round().clamp(-LIMIT, LIMIT)
    return tokens + (whole - tokens).detach() if straight else whole
