"""How far a figure depends on the scenes that happened to be drawn: the bootstrap over scenes.

Efron, Bootstrap methods, The Annals of Statistics 1979: whole scenes are drawn with replacement, because frames of one
scene are no independent draws, and the 2.5 and 97.5 % points of what comes out are the interval.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from carla_cp.metrics.detection import Curve, weighted_area
from carla_cp.types import FloatArray, IntArray


def resamples(scenes: Sequence[str], count: int, seed: int) -> IntArray:
    """How often each frame counts in each resample: (count, frames); `scenes` names the scene of each frame.

    The same scenes, count and seed give the same resamples, so that differences of two rows are paired. Of a single
    scene there are none: it would always be drawn itself, and an interval without width say that there is no doubt.
    """
    names = sorted(set(scenes))
    if len(names) == 1:
        return np.zeros((0, len(scenes)), np.int64)
    if not names or not count:
        return np.zeros((count, len(scenes)), np.int64)
    rng = np.random.default_rng([seed, zlib.crc32(b"bootstrap")])
    drawn = rng.integers(0, len(names), (count, len(names)))
    times = np.stack([np.bincount(row, minlength=len(names)) for row in drawn])
    column = {name: index for index, name in enumerate(names)}
    return np.asarray(times[:, [column[name] for name in scenes]], np.int64)


def resampled_areas(traced: Curve, weights: IntArray) -> FloatArray:
    """The average precision in each resample (count,) of weights (count, frames); NaN where it holds no truth."""
    return np.array([weighted_area(traced, row) for row in weights], np.float64)


def interval(values: FloatArray) -> tuple[float, float] | None:
    """The middle 95 % of the resampled values, or None where a resample leaves the figure undefined."""
    if not len(values) or np.isnan(values).any():
        return None
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
