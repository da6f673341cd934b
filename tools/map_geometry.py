"""Reference lines made of straight lines and arcs.

OpenDRIVE's frame has y to the left; CARLA mirrors it. Headings here are OpenDRIVE's, counter-clockwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

STRAIGHT_RAD = math.radians(3.0)  # below this a connection counts as one straight line


@dataclass(frozen=True)
class Point:
    """A place on a reference line and the heading there: metres and radians."""

    x: float
    y: float
    hdg: float

    @property
    def reversed(self) -> Point:
        """The same place, looking back."""
        return Point(self.x, self.y, self.hdg + math.pi)


@dataclass(frozen=True)
class Geometry:
    """One piece of a reference line: a line, or an arc whose curvature in 1/m is positive to the left."""

    length_m: float
    curvature: float = 0.0


PlanView = tuple[Geometry, ...]


def follow(start: Point, plan_view: PlanView) -> Point:
    """Where a reference line ends."""
    x, y, hdg = start.x, start.y, start.hdg
    for piece in plan_view:
        turn = piece.length_m * piece.curvature
        if piece.curvature == 0.0:
            x, y = x + piece.length_m * math.cos(hdg), y + piece.length_m * math.sin(hdg)
        else:
            x += (math.sin(hdg + turn) - math.sin(hdg)) / piece.curvature
            y -= (math.cos(hdg + turn) - math.cos(hdg)) / piece.curvature
        hdg += turn
    return Point(x, y, hdg)


def beside(point: Point, left_m: float) -> Point:
    """The point moved to the left of its heading."""
    return Point(point.x - left_m * math.sin(point.hdg), point.y + left_m * math.cos(point.hdg), point.hdg)


def backwards(plan_view: PlanView) -> PlanView:
    """The same line, travelled the other way."""
    return tuple(Geometry(piece.length_m, -piece.curvature) for piece in reversed(plan_view))


def fillet(begin: Point, end: Point, inside_m: float) -> PlanView:
    """Line, arc, line from one tangent to another, with the widest arc that fits.

    Raises ValueError if the arc is too tight for `inside_m` metres of lanes on its right.
    """
    turn = (end.hdg - begin.hdg + math.pi) % (2 * math.pi) - math.pi
    dx, dy = end.x - begin.x, end.y - begin.y
    along = dx * math.cos(begin.hdg) + dy * math.sin(begin.hdg)
    across = dy * math.cos(begin.hdg) - dx * math.sin(begin.hdg)
    if abs(turn) < STRAIGHT_RAD:
        if abs(across) > 1e-6 or abs(turn) > 1e-9:
            raise ValueError(f"a straight connection is {across:.3f} m and {turn:.4f} rad off")
        return (Geometry(along),)
    last = across / math.sin(turn)  # tangent lengths up to and from their intersection
    first = along - last * math.cos(turn)
    tangent = min(first, last)
    radius = tangent / math.tan(abs(turn) / 2)
    if turn < 0 and radius < inside_m + 1.0:
        raise ValueError(f"a right turn of radius {radius:.1f} m is too tight: move the roads away from the junction")
    arc = Geometry(radius * abs(turn), math.copysign(1 / radius, turn))
    pieces = (Geometry(first - tangent), arc, Geometry(last - tangent))
    return tuple(piece for piece in pieces if piece.length_m > 1e-6)
