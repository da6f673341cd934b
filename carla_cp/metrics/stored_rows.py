"""Comparison rows to JSON values: `comparison` of `summary.json`, schema 1. Nothing reads them back."""

from __future__ import annotations

from carla_cp.metrics.comparison import Against, ComparisonRow, Mean, Rate
from carla_cp.metrics.fields import Json


def row_to_json(row: ComparisonRow) -> dict[str, Json]:
    """The comparison object of `summary.json`; beside each rate and mean stands its 95 % interval, `<key>_ci95`."""
    return {
        "codec": row.codec,
        "budget_bytes": row.budget_bytes,
        "episodes": row.episodes,
        **_rate("collision_rate", row.collision),
        **_rate("success_rate", row.success),
        **_rate("false_braking_rate", row.false_braking),
        **_mean("ap50", row.ap50),
        **_mean("ap70", row.ap70),
        "bytes_per_message": row.bytes_per_message,
        **_mean("driving_score_lb1", row.driving_score_lb1),
        **_mean("driving_score_lb20", row.driving_score_lb20),
        **_mean("driving_score_lb21", row.driving_score_lb21),
        **_mean("time_to_awareness_s", row.time_to_awareness_s),
        "aware_episodes": row.time_to_awareness_s.episodes,
        **_mean("impact_mps", row.impact_mps),
        **_mean("age_of_information_s", row.age_of_information_s),
        **_mean("age_of_targets_s", row.age_of_targets_s),
        **_mean("comfort", row.comfort),
        "sct": row.sct,
        "normalised_gain": {"collision_rate": row.collision_gain, "driving_score_lb21": row.score_gain},
        "mcnemar_collisions": [_against(item) for item in row.against],
    }


def _rate(key: str, rate: Rate) -> dict[str, Json]:
    return {key: rate.value, f"{key}_ci95": list(rate.ci95)}


def _mean(key: str, mean: Mean) -> dict[str, Json]:
    return {key: mean.value, f"{key}_ci95": None if mean.ci95 is None else list(mean.ci95)}


def _against(item: Against) -> dict[str, Json]:
    return {
        "codec": item.codec,
        "budget_bytes": item.budget_bytes,
        "pairs": item.test.pairs,
        "only_this": item.test.only_first,
        "only_other": item.test.only_second,
        "p": item.test.p,
    }
