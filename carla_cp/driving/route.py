"""A path in the plane, addressed by its arc length."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from carla_cp.types import FloatArray

_SMOOTHING_M = 2.0  # window of the heading from which curvature is taken


class Route:
    """A polyline resampled evenly; arc length s runs from 0 to `length`, lateral offsets are positive to the right."""

    def __init__(self, points: FloatArray, spacing_m: float = 0.5, against: Sequence[tuple[float, float]] = ()) -> None:
        """Points (N, 2) or wider, world x, y [m], N >= 2 of them distinct; repeated ones are skipped.

        `against` are the stretches, from one arc length to another, that lead along a lane of oncoming traffic.
        """
        self._against = tuple(against)
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

    def is_against(self, s: float) -> bool:
        """Whether the route leads along a lane of oncoming traffic at s."""
        return any(first <= s <= last for first, last in self._against)

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
        start, stop = self._window(*((0.0, self.length) if hint_s is None else (hint_s - 15.0, hint_s + 30.0)))
        offset_x, offset_y = x - self._xy[start : stop + 1, 0], y - self._xy[start : stop + 1, 1]
        sample = start + int(np.argmin(offset_x * offset_x + offset_y * offset_y))
        offset_x, offset_y = offset_x[sample - start], offset_y[sample - start]
        edge_x, edge_y = self._edges[min(sample, stop - 1)]
        if sample == stop or (sample > start and offset_x * edge_x + offset_y * edge_y < 0.0):
            sample -= 1
        edge_x, edge_y = self._edges[sample]
        offset_x, offset_y = x - self._xy[sample, 0], y - self._xy[sample, 1]
        part = float(offset_x * edge_x + offset_y * edge_y) / float(self._edge_squares[sample])
        part = min(max(part, 0.0), 1.0)
        distance = math.hypot(offset_x - part * edge_x, offset_y - part * edge_y)
        return (sample + part) * self._step, math.copysign(distance, edge_x * offset_y - edge_y * offset_x)

    def project_many(self, points: FloatArray, from_s: float, to_s: float) -> tuple[FloatArray, FloatArray]:
        """Arc lengths (N,) and lateral offsets (N,) of points (N, 2) on the part of the route in between.

        An offset is the whole distance to the nearest point, so that what lies beyond an end counts as far away.
        """
        start, stop = self._window(from_s, to_s)
        # Relative to the window's first sample, so that large map coordinates cost no digits.
        samples, local = self._xy[start : stop + 1] - self._xy[start], points - self._xy[start]
        sample = np.argmin(np.einsum("ij,ij->i", samples, samples) - 2.0 * local @ samples.T, axis=1)
        offset = local - samples[sample]
        backwards = np.einsum("ij,ij->i", offset, self._edges[np.minimum(sample + start, stop - 1)]) < 0.0
        sample = sample - ((sample == stop - start) | (backwards & (sample > 0)))
        edge = self._edges[sample + start]
        offset = local - samples[sample]
        part = np.einsum("ij,ij->i", offset, edge) / self._edge_squares[sample + start]
        part = np.minimum(np.maximum(part, 0.0), 1.0)
        rest = offset - part[:, None] * edge
        distance = np.sqrt(np.einsum("ij,ij->i", rest, rest))
        side = edge[:, 0] * offset[:, 1] - edge[:, 1] * offset[:, 0]
        return (start + sample + part) * self._step, np.copysign(distance, side)

    def _window(self, from_s: float, to_s: float) -> tuple[int, int]:
        """Its first and last sample; at least one edge."""
        last = len(self._edges)
        start = min(max(int(from_s / self._step), 0), last - 1)
        return start, min(max(math.ceil(to_s / self._step), start + 1), last)
