"""InfoCom (Kilobyte-Scale Communication-Efficient Collaborative Perception with Information-Aware Feature Purification,
AAAI 2026): a latent vector and a sparse mask of 4-bit levels stand for the pillar map.

             paper                                      here
tap          pillar map; the ego keeps its own          the same
encoder      sigmoid, residual blocks with ELU of 32,   the same on pillars pooled 4 x 4, one block per
             16, 8; pooled 32 x 32; 256-d latent        width where the paper has two; pooled 16 x 16
prior        N(0, I), from half of the training on,     the same, weight 1e-3
             weight 1e-3 or 1e-4
mask         branches 3, 5, 7; the detector's class     the same branches on pillars folded 2 x 2; the
             head; sigmoid                              class head's answer goes in, as `usefulness`
selection    best tenth, 4 bits, straight through to    the same; level 0 is not sent
             the dense map
ratio in     falls from 1 to 0.1, or from 0.1 to 1      the same half of the time, else from 0.1 down to
training     by chance                                  80 pillars: what budgets ask for
decoder      256-channel seed, three doublings, each    4-channel seed; the mask gates by gain and
             times one channel of the mask's scale      shift; two more layers refine
loss         detection and prior                        what the frozen detector says, prior, and a price
                                                        on rating pillars that show no object
weights      70 M on this grid (`infocom_net.PAPER`)    1.1 M
sent         256 floats, 4 bits per kept pillar; their  as below; `infocom:paper` sends what the paper
             positions are taken to be free             does, and positions as one bit per pillar

New: besides its rating a pillar has two 4-bit channels of content, which leave as the budget allows. The latent leaves
in steps of 0.5 under its learned Gaussian prior, positions as a quadtree, levels and content in context, all entropy
coded. Under a budget fewer pillars leave, and the latent stays away where it would take more than its share. A packet
holds a region and the latent, which is small. A pillar is valid within 2.4 m of a kept one. Maps of any grid are filled
up to multiples of a seed's extent. With `tools/train_codec.py --joint` it goes on by the detector's own losses, as in
the paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from carla_cp.codecs.base import Bodies, Codec, Room, ViewLike
from carla_cp.codecs.bitstream import HEADER_BYTES, Header, Table
from carla_cp.codecs.infocom_net import InfocomConfig, InformationEncoder, MaskDecoder, MaskNet, mask_sent
from carla_cp.codecs.infocom_packets import InfocomChoice, InfocomTables, Packer, best, paper_bodies, read_body
from carla_cp.codecs.infocom_symbols import (
    ABSENT,
    BESIDE,
    LEVELS,
    LIMIT,
    OCTAVES,
    STEP,
    InfocomSymbols,
    LatentModel,
    PillarModel,
    gaussians,
)
from carla_cp.codecs.positions import PositionModel
from carla_cp.codecs.ranking import usefulness, widened
from carla_cp.perception.config import DetectorConfig
from carla_cp.types import GridSpec, IntArray, Shared, Stage

SHARE = 0.1  # of the pillars, at most
LATENT_SHARE = 0.2  # of a budget
REACH = 6  # pillars around a kept one that count as received


@dataclass(frozen=True, slots=True)
class InfocomRate:
    """How much is sent."""

    count: int  # pillars, at most
    channels: int  # of content
    latent: bool


@dataclass(frozen=True, slots=True, eq=False)
class InfocomOutput:
    """What `forward` gives of a batch."""

    pillars: Tensor  # (B, C, rows, columns)
    valid: Tensor  # (B, rows, columns) bool
    divergence: Tensor  # of the latent from its prior [nat], mean over the batch
    rating: Tensor  # (B, rows, columns) in [0, 1], before selection


class InfocomCodec(Codec[InfocomSymbols]):
    """Sends a latent vector and rated pillars."""

    name = "infocom"
    number = 6
    tap = Stage.PILLARS
    learned = True
    variants = ("paper",)

    def __init__(self, fingerprint: int = 0, grid: GridSpec | None = None, config: InfocomConfig | None = None) -> None:
        super().__init__(fingerprint, grid)
        self.config = config = config if config is not None else InfocomConfig()
        self.shape = (self.grid.pillar_rows, self.grid.pillar_columns)
        self.encoder, self.rater = InformationEncoder(config), MaskNet(config)
        self.decoder = MaskDecoder(config, *(-(-side // config.extent) for side in self.shape))
        self._register_tables()
        self._parsed: InfocomTables | None = None

    def _register_tables(self) -> None:
        config = self.config
        level, content = Table.uniform(LEVELS).weights, Table.uniform(LEVELS + 1).weights
        normal = np.array([table.weights for table in gaussians()])
        self.position_tables: Tensor
        self.level_tables: Tensor
        self.content_tables: Tensor
        self.latent_tables: Tensor
        self.latent_means: Tensor
        self.latent_classes: Tensor
        self.register_buffer("position_tables", _buffer(PositionModel.uniform(*self.shape).weights))
        self.register_buffer("level_tables", _buffer(np.tile(level, (OCTAVES, BESIDE, 1))))
        self.register_buffer("content_tables", _buffer(np.tile(content, (config.content, LEVELS + 1, 1))))
        self.register_buffer("latent_tables", _buffer(normal))
        self.register_buffer("latent_means", torch.zeros(config.latent, dtype=torch.int32))
        self.register_buffer("latent_classes", torch.full((config.latent,), 9, dtype=torch.int32))

    @classmethod
    def for_detector(cls, fingerprint: int, config: DetectorConfig) -> InfocomCodec:
        """Of the detector's number of pillar channels."""
        return cls(fingerprint, config.grid, InfocomConfig(channels=config.pillar_channels))

    def tables(self) -> InfocomTables:
        """The integer tables of the weights, ready for use."""
        if self._parsed is None:
            rows = [Table(row) for row in self.latent_tables.cpu().numpy()]
            means, classes = (part.cpu().numpy().astype(np.int64) for part in (self.latent_means, self.latent_classes))
            self._parsed = InfocomTables(
                PositionModel(self.position_tables.cpu().numpy()),
                PillarModel(self.level_tables.cpu().numpy(), self.content_tables.cpu().numpy()),
                LatentModel(means, classes, rows),
            )
        return self._parsed

    def set_tables(self, learnt: InfocomTables) -> None:
        """Replaces the tables by ones learnt from data."""
        levels, content = learnt.pillars.weights()
        latent = learnt.latent
        self.position_tables.copy_(torch.from_numpy(learnt.where.weights))
        self.level_tables.copy_(torch.from_numpy(levels))
        self.content_tables.copy_(torch.from_numpy(content))
        self.latent_tables.copy_(torch.from_numpy(np.array([table.weights for table in latent.tables])))
        self.latent_means.copy_(torch.from_numpy(latent.means))
        self.latent_classes.copy_(torch.from_numpy(latent.classes))
        self._parsed = None

    # The networks.

    def forward(
        self,
        pillars: Tensor,
        useful: Tensor,
        rate: InfocomRate,
        noise: Tensor | None = None,
        corners: Sequence[tuple[int, int]] | None = None,
        side: int = 0,
    ) -> InfocomOutput:
        """What arrives of pillar maps (B, C, rows, columns) of the pillar grid.

        `useful` (B, rows, columns) of the BEV grid is `ranking.usefulness` of the sender's heat. With standard normal
        `noise` (B, latent) the latent is drawn, as in training, instead of its mean being sent. With `corners`, one
        (row, column) per map, only a window of `side` pillars of each is rated and rebuilt; all are multiples of a
        seed's extent.
        """
        pillars, wanted = self._padded(pillars, useful)
        mean, spread = self.encoder(pillars)
        divergence = 0.5 * (mean.square() + spread.square() - 1 - 2 * spread.log()).sum(1).mean()
        latent = self._steps(mean) * STEP if noise is None else mean + spread * noise
        seeds = self.decoder.seeds(latent if rate.latent else torch.zeros_like(latent))
        if corners is not None:
            extent = self.config.extent
            pillars, wanted = windows(pillars, corners, side), windows(wanted, corners, side)
            seeds = windows(seeds, [(row // extent, column // extent) for row, column in corners], side // extent)
        values = self._inside(self.rater(pillars, wanted))
        floor = values[:, 0].flatten(1).topk(rate.count, dim=1).values[:, -1, None, None]
        steps = (values * LEVELS).round()
        chosen = ((values[:, 0] >= floor) & (steps[:, 0] > 0))[:, None]
        mask = mask_sent(steps, chosen, rate.channels)
        if self.training:  # straight through: gradients reach every rating, kept or not, as in the paper
            soft = torch.cat([values[:, :1], mask_sent(values * LEVELS, chosen, rate.channels)[:, 1:]], dim=1)
            mask = soft + (mask - soft).detach()
        valid = reach(chosen[:, 0])
        return InfocomOutput(self._rebuilt(seeds, mask) * valid[:, None], valid, divergence, values[:, 0])

    def _steps(self, mean: Tensor) -> Tensor:
        """The latent as it arrives, in steps."""
        middle = self.latent_means.to(mean.dtype)
        return (mean / STEP).round().clamp(middle - LIMIT, middle + LIMIT)

    def _padded(self, pillars: Tensor, useful: Tensor) -> tuple[Tensor, Tensor]:
        """Pillars, and use per pillar (B, 1, H, W), filled up with zeros to multiples of a seed's extent."""
        wanted = F.interpolate(useful[:, None], scale_factor=float(self.grid.bev_stride))
        extent = self.config.extent
        fill = (0, -pillars.shape[3] % extent, 0, -pillars.shape[2] % extent)
        return F.pad(pillars, fill).contiguous(memory_format=torch.channels_last), F.pad(wanted, fill)

    def _inside(self, maps: Tensor) -> Tensor:
        """Maps (B, C, H, W) without what padding added."""
        return maps[..., : self.grid.pillar_rows, : self.grid.pillar_columns]

    def _rebuilt(self, seeds: Tensor, mask: Tensor) -> Tensor:
        extent = self.config.extent
        fill = (0, -mask.shape[3] % extent, 0, -mask.shape[2] % extent)
        return self._inside(self.decoder.rebuild(seeds, F.pad(mask, fill)))

    # The message.

    def choice(self, pillars: Tensor, heat: Tensor) -> InfocomChoice:
        """What could be sent of pillars (C, rows, columns) and heat (classes, rows, columns): the best tenth."""
        batch, wanted = self._padded(pillars[None], usefulness(heat[None]))
        latent = self.encoder(batch)[0][0]
        values = self._inside(self.rater(batch, wanted))[0].flatten(1)
        flat = torch.cat([latent, values.flatten()]).cpu().numpy()  # one transfer
        ratings = flat[len(latent) :].reshape(len(values), -1)
        order = best(ratings[0], math.ceil(SHARE * ratings.shape[1]))
        steps = np.rint(ratings[:, order] * np.float32(LEVELS)).astype(np.int64)
        return InfocomChoice(flat[: len(latent)], order, steps)

    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        """Latent and all pillars of a level above 0, or as many as fit, each packet with a region."""
        return partial(self._fitting, self.choice(view.pillars, view.heat))

    def _fitting(self, choice: InfocomChoice, room: Room) -> list[bytes]:
        if self.variant:
            bodies = paper_bodies(choice, self.shape, room.packet - HEADER_BYTES)
            return bodies if room.fits(bodies) else []
        steps = np.rint(choice.latent / np.float32(STEP)).astype(np.int64)
        packets = 1 if room.total is None else -(-room.total // room.packet)
        share = 0.0 if room.total is None else packets * self.tables().latent.bits(steps) / (8 * room.total)
        packer = Packer(self.shape, self.tables(), choice, steps if share <= LATENT_SHARE else None)
        worth = int(np.count_nonzero(choice.values[0]))
        return packer.bodies(worth, packer.channels(worth, room), room)

    def read(self, body: bytes) -> InfocomSymbols:
        """Latent, pillars and levels of one packet. Raises PayloadError."""
        return read_body(self.tables(), body, self.shape)

    def join(self, parts: Iterator[InfocomSymbols]) -> InfocomSymbols:
        """All pillars of all parts, and the latent of any; of what several say the last counts."""
        values = np.full((1 + self.config.content, *self.shape), ABSENT, np.int64)
        latent = None
        for part in parts:
            values[:, part.mask] = part.values
            latent = latent if part.latent is None else part.latent
        mask = values[0] != ABSENT
        return InfocomSymbols(latent, mask, values[:, mask])

    def formula_bytes(self, symbols: InfocomSymbols) -> float:
        """4 bytes for each dimension of the latent and 4 bits for each value of a pillar, as the paper counts."""
        floats = 0 if symbols.latent is None else len(symbols.latent)
        return 4.0 * floats + math.ceil(4 * int((symbols.values != ABSENT).sum()) / 8)

    def reconstruct(self, header: Header, symbols: InfocomSymbols) -> Shared:
        """The pillar map; pillars far from every kept one are 0 and invalid."""
        device = self.position_tables.device
        latent = torch.zeros(1, self.config.latent, device=device)
        if symbols.latent is not None:
            latent[0] = torch.from_numpy(symbols.latent).to(device)
        said = torch.from_numpy(symbols.values.astype(np.float32)).to(device)
        seen = torch.where(said == ABSENT, 0.0, said * (2 / LEVELS) - 1)
        seen[0] = said[0] / LEVELS
        mask = torch.zeros(1, len(seen), *self.shape, device=device)
        mask[0, :, torch.from_numpy(symbols.mask).to(device)] = seen
        valid = reach(mask[:, 0] > 0)
        return Shared(
            sender=header.sender,
            time_us=header.time_us,
            world_from_agent=header.world_from_agent,
            stage=self.tap,
            features=self._rebuilt(self.decoder.seeds(latent), mask)[0] * valid,
            valid=valid[0],
        )


def windows(maps: Tensor, corners: Sequence[tuple[int, int]], side: int) -> Tensor:
    """The windows (B, ..., side, side) of maps (B, ..., H, W), each from its corner (row, column)."""
    parts = [
        part[..., row : row + side, column : column + side] for part, (row, column) in zip(maps, corners, strict=True)
    ]
    return torch.stack(parts)


def reach(kept: Tensor) -> Tensor:
    """Pillars (B, pillars, pillars) within `REACH` of a kept one."""
    return widened(kept.float(), REACH) > 0


def _buffer(weights: IntArray) -> Tensor:
    return torch.from_numpy(weights).to(torch.int32)
