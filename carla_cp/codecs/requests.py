"""What a receiver asks of the others: where it is not sure itself (Where2comm; Hu et al., NeurIPS 2022, section 4.3).

As in the paper: the request map is 1 - C of the receiver's own confidence C, and the sender selects by its product with
the sender's confidence. Different: the paper sends it whole, every cell a float, and charges nothing; here it is a
packet of some 60 to 100 bytes that says in two levels in which blocks of cells the receiver is sure of an object. What
lies outside of its grid is of no use; what it is sure of counts in full, since a second view still sharpens the box: on
validation maps weights of 0.6 and 0.4 there cost `revqom@1KB` 0.010 AP@0.7, 0.35 and 0.2 cost 0.037.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from carla_cp.codecs.base import Codec, ViewLike
from carla_cp.codecs.bitstream import (
    HEADER_BYTES,
    Header,
    PayloadError,
    SymbolReader,
    SymbolWriter,
    Table,
    pack,
    unpack,
)
from carla_cp.codecs.positions import CONTEXTS, PATTERNS, PositionModel
from carla_cp.geometry import relative
from carla_cp.types import GridSpec, IntArray, Pose

Weights = npt.NDArray[np.float32]

BLOCK = 2  # cells along a side
SURE = (0.3, 0.5)  # from these confidences on a block is of level 1, 2
WANTED = np.array([1.0, 1.0, 1.0], np.float32)  # weight of a cell by the level of its block
OUTSIDE = 1e-3  # of the receiver's grid
MOST_AGE_US = 1_000_000
_MARK = b"\xa5"  # no message of a codec with requests starts like this
_LEVELS = Table.from_counts([1.0, 1.5])
_FEW = 4.0  # how much rarer a node with one more occupied child is


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """One request: where its sender is, and in which blocks of its grid it is sure of an object, and how much."""

    header: Header
    grid: GridSpec
    levels: IntArray  # (rows, columns) of blocks, in [0, len(SURE)]

    @staticmethod
    def read(data: bytes, codec: Codec[Any]) -> Demand:
        """That of a packet which `ask` made of a codec with the same weights. Raises PayloadError."""
        header, body = unpack(data, codec.number, codec.fingerprint)
        if not body.startswith(_MARK):
            raise PayloadError("this is no request")
        rows, columns = _blocks(codec.grid)
        levels = np.zeros((rows, columns), np.int64)
        if len(body) > len(_MARK):
            reader = SymbolReader(body[len(_MARK) :])
            mask = _positions(codec.grid).read(reader, rows, columns)
            levels[mask] = 1 + reader.take(int(mask.sum()), _LEVELS)
            reader.finish()
        return Demand(header, codec.grid, levels)

    def at(self, world_from_agent: Pose, grid: GridSpec, weights_of: Weights = WANTED) -> Weights:
        """How much each BEV cell (rows, columns) of an agent's grid is wanted, in [0, 1], by the level of its block."""
        into = relative(self.header.world_from_agent, world_from_agent)
        x = (np.arange(grid.columns) + 0.5) * grid.cell_m - grid.half_length_m
        y = ((np.arange(grid.rows) + 0.5) * grid.cell_m - grid.half_width_m)[:, None]
        side, (rows, columns) = BLOCK * self.grid.cell_m, self.levels.shape
        column = np.floor((into[0, 0] * x + into[0, 1] * y + into[0, 3] + self.grid.half_length_m) / side)
        row = np.floor((into[1, 0] * x + into[1, 1] * y + into[1, 3] + self.grid.half_width_m) / side)
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        weights = np.full(inside.shape, OUTSIDE, np.float32)
        weights[inside] = weights_of[self.levels[row[inside].astype(np.int64), column[inside].astype(np.int64)]]
        return weights


def ask(codec: Codec[Any], view: ViewLike) -> bytes:
    """The packet by which an agent with this view tells the others where it needs nothing more of them."""
    peaks = torch.nn.functional.max_pool2d(view.heat.amax(0)[None, None], BLOCK, ceil_mode=True)[0, 0]
    levels = torch.stack([peaks >= least for least in SURE]).sum(0).cpu().numpy()
    body, mask = _MARK, levels > 0
    if mask.any():
        writer = SymbolWriter()
        _positions(codec.grid).write(writer, mask)
        writer.put(levels[mask] - 1, _LEVELS)
        body += writer.to_bytes()
    header = Header(codec.number, codec.fingerprint, view.sweep.agent, view.sweep.time_us, view.world_from_agent)
    return pack(header, body)


def wanted(request: bytes | None, codec: Codec[Any], view: ViewLike, weights_of: Weights = WANTED) -> Weights | None:
    """How much each BEV cell of the view is wanted; None without a request, or with one that is of no use.

    A sender cannot know what it is sent, so a damaged request, one for other weights and one that is more than a second
    apart from the view count as none.
    """
    if not request or len(request) < HEADER_BYTES:
        return None
    try:
        demand = Demand.read(request, codec)
    except PayloadError:
        return None
    if abs(view.sweep.time_us - demand.header.time_us) > MOST_AGE_US:
        return None
    return demand.at(view.world_from_agent, codec.grid, weights_of)


def _blocks(grid: GridSpec) -> tuple[int, int]:
    return -(-grid.rows // BLOCK), -(-grid.columns // BLOCK)


def _positions(grid: GridSpec) -> PositionModel:
    """One for few blocks that lie far apart; it needs no weights."""
    children = np.array([bin(symbol + 1).count("1") for symbol in range(PATTERNS)])
    row = Table.from_counts(_FEW**-children).weights
    levels = len(PositionModel.uniform(*_blocks(grid)).weights)
    return PositionModel(np.broadcast_to(row, (levels, CONTEXTS, PATTERNS)))
