"""How far a figure depends on the scenes or episodes that happened to be drawn: 95 % intervals.

Of a rate by Wilson's score; of a mean, and of anything over whole scenes, by the bootstrap (Efron, Bootstrap methods,
The Annals of Statistics 1979): scenes or episodes are drawn with replacement, because frames of one are no independent
draws, and the 2.5 and 97.5 % points of what comes out are the interval.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np

from carla_cp.metrics.detection import Curve, weighted_area
from carla_cp.types import FloatArray, IntArray

Z_95 = 1.959963984540054  # the normal's 97.5 % point
MEAN_RESAMPLES = 2000


def wilson_interval(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson, JASA 1927); (0, 1) without trials."""
    if not trials:
        return 0.0, 1.0
    rate, weight = hits / trials, Z_95**2 / trials
    centre = (rate + weight / 2) / (1 + weight)
    half = Z_95 * math.sqrt(rate * (1 - rate) / trials + weight / (4 * trials)) / (1 + weight)
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    high = 1.0 if hits == trials else min(1.0, centre + half)
    return low, high


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % percentile bootstrap interval of a mean; None of fewer than two values, which say nothing of spread.

    2000 resamples from one fixed seed: the same values in the same order give the same interval.
    """
    if len(values) < 2:
        return None
    rng = np.random.default_rng([0, zlib.crc32(b"mean")])
    drawn = rng.integers(0, len(values), (MEAN_RESAMPLES, len(values)))
    return interval(np.asarray(values, np.float64)[drawn].mean(axis=1))


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
