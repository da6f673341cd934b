"""A path in the plane, addressed by its arc length."""

from __future__ import annotations

import math

import numpy as np

from carla_cp.types import FloatArray

_SMOOTHING_M = 2.0  # window of the heading from which curvature is taken


class Route:
    """A polyline resampled evenly; arc length s runs from 0 to `length`, lateral offsets are positive to the right."""

    def __init__(self, points: FloatArray, spacing_m: float = 0.5) -> None:
        """Points (N, 2) or wider, world x, y [m], N >= 2 of them distinct; repeated ones are skipped."""
        knots = np.asarray(points, float)[:, :2]
        moved = np.append(True, np.hypot(*np.diff(knots, axis=0).T) > 1e-6)
        knots = knots[moved]
        if len(knots) < 2:
            raise ValueError("a route needs two distinct points")
        along = np.append(0.0, np.cumsum(np.hypot(*np.diff(knots, axis=0).T)))
        self.length = float(along[-1])
        count = max(2, math.ceil(self.length / spacing_m) + 1)
        self._s = np.linspace(0.0, self.length, count)
        self._step = self.length / (count - 1)
        self._xy = np.column_stack([np.interp(self._s, along, knots[:, 0]), np.interp(self._s, along, knots[:, 1])])
        self._edges = np.diff(self._xy, axis=0)
        self._edge_squares = np.maximum(np.einsum("ij,ij->i", self._edges, self._edges), 1e-12)
        slope = np.gradient(self._xy, axis=0)
        self._yaw = np.unwrap(np.arctan2(slope[:, 1], slope[:, 0]))
        self._curvature = self._bends()

    def _bends(self) -> FloatArray:
        half = min(round(_SMOOTHING_M / self._step / 2), (len(self._s) - 1) // 2)
        padded = np.pad(self._yaw, half, mode="edge")
        smooth = np.convolve(padded, np.full(2 * half + 1, 1.0 / (2 * half + 1)), mode="valid")
        return np.asarray(np.gradient(smooth, self._step))

    def pose(self, s: float) -> tuple[float, float, float]:
        """World x, y and heading at s; beyond the ends the route goes on straight."""
        inside = min(max(s, 0.0), self.length)
        index = min(int(inside / self._step), len(self._edges) - 1)
        part = inside / self._step - index
        x, y = self._xy[index] + part * self._edges[index]
        yaw = float(self._yaw[index] + part * (self._yaw[index + 1] - self._yaw[index]))
        beyond = s - inside
        return float(x) + beyond * math.cos(yaw), float(y) + beyond * math.sin(yaw), yaw

    def headings(self, s: FloatArray) -> FloatArray:
        """Headings at many s, any shape, continuous along the route (not wrapped)."""
        return np.asarray(np.interp(s, self._s, self._yaw))

    def curvature(self, s: float) -> float:
        """Heading change per metre at s, positive to the right."""
        return float(np.interp(s, self._s, self._curvature))

    def curvatures(self, from_s: float, to_s: float) -> tuple[FloatArray, FloatArray]:
        """Arc lengths (K,) of the samples in between, and the curvature at each."""
        window = slice(*np.searchsorted(self._s, [from_s, to_s]))
        return self._s[window], self._curvature[window]

    def points(self, from_s: float, to_s: float) -> FloatArray:
        """The samples in between, (K, 2)."""
        return self._xy[slice(*np.searchsorted(self._s, [from_s, to_s]))]

    def project(self, x: float, y: float, hint_s: float | None = None) -> tuple[float, float]:
        """Arc length and lateral offset of the nearest point of the route; with a hint, near it only (-15 to 30 m)."""
        window = (0.0, self.length) if hint_s is None else (hint_s - 15.0, hint_s + 30.0)
        s, lateral = self.project_many(np.array([[x, y]]), *window)
        return float(s[0]), float(lateral[0])

    def project_many(self, points: FloatArray, from_s: float, to_s: float) -> tuple[FloatArray, FloatArray]:
        """Arc lengths (N,) and lateral offsets (N,) of points (N, 2) on the part of the route in between.

        An offset is the whole distance to the nearest point, so that what lies beyond an end counts as far away.
        """
        last = len(self._edges) - 1
        start = min(max(int(from_s / self._step), 0), last)
        stop = min(max(math.ceil(to_s / self._step), start + 1), last + 1)
        edges = self._edges[start:stop]
        offset_x = points[:, 0, None] - self._xy[None, start:stop, 0]
        offset_y = points[:, 1, None] - self._xy[None, start:stop, 1]
        part = (offset_x * edges[:, 0] + offset_y * edges[:, 1]) / self._edge_squares[start:stop]
        part = np.clip(part, 0.0, 1.0)
        squares = (offset_x - part * edges[:, 0]) ** 2 + (offset_y - part * edges[:, 1]) ** 2
        nearest = np.argmin(squares, axis=1)
        rows = np.arange(len(points))
        side = edges[nearest, 0] * offset_y[rows, nearest] - edges[nearest, 1] * offset_x[rows, nearest]
        s = (start + nearest + part[rows, nearest]) * self._step
        return s, np.copysign(np.sqrt(squares[rows, nearest]), side)
