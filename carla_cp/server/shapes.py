"""The shapes of cars, vans, trucks, buses, cyclists, pedestrians and props, scaled to any bounding box.

Each is written in parts of its box: x in [-0.5, 0.5] of the length, y in [-0.5, 0.5] of the width, z in [0, 1] of
the height, and fills it exactly. CARLA's boxes of cars include the mirrors, so bodies are narrower than their box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from carla_cp.server.mesh import Mesh, Tag, cuboid, loft, merge, sphere, transformed, tube

# x, z of the sill, z of the top, width at the sill, width at the top
Section = tuple[float, float, float, float, float]


def _body(sections: Sequence[Section], label: int) -> Mesh:
    """A closed body through octagonal sections along x, with rounded upper and lower edges."""
    rings = []
    for x, low, high, wide, narrow in sections:
        bulge, edge = max(wide, narrow), (high - low) * 0.25
        half = [(wide / 2 * 0.9, low), (bulge / 2, low + edge), (bulge / 2, high - edge), (narrow / 2 * 0.9, high)]
        rings.append([(x, y, z) for y, z in half] + [(x, -y, z) for y, z in reversed(half)])
    return loft(rings, label)


def _wheels(
    axles: Sequence[float], radius: tuple[float, float], track: float, width: float, label: int, sides: int = 10
) -> list[Mesh]:
    """Wheels on both sides; `radius` is in parts of the length and of the height, so that they come out round."""
    along, up = radius
    discs = []
    for x in axles:
        for side in (-1, 1):
            unit = tube((0, side * (track / 2 - width), 0), (0, side * track / 2, 0), 1.0, sides, label)
            scale = np.diag([along, 1.0, up, 1.0])
            scale[:3, 3] = x, 0.0, up
            discs.append(transformed(unit, scale))
    return discs


def _round(radius_m: float, length: float, height: float) -> tuple[float, float]:
    """A radius in parts of the length and of the height; the ring of a tube touches its circle at mid-side."""
    return radius_m / length, radius_m / height


def _car(length: float, width: float, height: float) -> list[Mesh]:
    """A saloon, or a hatchback whose cabin reaches the tail where the car is short for its height.

    Heights along the car and widths over its height follow the returns of cars in OPV2V sweeps to about 0.1.
    """
    tag = Tag.CAR
    hull: list[Section] = [
        (-0.50, 0.26, 0.60, 0.72, 0.70),
        (-0.47, 0.16, 0.68, 0.86, 0.80),
        (-0.36, 0.13, 0.70, 0.92, 0.86),
        (0.16, 0.13, 0.71, 0.92, 0.88),
        (0.38, 0.13, 0.65, 0.92, 0.84),
        (0.47, 0.15, 0.58, 0.84, 0.74),
        (0.50, 0.22, 0.48, 0.66, 0.62),
    ]
    saloon: list[Section] = [
        (-0.40, 0.62, 0.72, 0.86, 0.74),
        (-0.25, 0.62, 0.94, 0.88, 0.64),
        (-0.10, 0.62, 1.00, 0.89, 0.66),
        (0.04, 0.62, 0.98, 0.89, 0.66),
        (0.24, 0.62, 0.72, 0.88, 0.76),
    ]
    hatchback: list[Section] = [
        (-0.49, 0.62, 0.76, 0.80, 0.72),
        (-0.42, 0.62, 0.93, 0.86, 0.66),
        (-0.20, 0.62, 1.00, 0.89, 0.68),
        (0.04, 0.62, 0.98, 0.89, 0.66),
        (0.26, 0.62, 0.71, 0.88, 0.76),
    ]
    cabin = hatchback if length / height < 2.9 else saloon
    mirrors = [cuboid((0.15, y - 0.035, 0.63), (0.18, y + 0.035, 0.73), tag) for y in (-0.465, 0.465)]
    wheels = _wheels((-0.31, 0.32), _round(0.22 * height, length, height), 0.90, 0.12, tag)
    return [_body(hull, tag), _body(cabin, tag), *mirrors, *wheels]


def _van(length: float, width: float, height: float) -> list[Mesh]:
    tag = Tag.CAR
    hull: list[Section] = [
        (-0.50, 0.12, 0.93, 0.86, 0.78),
        (-0.48, 0.10, 0.98, 0.92, 0.82),
        (0.00, 0.10, 1.00, 0.92, 0.84),
        (0.18, 0.10, 0.98, 0.92, 0.82),
        (0.36, 0.10, 0.60, 0.92, 0.80),
        (0.47, 0.11, 0.50, 0.88, 0.76),
        (0.50, 0.16, 0.40, 0.74, 0.68),
    ]
    mirrors = [cuboid((0.26, y - 0.035, 0.52), (0.28, y + 0.035, 0.66), tag) for y in (-0.465, 0.465)]
    wheels = _wheels((-0.32, 0.32), _round(0.16 * height, length, height), 0.90, 0.12, tag)
    return [_body(hull, tag), *mirrors, *wheels]


def _truck(length: float, width: float, height: float) -> list[Mesh]:
    tag = Tag.TRUCK
    cab = min(0.45, 2.1 / length)
    rear = 0.5 - cab
    front: list[Section] = [
        (rear + 0.01, 0.14, 0.84, 0.90, 0.86),
        (rear + 0.5 * cab, 0.14, 0.84, 0.90, 0.84),
        (0.5 - 0.12 * cab, 0.14, 0.52, 0.90, 0.84),
        (0.5, 0.16, 0.46, 0.86, 0.80),
    ]
    # Side skirts reach down between the wheels, so that a truck hides what a LiDAR on a roof would see beneath it.
    cargo = cuboid((-0.5, -0.47, 0.17), (rear - 0.02, 0.47, 1.0), tag)
    frame = cuboid((-0.48, -0.20, 0.12), (rear + 0.02, 0.20, 0.18), tag)
    mirrors = [cuboid((0.46, y - 0.03, 0.50), (0.475, y + 0.03, 0.64), tag) for y in (-0.47, 0.47)]
    wheels = _wheels((-0.5 + 0.9 / length, 0.5 - 1.1 / length), _round(0.48, length, height), 0.92, 0.13, tag)
    return [_body(front, tag), cargo, frame, *mirrors, *wheels]


def _bus(length: float, width: float, height: float) -> list[Mesh]:
    tag = Tag.BUS
    hull: list[Section] = [
        (-0.50, 0.12, 0.94, 0.90, 0.86),
        (-0.49, 0.10, 0.99, 0.96, 0.92),
        (0.00, 0.10, 1.00, 0.96, 0.92),
        (0.48, 0.10, 0.99, 0.96, 0.92),
        (0.50, 0.12, 0.86, 0.92, 0.84),
    ]
    mirrors = [cuboid((0.47, y - 0.025, 0.55), (0.48, y + 0.025, 0.70), tag) for y in (-0.475, 0.475)]
    wheels = _wheels((-0.26, 0.28), _round(0.48, length, height), 0.92, 0.10, tag)
    return [_body(hull, tag), *mirrors, *wheels]


def _rider(length: float, height: float, saddle: float, lean: float) -> list[Mesh]:
    """A person on a saddle at (-0.12, saddle), in parts of the box."""
    tag = Tag.RIDER
    hip, neck = np.array([-0.12, 0.0, saddle]), np.array([-0.12 + lean, 0.0, 0.84])
    parts = [
        loft([_slab(hip, 0.10, 0.30), _slab(0.5 * (hip + neck), 0.13, 0.44), _slab(neck, 0.11, 0.62)], tag),
        sphere((neck[0] + 0.03, 0.0, 0.925), (0.11 / length, 0.20, 0.075), 8, tag),
    ]
    for side in (-1.0, 1.0):
        knee = (0.10, side * 0.22, saddle - 0.08)
        parts.append(_limb((hip[0], side * 0.16, saddle), knee, 0.085, length, tag))
        parts.append(_limb(knee, (0.0, side * 0.18, 0.13), 0.06, length, tag))
        parts.append(_limb((neck[0], side * 0.30, 0.79), (0.26, side * 0.40, 0.58), 0.05, length, tag))
    return parts


def _slab(centre: np.ndarray[tuple[int, ...], np.dtype[np.float64]], along: float, across: float) -> list[list[float]]:
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [[centre[0] + sx * along / 2, sy * across / 2, float(centre[2])] for sx, sy in corners]


def _limb(start: Sequence[float], end: Sequence[float], thick: float, length: float, label: int) -> Mesh:
    """A square beam of `thick` metres along x and a seventh of the width across."""
    half = thick / length / 2
    rings = [
        [(x - half, y - 0.07, z), (x + half, y - 0.07, z), (x + half, y + 0.07, z), (x - half, y + 0.07, z)]
        for x, y, z in (start, end)
    ]
    return loft(rings, label)


def _two_wheeler(length: float, height: float, tag: Tag, radius_m: float, thick: float) -> list[Mesh]:
    along, up = _round(radius_m, length, height)
    axles = (-0.5 + along, 0.5 - along)
    wheels = []
    for x in axles:
        unit = tube((0, -thick / 2, 0), (0, thick / 2, 0), 1.0, 12, tag)
        scale = np.diag([along, 1.0, up, 1.0])
        scale[:3, 3] = x, 0.0, up
        wheels.append(transformed(unit, scale))
    fork = loft([_slab(np.array([axles[1], 0, up]), 0.03, thick), _slab(np.array([0.26, 0, 0.58]), 0.03, thick)], tag)
    bars = cuboid((0.24, -0.5, 0.575), (0.28, 0.5, 0.60), tag)
    return [*wheels, fork, bars]


def _bicycle(length: float, width: float, height: float) -> list[Mesh]:
    tag = Tag.BICYCLE
    beams = [
        loft([_slab(np.array([-0.12, 0, 0.25]), 0.03, 0.1), _slab(np.array([-0.12, 0, 0.50]), 0.03, 0.1)], tag),
        cuboid((-0.12, -0.05, 0.44), (0.26, 0.05, 0.47), tag),
        cuboid((-0.30, -0.05, 0.17), (0.0, 0.05, 0.20), tag),
        cuboid((-0.20, -0.15, 0.49), (-0.05, 0.15, 0.52), tag),
    ]
    return [
        *_two_wheeler(length, height, tag, 0.19 * height, 0.1),
        *beams,
        *_rider(length, height, 0.52, 0.20),
    ]


def _motorcycle(length: float, width: float, height: float) -> list[Mesh]:
    tag = Tag.MOTORCYCLE
    trunk: list[Section] = [
        (-0.42, 0.38, 0.50, 0.24, 0.20),
        (-0.15, 0.16, 0.50, 0.40, 0.30),
        (0.12, 0.14, 0.58, 0.46, 0.32),
        (0.26, 0.30, 0.60, 0.34, 0.26),
    ]
    return [
        *_two_wheeler(length, height, tag, 0.19 * height, 0.2),
        _body(trunk, tag),
        *_rider(length, height, 0.52, 0.18),
    ]


def _pedestrian(length: float, width: float, height: float) -> list[Mesh]:
    """In mid-stride along x, arms hanging out to the box's sides."""
    tag = Tag.PEDESTRIAN
    parts = [
        loft(
            [
                _slab(np.array([0.0, 0, z]), d, w)
                for z, d, w in ((0.47, 0.42, 0.5), (0.68, 0.46, 0.5), (0.83, 0.42, 0.66))
            ],
            tag,
        ),
        sphere((0.02, 0.0, 0.93), (0.28, 0.22, 0.07), 8, tag),
        cuboid((-0.12, -0.1, 0.82), (0.12, 0.1, 0.88), tag),
    ]
    for side in (-1.0, 1.0):
        hip, foot, hand = (0.0, side * 0.14, 0.49), (side * 0.33, side * 0.14, 0.0), (-side * 0.28, side * 0.42, 0.42)
        parts.append(_limb(hip, foot, 0.30 * length, length, tag))
        parts.append(cuboid((foot[0] - 0.17, foot[1] - 0.1, 0.0), (foot[0] + 0.17, foot[1] + 0.1, 0.04), tag))
        parts.append(_limb((0.0, side * 0.36, 0.82), hand, 0.22 * length, length, tag))
        parts.append(cuboid((hand[0] - 0.1, hand[1] - 0.08, 0.37), (hand[0] + 0.1, hand[1] + 0.08, 0.43), tag))
    return parts


def _prop(length: float, width: float, height: float) -> list[Mesh]:
    return [cuboid((-0.5, -0.5, 0.0), (0.5, 0.5, 1.0), Tag.STATIC)]


_SHAPES: dict[str, Callable[[float, float, float], list[Mesh]]] = {
    "car": _car,
    "van": _van,
    "truck": _truck,
    "bus": _bus,
    "motorcycle": _motorcycle,
    "bicycle": _bicycle,
    "pedestrian": _pedestrian,
    "prop": _prop,
}


@lru_cache(maxsize=256)
def actor_mesh(kind: str, length: float, width: float, height: float) -> Mesh:
    """The actor's mesh [m]: x forward, z up, origin on the ground under the box's centre; it fills the box exactly.

    Raises ValueError for an unknown kind or a size that is not positive.
    """
    if kind not in _SHAPES:
        raise ValueError(f"unknown actor kind {kind!r}; known: {', '.join(_SHAPES)}")
    if min(length, width, height) <= 0:
        raise ValueError(f"the size of a {kind} is {length} x {width} x {height} m; every side must be positive")
    mesh = merge(_SHAPES[kind](length, width, height))
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    unit = (mesh.vertices - low) / (high - low) + np.array([-0.5, -0.5, 0.0], np.float32)
    return Mesh(unit * np.array([length, width, height], np.float32), mesh.triangles, mesh.labels)
