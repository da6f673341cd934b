"""Bodies that touch: oriented boxes in the plane, by the separating axis theorem, and what the touch does to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carla_cp.server.physics import Body

_RESTITUTION = 0.1


@dataclass(frozen=True, slots=True)
class Overlap:
    """How deep two boxes reach into each other, and which way the first must go to leave."""

    normal_x: float
    normal_y: float
    depth: float  # [m]


@dataclass(frozen=True, slots=True)
class Contact:
    """Two bodies that touched in this step."""

    first: int  # index of a body
    second: int  # index of a body, or of an obstacle where `fixed`
    fixed: bool
    impulse: tuple[float, float, float]  # on the first [N s]


def overlap(first: Body, second: Body) -> Overlap | None:
    """The least overlap of two boxes seen from above, or None when they do not touch or lie at different heights."""
    if first.z + first.height < second.z or second.z + second.height < first.z:
        return None
    dx, dy = first.x - second.x, first.y - second.y
    best: Overlap | None = None
    for yaw in (first.yaw, first.yaw + math.pi / 2, second.yaw, second.yaw + math.pi / 2):
        ax, ay = math.cos(yaw), math.sin(yaw)
        along = dx * ax + dy * ay
        depth = _reach(first, ax, ay) + _reach(second, ax, ay) - abs(along)
        if depth <= 0.0:
            return None
        if best is None or depth < best.depth - 1e-9:
            sign = 1.0 if along >= 0.0 else -1.0
            best = Overlap(sign * ax, sign * ay, depth)
    return best


def _reach(body: Body, ax: float, ay: float) -> float:
    cos, sin = math.cos(body.yaw), math.sin(body.yaw)
    return body.length / 2 * abs(ax * cos + ay * sin) + body.width / 2 * abs(ay * cos - ax * sin)


def collide(bodies: Sequence[Body], obstacles: Sequence[Body], places: npt.NDArray[np.float64]) -> list[Contact]:
    """Resolves every contact of a moving body, in the order of the bodies, and returns them.

    `places` (M, 3): x, y and radius of the obstacles. Bodies are pushed apart and lose the speed they met with.
    """
    if not any(body.moving for body in bodies):
        return []
    found = np.array([(body.x, body.y, math.hypot(body.length, body.width) / 2) for body in bodies])
    contacts = []
    for first, second in _near(found, found):
        if first < second and (bodies[first].moving or bodies[second].moving):
            impulse = _meet(bodies[first], bodies[second])
            if impulse is not None:
                contacts.append(Contact(first, second, False, impulse))
    for index, obstacle in _near(found, places):
        if bodies[index].moving:
            impulse = _meet(bodies[index], obstacles[obstacle])
            if impulse is not None:
                contacts.append(Contact(index, obstacle, True, impulse))
    return contacts


def _near(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    if not len(first) or not len(second):
        return []
    apart = np.hypot(first[:, None, 0] - second[None, :, 0], first[:, None, 1] - second[None, :, 1])
    rows, columns = np.nonzero(apart < first[:, None, 2] + second[None, :, 2])
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _meet(first: Body, second: Body) -> tuple[float, float, float] | None:
    """Separates two bodies; the impulse on the first, or None when they do not touch or nothing can move."""
    touch = overlap(first, second)
    shares = first.inverse_mass + second.inverse_mass
    if touch is None or shares == 0.0:
        return None
    nx, ny = touch.normal_x, touch.normal_y
    closing = (first.vx - second.vx) * nx + (first.vy - second.vy) * ny
    strength = max(0.0, -(1.0 + _RESTITUTION) * closing / shares)
    for body, sign in ((first, 1.0), (second, -1.0)):
        if body.inverse_mass > 0.0:
            share = sign * body.inverse_mass / shares * touch.depth
            body.x, body.y = body.x + share * nx, body.y + share * ny
            change = sign * strength * body.inverse_mass
            body.set_velocity(body.vx + change * nx, body.vy + change * ny)
    return strength * nx, strength * ny, 0.0
