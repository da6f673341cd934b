"""Early fusion: points on a 0.1 m lattice, each once, as an entropy-coded octree (Cooper; Chen et al., ICDCS 2019).

Tap: points. Faithful: the raw cloud, merged before the first layer. Different: Cooper and OpenCOOD send four floats per
point; ours come back to half a lattice step, in packets that hold a stretch of the Morton curve each, so that a lost
one costs its region. CARLA's intensity is exp(-rate x range), so that rate and sensor height, two bytes, bring it back.
New: under a budget what stands above the road goes first, and there what the sender's own heat marks. Two sets of
tables: for thinned clouds and for whole ones; the shorter body goes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.base import Codec, Room, ViewLike
from carla_cp.codecs.bitstream import HEADER_BYTES, Header, PayloadError, SymbolReader, SymbolWriter, largest
from carla_cp.codecs.octree import HEIGHT_BITS, SIDE_BITS, Octree, codes_of, places_of
from carla_cp.codecs.point_tables import THIN_HALVES, THIN_QUARTERS, WHOLE_HALVES, WHOLE_QUARTERS
from carla_cp.types import FloatArray, GridSpec, IntArray, PointArray, Shared, Stage

STEP_M = 0.1
SIDE = 1 << SIDE_BITS  # lattice points along x and y: 102.4 m each way
LAYERS = 1 << HEIGHT_BITS
Z_MIN_M = -1.0
MAX_POINTS = 1 << 17  # of a message, counted packet by packet
MAX_PACKETS = 128
ROAD_M = 0.2  # what lies lower is road
TREES = (Octree(THIN_QUARTERS, THIN_HALVES), Octree(WHOLE_QUARTERS, WHOLE_HALVES))
_PREFIX = struct.Struct("<BBB")  # sensor height [0.1 m], attenuation [1e-4 / m], which of TREES
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

    def bodies(self, view: ViewLike, room: Room, request: bytes | None) -> list[bytes]:
        """All points in range, or the most useful that fit."""
        points = view.points
        codes, first = lattice(points)
        order = useful(points[first], view.heat.float().amax(0).cpu().numpy(), self.grid)
        height = int(np.clip(round(view.sweep.sensor_height_m * 10), 0, 255))
        attenuation = _attenuation(points, height / 10)
        count = min(len(codes), MAX_POINTS // 2)
        if room.total is not None:
            order = order[: 4 * room.total]  # two bits a point: more can never fit
            count = largest(min(count, len(order)), lambda n: n == 0 or _likely(np.sort(codes[order[:n]]), room))
        while count:
            symbols = EarlySymbols(np.sort(codes[order[:count]]), height, attenuation)
            bodies = _packets(symbols, room)
            if bodies and room.fits(bodies):
                return bodies
            count -= 1 + count // 64
        return []

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
    writer = SymbolWriter()
    TREES[tree].tell(writer, symbols.codes)
    return _PREFIX.pack(symbols.height, symbols.attenuation, tree) + writer.to_bytes()


def _most(size: int) -> int:
    """How many points a body of this size may hold: more than any cloud puts there, few enough for any sender."""
    return min(64 + 16 * size, 1 << 15)


def _costs(codes: IntArray) -> tuple[int, FloatArray]:
    """The tables that suit these points better, and what each point costs in bits."""
    costs = [tree.costs(codes) for tree in TREES]
    best = int(np.argmin([cost.sum() for cost in costs]))
    return best, costs[best]


def _likely(codes: IntArray, room: Room) -> bool:
    """Whether points are likely to fit, with the headers of the packets that they need."""
    assert room.total is not None
    size = _costs(codes)[1].sum() / 8
    packets = max(1, -(-size // (room.packet - HEADER_BYTES - _PREFIX.size)))
    return bool(size + (HEADER_BYTES + _PREFIX.size) * packets <= room.total)


def _packets(symbols: EarlySymbols, room: Room) -> list[bytes]:
    """Bodies of about equal size along the curve, of as few packets as will do; [] where even many are too long."""
    space = room.packet - HEADER_BYTES
    tree, costs = _costs(symbols.codes)
    ends = np.cumsum(costs)
    least = max(1, int(-(-ends[-1] // (8 * max(space - _PREFIX.size, 1)))))
    for pieces in range(least, min(2 * least + 2, MAX_PACKETS) + 1):
        cuts = np.searchsorted(ends, ends[-1] / pieces * np.arange(1, pieces))
        parts = [part for part in np.split(symbols.codes, cuts) if len(part)]
        bodies = [write(EarlySymbols(part, symbols.height, symbols.attenuation), tree) for part in parts]
        fits = all(len(part) <= _most(len(body)) for part, body in zip(parts, bodies, strict=True))
        if fits and max(map(len, bodies)) <= space:
            return bodies
        if room.total is not None and not Room(room.total, 1 << 62).fits(bodies):
            return []
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
