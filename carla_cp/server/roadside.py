"""What stands beside the roads: buildings in rows, street lights, signal poles and trees.

Nothing stands on a lane, on a sidewalk or within two metres of a lane, and the corners of junctions stay open: a car
45 m down a cross road can be seen from 40 m before the junction. Every draw is keyed by the seed and the place, so a
change of one road leaves the others as they were.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from carla_cp.server.mesh import Mesh, Tag, cuboid, merge, sphere, transformed, tube

Floats = npt.NDArray[np.float64]

_LANE_CLEARANCE_M = 2.2  # of anything from a lane; the samples are 1 m apart, so the true distance is up to 0.1 m less
_WALK_CLEARANCE_M = 0.75  # of a pole's axis from a sidewalk's samples, which keeps it off the sidewalk itself
_BUILDING_CLEARANCE_M = 4.0
_CORNER_CLEARANCE_M = 10.0  # of buildings from lanes near a junction
_OPEN_RADIUS_M = 36.0  # around a junction's centre without buildings or trees; more at a large junction
_PARK_CELL_M, _PARK_CELLS = 18.0, 20_000  # of which one in three has a tree
_NEAR_RADIUS_M = 75.0  # what counts as near a junction


@dataclass(frozen=True, slots=True, eq=False)
class Junction:
    """Where roads cross."""

    centre: Floats  # (2,)
    radius: float  # [m] to its farthest lane border


@dataclass(frozen=True, slots=True, eq=False)
class Streets:
    """What the roadside must know of the roads."""

    edges: list[Floats]  # (n, 3) outer borders of roads, outside on their right
    lanes: Floats  # (K, 3) samples of all paved lanes, at most 1 m apart
    walks: Floats  # (K, 3) samples of all sidewalks
    junctions: list[Junction]
    signals: Floats  # (S, 3) x, y and heading [rad] of the traffic that a signal is for


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """A mesh in the world, and the box of what stops a car."""

    mesh: Mesh
    box: tuple[float, float, float, float, float, float, float]  # x, y, z of the centre, length, width, height, yaw


class Site:
    """Answers whether something may stand somewhere."""

    def __init__(self, streets: Streets) -> None:
        self._lanes = cKDTree(streets.lanes[:, :2])
        self._walks = cKDTree(streets.walks[:, :2]) if len(streets.walks) else None
        self._height = streets.lanes[:, 2]
        self._junctions = streets.junctions
        self._buildings: list[tuple[float, float, float, float, float]] = []

    def level(self, x: float, y: float) -> float:
        """Height of the road nearest to a place."""
        return float(self._height[self._lanes.query((x, y))[1]])

    def off_lanes(self, points: Floats, clearance: float) -> bool:
        return bool(np.min(self._lanes.query(points)[0]) >= clearance)

    def off_walks(self, points: Floats, clearance: float) -> bool:
        return self._walks is None or bool(np.min(self._walks.query(points)[0]) >= clearance)

    def near_junction(self, points: Floats) -> bool:
        return self._within(points, 0.0, _NEAR_RADIUS_M)

    def at_junction(self, points: Floats) -> bool:
        """Whether any point lies where a junction's corners stay open."""
        return self._within(points, 20.0, _OPEN_RADIUS_M)

    def _within(self, points: Floats, beyond: float, radius: float) -> bool:
        return any(
            bool(np.hypot(*(points - junction.centre).T).min() < max(radius, junction.radius + beyond))
            for junction in self._junctions
        )

    def free_of_buildings(self, points: Floats) -> bool:
        if not self._buildings:
            return True
        x, y, length, width, yaw = np.array(self._buildings).T
        dx, dy = points[:, None, 0] - x, points[:, None, 1] - y
        along, across = dx * np.cos(yaw) + dy * np.sin(yaw), dy * np.cos(yaw) - dx * np.sin(yaw)
        return not bool(((np.abs(along) < length / 2 + 0.5) & (np.abs(across) < width / 2 + 0.5)).any())

    def occupy(self, x: float, y: float, length: float, width: float, yaw: float) -> None:
        self._buildings.append((x, y, length, width, yaw))


def furnish(streets: Streets, seed: int) -> list[Thing]:
    """Everything beside the roads, in a fixed order."""
    site = Site(streets)
    buildings = [thing for edge in streets.edges for thing in _buildings(edge, site, seed)]
    signals = [thing for signal in streets.signals for thing in _signal(signal, site)]
    lights = [thing for edge in streets.edges for thing in _lights(edge, site, seed)]
    trees = [thing for edge in streets.edges for thing in _street_trees(edge, site, seed)]
    return buildings + signals + lights + trees + list(_park_trees(streets, site, seed))


def _generator(seed: int, what: bytes, x: float, y: float) -> np.random.Generator:
    place = (round(x * 10.0) & 0xFFFFFFFF, round(y * 10.0) & 0xFFFFFFFF)
    return np.random.default_rng([seed, zlib.crc32(what), *place])


def _along(edge: Floats) -> tuple[Floats, float]:
    """Arc length at each sample, and its total."""
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(edge[:, :2], axis=0).T))])
    return arc, float(arc[-1])


def _at(edge: Floats, arc: Floats, s: float) -> tuple[float, float, float]:
    """x, y and heading at arc length s."""
    index = int(np.clip(np.searchsorted(arc, s) - 1, 0, len(arc) - 2))
    dx, dy = edge[index + 1, :2] - edge[index, :2]
    x, y = float(np.interp(s, arc, edge[:, 0])), float(np.interp(s, arc, edge[:, 1]))
    return x, y, math.atan2(dy, dx)


def _beside(x: float, y: float, yaw: float, offset: float) -> tuple[float, float]:
    return x - offset * math.sin(yaw), y + offset * math.cos(yaw)


def _matrix(x: float, y: float, z: float, yaw: float) -> Floats:
    c, s = math.cos(yaw), math.sin(yaw)
    return np.array([[c, -s, 0, x], [s, c, 0, y], [0, 0, 1, z], [0, 0, 0, 1.0]])


def _buildings(edge: Floats, site: Site, seed: int) -> Iterator[Thing]:
    arc, total = _along(edge)
    s = 2.0
    while s < total - 8.0:
        rng = _generator(seed, b"building", *_at(edge, arc, s)[:2])
        length, depth, gap = rng.uniform(9.0, 26.0), rng.uniform(8.0, 16.0), rng.uniform(1.0, 9.0)
        height, setback = rng.choice([4.5, 7.5, 10.5, 16.5, 25.5]) + rng.uniform(0, 2.5), rng.uniform(5.0, 13.0)
        x, y, yaw = _at(edge, arc, s + length / 2)
        x, y = _beside(x, y, yaw, setback + depth / 2)
        outline = _outline(x, y, length, depth, yaw)
        clearance = _CORNER_CLEARANCE_M if site.near_junction(outline) else _BUILDING_CLEARANCE_M
        free = site.off_lanes(outline, clearance) and site.off_walks(outline, _BUILDING_CLEARANCE_M)
        if free and not site.at_junction(outline) and site.free_of_buildings(outline):
            site.occupy(x, y, length, depth, yaw)
            yield _building(x, y, site.level(x, y), (length, depth, height), yaw, rng)
            s += length + gap
        else:
            s += 4.0


def _outline(x: float, y: float, length: float, width: float, yaw: float) -> Floats:
    """Points of a rectangle and its inside, at most 3 m apart."""
    along = np.linspace(-length / 2, length / 2, math.ceil(length / 3.0) + 1)
    across = np.linspace(-width / 2, width / 2, math.ceil(width / 3.0) + 1)
    grid = np.stack(np.meshgrid(along, across), axis=-1).reshape(-1, 2)
    c, s = math.cos(yaw), math.sin(yaw)
    return np.asarray(grid @ np.array([[c, s], [-s, c]]) + (x, y))


def _building(
    x: float, y: float, z: float, size: tuple[float, float, float], yaw: float, rng: np.random.Generator
) -> Thing:
    length, depth, height = size
    blocks = [cuboid((-length / 2, -depth / 2, -1.0), (length / 2, depth / 2, height), Tag.BUILDING)]
    if rng.random() < 0.4:
        inset, more = rng.uniform(1.0, 2.5), rng.uniform(2.0, 8.0)
        half, deep = length / 2 - inset, depth / 2 - inset
        blocks.append(cuboid((-half, -deep, height), (half, deep, height + more), Tag.BUILDING))
    if rng.random() < 0.5:
        # A bay or entrance on the street side breaks the flat front.
        middle, wide = rng.uniform(-length / 4, length / 4), rng.uniform(1.5, 3.0)
        low, high = (middle - wide / 2, -depth / 2 - 0.8, -1.0), (middle + wide / 2, -depth / 2, min(height, 3.2))
        blocks.append(cuboid(low, high, Tag.BUILDING))
    mesh = transformed(merge(blocks), _matrix(x, y, z, yaw))
    return Thing(mesh, (x, y, z + height / 2, length, depth, height, yaw))


def _post(x: float, y: float, z: float, side: float, height: float, mesh: Mesh, yaw: float) -> Thing:
    return Thing(transformed(mesh, _matrix(x, y, z, yaw)), (x, y, z + height / 2, side, side, height, yaw))


@lru_cache(maxsize=1)
def _light_mesh() -> Mesh:
    """A street light whose arm reaches out to the left of its heading, over the road."""
    return merge(
        [
            tube((0, 0, -0.5), (0, 0, 7.5), (0.11, 0.07), 6, Tag.POLE),
            tube((0, 0, 7.4), (0, -1.8, 7.7), 0.05, 4, Tag.POLE),
            cuboid((-0.15, -2.3, 7.62), (0.15, -1.6, 7.76), Tag.POLE),
        ]
    )


@lru_cache(maxsize=1)
def _signal_mesh() -> Mesh:
    """A signal whose face looks back along its heading, at the traffic it is for."""
    return merge(
        [
            tube((0, 0, -0.5), (0, 0, 3.9), 0.08, 6, Tag.POLE),
            cuboid((-0.28, -0.18, 2.7), (-0.06, 0.18, 3.7), Tag.TRAFFIC_LIGHT),
        ]
    )


def _tree_mesh(rng: np.random.Generator) -> tuple[Mesh, float]:
    """A tree and the radius of its crown, whose lowest leaves stay over the rays of a LiDAR on a car's roof."""
    trunk, crown, tall = rng.uniform(0.12, 0.28), rng.uniform(1.3, 2.3), rng.uniform(1.6, 3.0)
    foot = rng.uniform(2.4, 3.2)
    parts = [
        tube((0, 0, -0.5), (0, 0, foot + 0.5 * tall), (trunk, 0.7 * trunk), 6, Tag.VEGETATION),
        sphere((0, 0, foot + tall), (crown, crown * rng.uniform(0.85, 1.15), tall), 7, Tag.VEGETATION),
    ]
    return merge(parts), crown


def _standing(x: float, y: float, yaw: float, offsets: Sequence[float], site: Site) -> Floats | None:
    """The first place beside the edge, by `offsets`, at which a pole may stand."""
    for offset in offsets:
        place = np.array([_beside(x, y, yaw, offset)])
        if site.off_lanes(place, _LANE_CLEARANCE_M) and site.off_walks(place, _WALK_CLEARANCE_M):
            return np.asarray(place[0])
    return None


def _lights(edge: Floats, site: Site, seed: int) -> Iterator[Thing]:
    arc, total = _along(edge)
    if total < 12.0:
        return
    start = _generator(seed, b"light", *edge[0, :2]).uniform(4.0, 12.0)
    for s in np.arange(start, total - 2.0, 28.0):
        x, y, yaw = _at(edge, arc, s)
        place = _standing(x, y, yaw, (0.85, 1.6, 2.4), site)
        if place is not None and site.free_of_buildings(place[None]):
            yield _post(place[0], place[1], site.level(*place), 0.22, 7.5, _light_mesh(), yaw)


def _signal(signal: Floats, site: Site) -> Iterator[Thing]:
    x, y, yaw = (float(value) for value in signal)
    place = _standing(x, y, yaw, tuple(np.arange(0.0, 12.0, 0.4)), site)
    if place is not None:
        yield _post(place[0], place[1], site.level(*place), 0.16, 3.9, _signal_mesh(), yaw)


def _tree(x: float, y: float, site: Site, rng: np.random.Generator) -> Iterator[Thing]:
    mesh, crown = _tree_mesh(rng)
    place = np.array([[x, y]])
    clear = site.off_lanes(place, _LANE_CLEARANCE_M + crown) and site.off_walks(place, 1.5)
    if clear and not site.at_junction(place) and site.free_of_buildings(place):
        yield _post(x, y, site.level(x, y), 0.5, 3.0, mesh, rng.uniform(-math.pi, math.pi))


def _street_trees(edge: Floats, site: Site, seed: int) -> Iterator[Thing]:
    arc, total = _along(edge)
    s = 6.0
    while s < total - 2.0:
        x, y, yaw = _at(edge, arc, s)
        rng = _generator(seed, b"tree", x, y)
        s += rng.uniform(8.0, 22.0)
        if rng.random() < 0.7:
            yield from _tree(*_beside(x, y, yaw, rng.uniform(2.0, 5.5)), site, rng)


def _park_trees(streets: Streets, site: Site, seed: int) -> Iterator[Thing]:
    for x, y in _park_cells(streets.lanes[:, :2]):
        rng = _generator(seed, b"park", x, y)
        place = np.array([[x, y]]) + rng.uniform(-8.0, 8.0, 2)
        if rng.random() < 0.35 and site.off_lanes(place, 12.0):
            yield from _tree(float(place[0, 0]), float(place[0, 1]), site, rng)


def _park_cells(lanes: Floats) -> list[tuple[float, float]]:
    """The corners of the cells of the map, or of those near lanes where there are very many."""
    low, high = lanes.min(axis=0) - 60.0, lanes.max(axis=0) + 60.0
    if np.prod((high - low) / _PARK_CELL_M) < _PARK_CELLS:
        first = np.floor(low / _PARK_CELL_M) * _PARK_CELL_M
        across, along = (np.arange(first[axis], high[axis], _PARK_CELL_M) for axis in (0, 1))
        return [(x, y) for x in across for y in along]
    on_road = np.unique(np.floor(lanes / _PARK_CELL_M).astype(np.int64), axis=0)
    around = np.stack(np.meshgrid(np.arange(-3, 4), np.arange(-3, 4)), axis=-1).reshape(-1, 2)
    near = np.unique((on_road[:, None] + around).reshape(-1, 2), axis=0)
    return [(x, y) for x, y in (near * _PARK_CELL_M).tolist()]
