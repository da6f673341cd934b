"""Early fusion: points on a 0.1 m lattice, each once, as an entropy-coded octree (Cooper; Chen et al., ICDCS 2019).

Tap: points. Faithful: the raw cloud, merged before the first layer. Different: Cooper and OpenCOOD send four floats per
point; ours come back to half a lattice step, in packets that hold a stretch of the Morton curve each, so that a lost
one costs its region. CARLA's intensity is exp(-rate x range), so that rate and sensor height, two bytes, bring it back.
New: under a budget what stands above the road goes first, and there what the sender's own heat marks. Two sets of
tables: for thinned clouds and for whole ones; the shorter body goes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.base import Bodies, Codec, Room, ViewLike
from carla_cp.codecs.bitstream import HEADER_BYTES, Header, PayloadError, SymbolReader, SymbolWriter, nearly_largest
from carla_cp.codecs.closely import fullest
from carla_cp.codecs.learnt import FOLDER, Rows, read_tables
from carla_cp.codecs.octree import (
    CODE_BITS,
    HALF_ROWS,
    HALVES,
    HEIGHT_BITS,
    QUARTER_ROWS,
    QUARTERS,
    SIDE_BITS,
    Octree,
    Split,
    codes_of,
    places_of,
    splits,
)
from carla_cp.types import FloatArray, GridSpec, IntArray, PointArray, Shared, Stage

STEP_M = 0.1
SIDE = 1 << SIDE_BITS  # lattice points along x and y: 102.4 m each way
LAYERS = 1 << HEIGHT_BITS
Z_MIN_M = -1.0
MAX_POINTS = 1 << 17  # of a message, counted packet by packet
MAX_PACKETS = 128
ROAD_M = 0.2  # what lies lower is road
TREES = tuple(
    Octree(
        *read_tables(
            FOLDER / "points.safetensors",
            Rows(f"{clouds}_quarters", QUARTER_ROWS, QUARTERS),
            Rows(f"{clouds}_halves", HALF_ROWS, HALVES),
        )
    )
    for clouds in ("thin", "whole")
)
_PREFIX = struct.Struct("<BBB")  # sensor height [0.1 m], attenuation [1e-4 / m], which of TREES
_EACH, _FIRST = 23, 9  # bytes of a body beside its points': prefix, rounding, and but for the first, to begin anew
_POINT_BYTES = 4 * 4  # OpenCOOD's x, y, z, intensity in float32


@dataclass(frozen=True, slots=True, eq=False)
class EarlySymbols:
    """Lattice points, rising along the curve, and what brings their intensity back."""

    codes: IntArray  # (N,) of `octree`, in [0, 2**28)
    height: int  # of the sensor above the ground [0.1 m]
    attenuation: int  # [1e-4 / m]


class EarlyCodec(Codec[EarlySymbols]):
    """Sends points."""

    name = "early"
    number = 4
    tap = Stage.POINTS

    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        """All points in range, or the most useful that fit."""
        points = view.points
        codes, first = lattice(points)
        order = useful(points[first], view.heat.float().amax(0).cpu().numpy(), self.grid)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        height = int(np.clip(round(view.sweep.sensor_height_m * 10), 0, 255))
        attenuation = _attenuation(points, height / 10)

        def best(count: int) -> EarlySymbols:
            return EarlySymbols(codes[rank < count], height, attenuation)

        most = min(len(codes), MAX_POINTS // 2)

        def bodies(room: Room) -> list[bytes]:
            if room.total is not None:
                return _fullest(best, min(most, 4 * room.total), room)  # two bits a point: more can never fit
            return _packets(best(most), room) if most else []

        return bodies

    def read(self, body: bytes) -> EarlySymbols:
        """The points of one packet. Raises PayloadError."""
        if len(body) < _PREFIX.size:
            raise PayloadError(f"{len(body)} bytes are no points")
        height, attenuation, tree = _PREFIX.unpack_from(body)
        if tree >= len(TREES):
            raise PayloadError(f"there are no tables {tree}")
        reader = SymbolReader(body[_PREFIX.size :])
        codes = TREES[tree].read(reader, _most(len(body)))
        reader.finish()
        return EarlySymbols(codes, height, attenuation)

    def join(self, parts: Iterator[EarlySymbols]) -> EarlySymbols:
        """The points of all packets, each once. Raises PayloadError for too many, and for those of several sweeps."""
        first = next(parts)
        codes, total = [first.codes], len(first.codes)
        for part in parts:
            total += len(part.codes)
            if total > MAX_POINTS or len(codes) == MAX_PACKETS:
                raise PayloadError(f"more than {MAX_POINTS} points or {MAX_PACKETS} packets are no sweep")
            if (part.height, part.attenuation) != (first.height, first.attenuation):
                raise PayloadError("packets of several sweeps stand in one message")
            codes.append(part.codes)
        return EarlySymbols(np.unique(np.concatenate(codes)), first.height, first.attenuation)

    def reconstruct(self, header: Header, symbols: EarlySymbols) -> Shared:
        """The middles of the lattice cells, with intensity."""
        origin = np.array([-SIDE / 2 * STEP_M, -SIDE / 2 * STEP_M, Z_MIN_M])
        places = (places_of(symbols.codes) + 0.5) * STEP_M + origin
        reach = np.linalg.norm(places - [0.0, 0.0, symbols.height / 10], axis=1)
        intensity = np.exp(-symbols.attenuation * 1e-4 * reach)
        return Shared(
            sender=header.sender,
            time_us=header.time_us,
            world_from_agent=header.world_from_agent,
            stage=self.tap,
            points=np.column_stack([places, intensity]).astype(np.float32),
        )

    def formula_bytes(self, symbols: EarlySymbols) -> float:
        """Four float32 per point (OpenCOOD's accounting)."""
        return float(_POINT_BYTES * len(symbols.codes))


def lattice(points: PointArray) -> tuple[IntArray, npt.NDArray[np.intp]]:
    """The codes of occupied lattice points, rising, and for each the index of the first point in it."""
    origin = np.array([-SIDE / 2 * STEP_M, -SIDE / 2 * STEP_M, Z_MIN_M])
    cells = np.floor((points[:, :3].astype(np.float64) - origin) / STEP_M).astype(np.int64)
    inside = np.flatnonzero(((cells >= 0) & (cells < [SIDE, SIDE, LAYERS])).all(axis=1))
    codes, first = np.unique(codes_of(cells[inside]), return_index=True)
    return codes, inside[first]


def write(symbols: EarlySymbols, tree: int) -> bytes:
    """The body of at least one point, by that set of tables."""
    return _body(symbols, tree, splits(symbols.codes), 0, len(symbols.codes))


def _body(symbols: EarlySymbols, tree: int, steps: Sequence[Split], start: int, stop: int) -> bytes:
    """That of the points from `start` to `stop`, a group of those split."""
    writer = SymbolWriter()
    TREES[tree].tell_part(writer, steps, start, stop)
    return _PREFIX.pack(symbols.height, symbols.attenuation, tree) + writer.to_bytes()


def _most(size: int) -> int:
    """How many points a body of this size may hold: more than any cloud puts there, few enough for any sender."""
    return min(64 + 16 * size, 1 << 15)


def _costs(steps: Sequence[Split], count: int) -> tuple[int, FloatArray]:
    """The tables that suit these points better, and what each of so many points costs in bits."""
    costs = [tree.costs(steps, count) for tree in TREES]
    best = int(np.argmin([cost.sum() for cost in costs]))
    return best, costs[best]


def _pieces(size: float, room: Room) -> int:
    """How many packets about so many bytes need."""
    return max(1, math.ceil(size / max(room.packet - HEADER_BYTES - _EACH, 1)))


def _fullest(best: Callable[[int], EarlySymbols], most: int, room: Room) -> list[bytes]:
    """Packets of as many of the best points, at most so many, as fit closely; [] where none do."""
    assert room.total is not None
    total = room.total

    def size(count: int) -> float:
        length = float(_costs(splits(best(count).codes), count)[1].sum()) / 8
        return length + (HEADER_BYTES + _EACH) * _pieces(length, room) + _FIRST - _EACH

    return fullest(most, nearly_largest(most, size, total, total), room, lambda count: _packets(best(count), room))


def _packets(symbols: EarlySymbols, room: Room) -> list[bytes]:
    """Bodies of about equal size along the curve, of as few packets as will do; [] where even many are too long."""
    space, codes = room.packet - HEADER_BYTES, symbols.codes
    whole = splits(codes)
    tree, costs = _costs(whole, len(codes))
    ends = np.cumsum(costs)
    least = _pieces(ends[-1] / 8, room)
    for pieces in range(least, min(2 * least + 2, MAX_PACKETS) + 1):
        cuts = np.searchsorted(ends, ends[-1] / pieces * np.arange(1, pieces))
        edges = sorted({0, *cuts.tolist(), len(codes)})
        held = np.diff(edges)
        steps = splits(codes | np.repeat(np.arange(len(held)), held) << CODE_BITS) if pieces > 1 else whole
        sizes = np.add.reduceat(TREES[tree].costs(steps, len(codes)), edges[:-1]) / 8
        if sizes.max() + _PREFIX.size > space:
            continue
        bodies = [_body(symbols, tree, steps, *bounds) for bounds in pairwise(edges)]
        counted = all(count <= _most(len(body)) for count, body in zip(held, bodies, strict=True))
        if counted and max(map(len, bodies)) <= space:
            return bodies
    return []


def useful(points: PointArray, heat: npt.NDArray[np.float32], grid: GridSpec) -> npt.NDArray[np.intp]:
    """The order in which points go: above the road first, by falling heat of their BEV cell."""
    cells = np.floor((points[:, :2] + (grid.half_length_m, grid.half_width_m)) / grid.cell_m).astype(np.int64)
    inside = ((cells >= 0) & (cells < (grid.columns, grid.rows))).all(axis=1)
    cells = np.clip(cells, 0, (grid.columns - 1, grid.rows - 1))
    near = np.where(inside, heat[cells[:, 1], cells[:, 0]], 0.0)
    return np.argsort(-(near + (points[:, 2] > ROAD_M)), kind="stable")


def _attenuation(points: PointArray, height_m: float) -> int:
    """The rate that CARLA's intensity falls with, in 1e-4 / m, in [0, 255]."""
    reach = np.linalg.norm(points[:, :3] - np.array([0.0, 0.0, height_m], np.float32), axis=1)
    usable = (reach > 1.0) & (points[:, 3] > 1e-3)
    if not usable.any():
        return 0
    rates = -np.log(points[usable, 3].astype(np.float64)) / reach[usable]
    return int(np.clip(round(float(np.median(rates)) * 1e4), 0, 255))
