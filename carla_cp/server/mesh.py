"""Labelled triangle meshes and the few solids that everything in the town is made of.

Labels are CARLA's semantic tags (ObjectLabel.h of CARLA 0.9.14 and later).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt


class Tag(IntEnum):
    """CARLA's semantic tags, as far as this town has such things."""

    NONE = 0
    ROAD = 1
    SIDEWALK = 2
    BUILDING = 3
    POLE = 6
    TRAFFIC_LIGHT = 7
    TRAFFIC_SIGN = 8
    VEGETATION = 9
    TERRAIN = 10
    PEDESTRIAN = 12
    RIDER = 13
    CAR = 14
    TRUCK = 15
    BUS = 16
    MOTORCYCLE = 18
    BICYCLE = 19
    STATIC = 20


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Triangles with one label each; the winding means nothing."""

    vertices: npt.NDArray[np.float32]  # (V, 3) [m]
    triangles: npt.NDArray[np.int32]  # (T, 3) indices into vertices
    labels: npt.NDArray[np.uint8]  # (T,) Tag

    def __post_init__(self) -> None:
        if self.vertices.ndim != 2 or self.vertices.shape[1] != 3 or self.vertices.dtype != np.float32:
            raise ValueError(f"mesh vertices are {self.vertices.dtype}{self.vertices.shape}; give float32 (V, 3)")
        if self.triangles.ndim != 2 or self.triangles.shape[1] != 3 or self.triangles.dtype != np.int32:
            raise ValueError(f"mesh triangles are {self.triangles.dtype}{self.triangles.shape}; give int32 (T, 3)")
        if self.labels.shape != (len(self.triangles),) or self.labels.dtype != np.uint8:
            raise ValueError(f"mesh labels are {self.labels.dtype}{self.labels.shape}; give uint8, one per triangle")
        if len(self.triangles) and not 0 <= self.triangles.min() <= self.triangles.max() < len(self.vertices):
            raise ValueError(f"a mesh triangle names a vertex outside 0..{len(self.vertices) - 1}")


def make(vertices: npt.ArrayLike, triangles: npt.ArrayLike, label: int) -> Mesh:
    """The mesh of these (V, 3) vertices and (T, 3) triangles under one label."""
    corners = np.asarray(vertices, np.float32).reshape(-1, 3)
    faces = np.asarray(triangles, np.int32).reshape(-1, 3)
    return Mesh(corners, faces, np.full(len(faces), label, np.uint8))


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh with the triangles of all, in order; of no meshes, an empty mesh."""
    if not meshes:
        return make(np.empty((0, 3)), np.empty((0, 3)), Tag.NONE)
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate(
            [mesh.triangles + np.int32(start) for mesh, start in zip(meshes, starts, strict=True)], dtype=np.int32
        ),
        np.concatenate([mesh.labels for mesh in meshes]),
    )


def transformed(mesh: Mesh, matrix: npt.NDArray[np.floating[Any]]) -> Mesh:
    """The mesh mapped by a 4 x 4 affine matrix."""
    linear, offset = np.asarray(matrix, np.float64)[:3, :3], np.asarray(matrix, np.float64)[:3, 3]
    vertices = mesh.vertices.astype(np.float64) @ linear.T + offset
    return Mesh(vertices.astype(np.float32), mesh.triangles, mesh.labels)


def loft(rings: npt.ArrayLike, label: int) -> Mesh:
    """The closed solid through S rings of K points, (S, K, 3): quads between neighbours, a convex cap at both ends."""
    points = np.asarray(rings, np.float32)
    sections, size = points.shape[:2]
    here = np.arange(size)
    ahead = (here + 1) % size
    step = size * np.arange(sections - 1)[:, None]
    lower = np.stack([step + here, step + ahead, step + size + here], axis=-1).reshape(-1, 3)
    upper = np.stack([step + ahead, step + size + ahead, step + size + here], axis=-1).reshape(-1, 3)
    fan = np.stack([np.zeros(size - 2, int), here[1:-1], here[2:]], axis=-1)
    return make(points.reshape(-1, 3), np.concatenate([lower, upper, fan, fan + size * (sections - 1)]), label)


def cuboid(low: Sequence[float], high: Sequence[float], label: int) -> Mesh:
    """The axis-parallel box between two opposite corners."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    square = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return loft([[(x, y, z) for x, y in square] for z in (z0, z1)], label)


def tube(
    start: Sequence[float], end: Sequence[float], radius: float | tuple[float, float], sides: int, label: int
) -> Mesh:
    """The regular prism (or cone frustum, with two radii) from `start` to `end`, closed at both ends."""
    first, last = np.asarray(start, float), np.asarray(end, float)
    axis = (last - first) / np.linalg.norm(last - first)
    # Any vector well off the axis starts the ring.
    across = np.cross(axis, (0.0, 0.0, 1.0) if abs(axis[2]) < 0.9 else (1.0, 0.0, 0.0))
    across /= np.linalg.norm(across)
    angle = 2.0 * math.pi * (np.arange(sides) + 0.5) / sides
    ring = np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * np.cross(axis, across)
    begin, finish = radius if isinstance(radius, tuple) else (radius, radius)
    return loft([first + begin * ring, last + finish * ring], label)


def sphere(centre: Sequence[float], radii: Sequence[float], sides: int, label: int) -> Mesh:
    """An ellipsoid of `sides` meridians and half as many bands, its poles cut off at 10 degrees."""
    elevation = np.radians(np.linspace(-80.0, 80.0, max(sides // 2, 2) + 1))
    angle = 2.0 * math.pi * np.arange(sides) / sides
    unit = np.stack(
        [
            np.cos(elevation)[:, None] * np.cos(angle),
            np.cos(elevation)[:, None] * np.sin(angle),
            np.sin(elevation)[:, None] / math.sin(math.radians(80.0)) + 0.0 * angle,
        ],
        axis=-1,
    )
    return loft(np.asarray(centre) + unit * np.asarray(radii), label)
