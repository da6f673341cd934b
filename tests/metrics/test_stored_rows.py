"""Comparison rows as JSON."""

from __future__ import annotations

import json

from carla_cp.metrics.comparison import comparison
from carla_cp.metrics.stored_rows import row_to_json
from carla_cp.metrics.summary import summarise

from .builders import crossing, episode, record, state

DRIVES = [crossing(), crossing("none", None, aware=False), episode([record(0, state(0))], "raw", None, 5)]
ROWS = comparison([summarise(drive, "violator") for drive in DRIVES])


def test_a_row_keeps_the_contract_s_keys_and_adds_an_interval_to_each_rate_and_mean() -> None:
    value = row_to_json(ROWS[1])
    assert list(value)[:5] == ["codec", "budget_bytes", "episodes", "collision_rate", "collision_rate_ci95"]
    assert {"ap50", "ap70", "bytes_per_message", "driving_score_lb21"} <= set(value)
    assert value["collision_rate"] == 1.0
    assert value["collision_rate_ci95"] == list(ROWS[1].collision.ci95)
    assert {"success_rate_ci95", "false_braking_rate_ci95", "ap50_ci95", "driving_score_lb21_ci95"} <= set(value)


def test_every_other_row_is_named_with_its_pairs() -> None:
    value = row_to_json(ROWS[0])
    assert value["mcnemar_collisions"] == [
        {"codec": "none", "budget_bytes": None, "pairs": 1, "only_this": 0, "only_other": 1, "p": 1.0},
        {"codec": "raw", "budget_bytes": None, "pairs": 0, "only_this": 0, "only_other": 0, "p": None},
    ]


def test_what_is_undefined_is_null_and_never_nan() -> None:
    value = json.loads(json.dumps(row_to_json(ROWS[2]), allow_nan=False))
    for key in ("ap50", "ap50_ci95", "time_to_awareness_s", "impact_mps", "age_of_targets_s", "comfort", "sct"):
        assert value[key] is None
    assert value["normalised_gain"] == {"collision_rate": None, "driving_score_lb21": None}
