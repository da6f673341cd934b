"""Intervals from resampled scenes."""

from __future__ import annotations

import numpy as np
import pytest

from carla_cp.metrics.detection import area, curve, match
from carla_cp.metrics.intervals import interval, resampled_areas, resamples

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
