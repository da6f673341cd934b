"""The table of codecs and budgets."""

from __future__ import annotations

import pytest

from carla_cp.metrics.comparison import comparison, wilson_interval
from carla_cp.metrics.summary import summarise

from .builders import crossing


def test_wilson_s_interval_has_the_published_values() -> None:
    assert list(wilson_interval(0, 10)) == pytest.approx([0.0, 0.2775], abs=1e-4)
    assert list(wilson_interval(8, 10)) == pytest.approx([0.4902, 0.9433], abs=1e-4)
    assert wilson_interval(10, 10)[1] == 1.0
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_rows_group_by_codec_and_budget_in_order_of_appearance() -> None:
    drives = [
        crossing("revqom", 2000, 0),
        crossing("none", None, 0, aware=False),
        crossing("revqom", 1000, 0),
        crossing("revqom", 2000, 1),
        crossing("none", None, 1, aware=True),
    ]
    rows = comparison([summarise(drive, "violator") for drive in drives])
    assert [row.label for row in rows] == ["revqom@2000", "none@max", "revqom@1000"]
    assert [row.episodes for row in rows] == [2, 2, 1]
    assert [row.collision_rate for row in rows] == [0.0, 0.5, 0.0]
    assert rows[1].bytes_per_message is None
    assert rows[0].bytes_per_message is not None
    assert 1850 <= rows[0].bytes_per_message <= 2000
    assert rows[0].driving_score_lb21 == 100.0
    assert rows[0].ap50 == 1.0
