"""InfoCom (Kilobyte-Scale Communication-Efficient Collaborative Perception with Information-Aware Feature Purification,
AAAI 2026).

As in the paper: the tap is the pillar map; an information-aware encoder gives a 256-d latent with a standard normal
prior (KL), of which the mean is sent; a mask network rates each pillar, the best tenth leaves as 4-bit levels, straight
through in training; a multi-scale decoder rebuilds the pillar map from a seed and the mask at three scales.

Different here: mask network and decoder work on pillars folded 2 x 2 into channels, the encoder on pillars pooled
4 x 4, and the decoder grows from a 4 x 16 x 16 seed, so that the whole has 1.1 M weights where the paper's layers would
have 70 M (`infocom_net.PAPER`). The mask gates several channels by gain and shift, not one by a product; the rating has
its own output layer in place of the detector's, and starts from where points fell. New: what the paper sends as 32-bit
floats leaves as integers of step 0.5, coded with one table per dimension; the positions of the kept pillars are in the
message, as a quadtree; levels are entropy coded and level 0 is not sent; under a budget fewer pillars leave, and the
latent stays away where it would take more than a third. A pillar is valid within 2.4 m of a kept one. Training adds a
price for rating pillars where the frozen detector sees no object: top-k alone would never tell them apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from carla_cp.codecs.base import Codec, ViewLike
from carla_cp.codecs.bitstream import Header, PayloadError, SymbolReader, SymbolWriter, Table, largest
from carla_cp.codecs.infocom_net import InfocomConfig, InformationEncoder, MaskDecoder, MaskNet
from carla_cp.codecs.positions import BoolArray, PositionModel, mask_of
from carla_cp.codecs.ranking import widened
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import GridSpec, IntArray, Shared, Stage

LEVELS = 15  # above zero
SHARE = 0.1  # of the pillars, at most
STEP = 0.5  # of the latent
LATENT_LIMIT = 15  # steps
LATENT_SHARE = 0.33  # of a budget
REACH = 6  # pillars around a kept one that count as received
_OCTAVES = 8  # level tables, by how many pillars are kept: up to 64, 128, ... and more than 4096
_SLACK_BITS = 8 + 64  # the layout byte, the coder's rounding


@dataclass(frozen=True, slots=True, eq=False)
class InfocomSymbols:
    """The latent in steps, if it was sent, and the levels of the kept pillars."""

    latent: IntArray | None  # (latent,) in [-LATENT_LIMIT, LATENT_LIMIT]
    mask: BoolArray  # (pillars, pillars)
    levels: IntArray  # (pillars set in mask) in row order, in [1, LEVELS]


@dataclass(frozen=True, slots=True, eq=False)
class InfocomOutput:
    """What `forward` gives of a batch."""

    pillars: Tensor  # (B, C, pillars, pillars)
    valid: Tensor  # (B, pillars, pillars) bool
    divergence: Tensor  # of the latent from its prior [nat], mean over the batch
    rating: Tensor  # (B, pillars, pillars) in [0, 1], before selection


class InfocomCodec(Codec[InfocomSymbols]):
    """Sends a latent vector and rated pillars."""

    name = "infocom"
    number = 6
    tap = Stage.PILLARS
    learned = True

    def __init__(self, fingerprint: int = 0, grid: GridSpec | None = None, config: InfocomConfig | None = None) -> None:
        super().__init__(fingerprint, grid)
        self.config = config = config if config is not None else InfocomConfig()
        self.encoder, self.rater, self.decoder = InformationEncoder(config), MaskNet(config), MaskDecoder(config)
        shape = (self.grid.pillar_rows, self.grid.pillar_columns)
        if shape[0] != shape[1]:
            raise ValueError(f"infocom's networks take square maps, not {shape[0]} x {shape[1]} pillars")
        self.position_tables: Tensor
        self.level_tables: Tensor
        self.latent_tables: Tensor
        self.register_buffer("position_tables", torch.from_numpy(PositionModel.uniform(*shape).weights).to(torch.int32))
        self.register_buffer("level_tables", _rows(Table.uniform(LEVELS), _OCTAVES))
        self.register_buffer("latent_tables", _rows(Table.uniform(2 * LATENT_LIMIT + 1), config.latent))
        self._parsed: InfocomTables | None = None

    @classmethod
    def for_detector(cls, fingerprint: int, config: DetectorConfig) -> InfocomCodec:
        """Of the detector's number of pillar channels."""
        return cls(fingerprint, config.grid, InfocomConfig(channels=config.pillar_channels))

    def tables(self) -> InfocomTables:
        """The integer tables of the weights, ready for use."""
        if self._parsed is None:
            where = PositionModel(self.position_tables.cpu().numpy())
            self._parsed = InfocomTables(where, _tables(self.level_tables), _tables(self.latent_tables))
        return self._parsed

    def set_tables(self, learnt: InfocomTables) -> None:
        """Replaces the tables by ones learnt from data."""
        self.position_tables.copy_(torch.from_numpy(learnt.where.weights))
        for rows, tables in ((self.level_tables, learnt.levels), (self.latent_tables, learnt.latent)):
            rows.copy_(torch.from_numpy(np.stack([table.weights for table in tables])))
        self._parsed = None

    def forward(
        self,
        pillars: Tensor,
        count: int,
        send_latent: bool = True,
        noise: Tensor | None = None,
        corners: Sequence[tuple[int, int]] | None = None,
        side: int = 0,
    ) -> InfocomOutput:
        """What arrives of pillar maps (B, C, pillars, pillars) where `count` pillars of each are kept.

        With standard normal `noise` (B, latent) the latent is drawn, as in training, instead of its mean being sent.
        With `corners`, one (row, column) per map, only a window of `side` pillars of each is rated and rebuilt; all are
        multiples of a seed's extent.
        """
        pillars = pillars.contiguous(memory_format=torch.channels_last)
        mean, spread = self.encoder(pillars)
        divergence = 0.5 * (mean.square() + spread.square() - 1 - 2 * spread.log()).sum(1).mean()
        latent = _steps(mean) * STEP if noise is None else mean + spread * noise
        seeds = self.decoder.seeds(latent if send_latent else torch.zeros_like(latent))
        if corners is not None:
            extent = self.grid.pillar_rows // self.config.seed_side
            pillars = windows(pillars, corners, side)
            seeds = windows(seeds, [(row // extent, column // extent) for row, column in corners], side // extent)
        rating = self.rater(pillars)
        floor = rating.flatten(1).topk(count, dim=1).values[:, -1, None, None]
        levels = torch.where(rating >= floor, (rating * LEVELS).round(), 0.0) / LEVELS
        kept = rating + (levels - rating).detach() if self.training else levels
        valid = reach(levels > 0)
        return InfocomOutput(self.decoder.rebuild(seeds, kept) * valid[:, None], valid, divergence, rating)

    def symbols(self, pillars: Tensor) -> tuple[IntArray, IntArray, IntArray]:
        """What could be sent of pillars (C, pillars, pillars): latent, flat indices by falling rating, their levels."""
        batch = pillars[None].contiguous(memory_format=torch.channels_last)
        mean, _ = self.encoder(batch)
        rating = self.rater(batch)[0].flatten().cpu().numpy()
        worth = np.flatnonzero(np.rint(rating * np.float32(LEVELS)))
        order = worth[np.argsort(-rating[worth], kind="stable")][: math.ceil(SHARE * len(rating))]
        levels = np.rint(rating[order] * np.float32(LEVELS)).astype(np.int64)
        return _steps(mean)[0].cpu().numpy().astype(np.int64), order, levels

    def body(self, view: ViewLike, room: int | None) -> bytes:
        """Latent and all rated pillars, or as many as fit."""
        latent, order, levels = self.symbols(view.pillars)
        side, tables = self.grid.pillar_rows, self.tables()
        latent_bits = float(
            sum(table.bits[step] for table, step in zip(tables.latent, latent + LATENT_LIMIT, strict=True))
        )
        sent = latent if room is None or latent_bits <= LATENT_SHARE * 8 * room else None
        count = len(order)
        if room is not None:
            free = 8 * room - _SLACK_BITS - (latent_bits if sent is not None else 0.0)
            # A pillar's level costs little, but never less than this; it keeps the first guess near.
            count = largest(min(count, 4 * room), lambda n: n == 0 or self._bits(order[:n], levels[:n]) <= free)
        while count:
            mask = mask_of(order[:count], side, side)
            body = self._write(InfocomSymbols(sent, mask, levels[:count][np.argsort(order[:count])]))
            if room is None or len(body) <= room:
                return body
            count -= 1 + count // 64
        return b""

    def _bits(self, chosen: IntArray, levels: IntArray) -> float:
        tables = self.tables()
        side = self.grid.pillar_rows
        where = tables.where.bits(mask_of(chosen, side, side))
        return where + float(tables.levels[octave(len(levels))].bits[levels - 1].sum())

    def _write(self, symbols: InfocomSymbols) -> bytes:
        tables, writer = self.tables(), SymbolWriter()
        tables.where.write(writer, symbols.mask)
        writer.put(symbols.levels - 1, tables.levels[octave(len(symbols.levels))])
        if symbols.latent is not None:
            for table, step in zip(tables.latent, symbols.latent + LATENT_LIMIT, strict=True):
                writer.put(np.array([step]), table)
        return bytes([symbols.latent is not None]) + writer.to_bytes()

    def read(self, body: bytes) -> InfocomSymbols:
        """Latent, pillars and levels. Raises PayloadError."""
        if not body or body[0] > 1:
            raise PayloadError("the body is of no layout of this codec")
        tables, reader = self.tables(), SymbolReader(body[1:])
        mask = tables.where.read(reader, self.grid.pillar_rows, self.grid.pillar_columns)
        count = int(mask.sum())
        levels = reader.take(count, tables.levels[octave(count)]) + 1
        latent = None
        if body[0]:
            latent = np.concatenate([reader.take(1, table) for table in tables.latent]) - LATENT_LIMIT
        reader.finish()
        return InfocomSymbols(latent, mask, levels)

    def reconstruct(self, header: Header, symbols: InfocomSymbols) -> Shared:
        """The pillar map; pillars far from every kept one are 0 and invalid."""
        device = self.position_tables.device
        latent = torch.zeros(1, self.config.latent, device=device)
        if symbols.latent is not None:
            latent[0] = torch.from_numpy(symbols.latent).to(device) * STEP
        mask = torch.from_numpy(symbols.mask).to(device)
        levels = torch.zeros(mask.shape, device=device)
        levels[mask] = torch.from_numpy(symbols.levels).to(device, torch.float32) / LEVELS
        valid = reach(mask[None])
        return Shared(
            sender=header.sender,
            time_us=header.time_us,
            world_from_agent=header.world_from_agent,
            stage=self.tap,
            features=self.decoder(latent, levels[None])[0] * valid,
            valid=valid[0],
        )


@dataclass(frozen=True, slots=True, eq=False)
class InfocomTables:
    """The probabilities of all symbols."""

    where: PositionModel
    levels: tuple[Table, ...]  # per octave of the number of kept pillars
    latent: tuple[Table, ...]  # per dimension


def octave(count: int) -> int:
    """Which level table serves `count` kept pillars: the more, the lower their levels."""
    return min(max((count - 1).bit_length() - 6, 0), _OCTAVES - 1)


def windows(maps: Tensor, corners: Sequence[tuple[int, int]], side: int) -> Tensor:
    """The windows (B, ..., side, side) of maps (B, ..., H, W), each from its corner (row, column)."""
    parts = [
        part[..., row : row + side, column : column + side] for part, (row, column) in zip(maps, corners, strict=True)
    ]
    return torch.stack(parts)


def reach(kept: Tensor) -> Tensor:
    """Pillars (B, pillars, pillars) within `REACH` of a kept one."""
    return widened(kept.float(), REACH) > 0


def _steps(mean: Tensor) -> Tensor:
    return (mean / STEP).round().clamp(-LATENT_LIMIT, LATENT_LIMIT)


def _rows(table: Table, count: int) -> Tensor:
    return torch.from_numpy(table.weights).to(torch.int32).repeat(count, 1)


def _tables(rows: Tensor) -> tuple[Table, ...]:
    return tuple(Table(row) for row in rows.cpu().numpy())
