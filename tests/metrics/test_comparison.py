"""The table of codecs and budgets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carla_cp.metrics.comparison import comparison, paired
from carla_cp.metrics.intervals import mean_interval, wilson_interval
from carla_cp.metrics.pairs import McNemar

from .summaries import crossed


def test_rows_group_by_codec_and_budget_in_order_of_appearance() -> None:
    rows = comparison(
        [
            crossed("revqom", 2000, 0),
            crossed("none", None, 0, aware=False),
            crossed("revqom", 1000, 0),
            crossed("revqom", 2000, 1),
            crossed("none", None, 1, aware=True),
        ]
    )
    assert [row.label for row in rows] == ["revqom@2000", "none@max", "revqom@1000"]
    assert [row.episodes for row in rows] == [2, 2, 1]
    assert [row.collision.value for row in rows] == [0.0, 0.5, 0.0]
    assert rows[1].collision.ci95 == wilson_interval(1, 2)
    assert rows[1].bytes_per_message is None
    assert rows[0].bytes_per_message is not None
    assert 1850 <= rows[0].bytes_per_message <= 2000
    assert rows[0].driving_score_lb21.value == 100.0
    assert rows[0].ap50.value == 1.0


def test_means_are_over_the_episodes_in_which_a_figure_is_defined() -> None:
    episodes = [
        replace(crossed("none", None, seed), time_to_awareness_s=value) for seed, value in enumerate((1.0, 3.0))
    ]
    (row,) = comparison([*episodes, crossed("none", None, 2, aware=False)])
    assert (row.time_to_awareness_s.value, row.time_to_awareness_s.episodes) == (2.0, 2)
    assert row.time_to_awareness_s.ci95 == mean_interval([1.0, 3.0])
    assert (row.impact_mps.episodes, row.impact_mps.ci95) == (1, None)
    assert row.success.value == pytest.approx(2 / 3)


def test_episodes_pair_by_situation_and_seed_and_the_rest_is_left_out() -> None:
    first = [crossed("late", 2000, seed, scenario=name) for name in "ab" for seed in (0, 1)]
    second = [crossed("none", None, seed, scenario=name) for name, seed in (("b", 1), ("a", 0), ("c", 0))]
    assert [(one.scenario, one.seed, two.codec) for one, two in paired(first, second)] == [
        ("a", 0, "none"),
        ("b", 1, "none"),
    ]
    assert paired(first, ()) == []


def test_codecs_are_tested_on_their_common_episodes_pooled_over_situations() -> None:
    alone = [crossed("none", None, seed, aware=False, scenario=name) for name in "ab" for seed in range(3)]
    shared = [crossed("late", 2000, seed, aware=seed > 0, scenario=name) for name in "ab" for seed in range(3)]
    rows = comparison([*alone, *shared[1:]])
    (against,) = rows[1].against
    assert (against.codec, against.budget_bytes) == ("none", None)
    assert against.test == McNemar(5, 0, 4, 0.125)
    assert rows[1].p_against("none") == rows[0].p_against("late") == 0.125
    assert rows[1].p_against("raw") is None


def test_gain_and_sct_are_over_what_none_and_oracle_have_too() -> None:
    alone = [crossed("none", None, seed, aware=False) for seed in range(4)]
    best = [replace(crossed("oracle", None, seed), sim_s=5.0) for seed in range(4)]
    late = [replace(crossed("late", 2000, seed, aware=seed > 0), sim_s=10.0) for seed in range(5)]
    rows = comparison([*alone, *late, *best])
    assert [row.collision_gain for row in rows] == [0.0, pytest.approx(0.75), 1.0]
    assert [row.score_gain for row in rows] == [0.0, pytest.approx(0.75), 1.0]
    assert [row.sct for row in rows] == [0.0, pytest.approx(0.75 * 0.5), 1.0]
    assert comparison(late)[0].collision_gain is comparison(late)[0].sct is None
