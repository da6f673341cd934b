"""Intervals of rates, of means, and from resampled scenes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from carla_cp.metrics.detection import area, curve, match
from carla_cp.metrics.intervals import interval, mean_interval, resampled_areas, resamples, wilson_interval

from .test_detection import car, frame, random_frame


def test_a_resample_draws_as_many_scenes_as_there_are_and_takes_their_frames_whole() -> None:
    scenes = ["a"] * 3 + ["b"] * 2 + ["c"]
    weights = resamples(scenes, 50, 7)
    assert weights.shape == (50, 6)
    assert (weights[:, [0, 3, 5]].sum(axis=1) == 3).all()
    assert (weights[:, 0] == weights[:, 2]).all() and (weights[:, 3] == weights[:, 4]).all()
    np.testing.assert_array_equal(weights, resamples(scenes, 50, 7))
    assert (weights != resamples(scenes, 50, 8)).any()


def test_a_frame_that_counts_twice_is_that_frame_twice() -> None:
    rng = np.random.default_rng(3)
    frames = [random_frame(rng) for _ in range(12)]
    weights = rng.integers(0, 4, (20, 12))
    fast = resampled_areas(curve([match(item, (0.5,)) for item in frames], 0), weights)
    for row, value in zip(weights, fast, strict=True):
        repeated = [match(item, (0.5,)) for item, times in zip(frames, row, strict=True) for _ in range(times)]
        assert value == pytest.approx(area(curve(repeated, 0)), abs=1e-12)


def test_scenes_that_agree_leave_no_doubt_and_scenes_that_differ_do() -> None:
    good, bad = frame([car(0)], [0.9], [car(0)]), frame([car(50)], [0.8], [car(0)])
    scenes = [str(number) for number in range(20)]
    weights = resamples(scenes, 100, 0)
    alike = curve([match(good, (0.5,))] * 20, 0)
    mixed = curve([match(item, (0.5,)) for item in [good, bad] * 10], 0)
    assert interval(resampled_areas(alike, weights)) == (1.0, 1.0)
    ends = interval(resampled_areas(mixed, weights))
    assert ends is not None and ends[0] < 0.4 < 0.6 < ends[1]


def test_without_truth_or_resamples_there_is_no_interval() -> None:
    empty = curve([match(frame([car(0)], [0.9], []), (0.5,))], 0)
    assert interval(resampled_areas(empty, resamples(["a"], 5, 0))) is None
    assert interval(resampled_areas(empty, resamples(["a"], 0, 0))) is None
    assert resamples([], 5, 0).shape == (5, 0)


def test_one_scene_alone_has_no_interval() -> None:
    found = curve([match(frame([car(0)], [0.9], [car(0), car(20)]), (0.5,))] * 2, 0)
    assert interval(resampled_areas(found, resamples(["a", "a"], 50, 0))) is None


def test_wilson_s_interval_has_the_published_values_and_scipy_s() -> None:
    assert list(wilson_interval(0, 10)) == pytest.approx([0.0, 0.2775], abs=1e-4)
    assert list(wilson_interval(8, 10)) == pytest.approx([0.4902, 0.9433], abs=1e-4)
    assert wilson_interval(10, 10)[1] == 1.0
    assert wilson_interval(0, 0) == (0.0, 1.0)
    for hits, trials in ((1, 7), (13, 120), (59, 60)):
        expected = binomtest(hits, trials).proportion_ci(0.95, "wilson")
        assert list(wilson_interval(hits, trials)) == pytest.approx([expected.low, expected.high])


def test_a_mean_s_interval_is_scipy_s_percentile_bootstrap() -> None:
    values = np.random.default_rng(3).gamma(2.0, 10.0, 40)
    expected = bootstrap((values,), np.mean, n_resamples=9999, method="percentile", rng=1).confidence_interval
    found = mean_interval(values.tolist())
    assert found is not None
    assert list(found) == pytest.approx([expected.low, expected.high], rel=0.03)
    assert found == mean_interval(values.tolist())


def test_a_mean_of_a_hundred_and_none_ranges_over_the_binomial_s_middle() -> None:
    # Of ten draws of 0 or 100, 2.5 % have at most 2 and as many at least 8 hits (binomial, p 0.5).
    assert mean_interval([0.0, 100.0] * 5) == pytest.approx((20.0, 80.0))


def test_a_mean_of_less_than_two_values_has_no_interval() -> None:
    assert mean_interval([]) is None
    assert mean_interval([3.0]) is None
    assert mean_interval([3.0, 3.0]) == (3.0, 3.0)
