"""Rows as curves."""

from __future__ import annotations

from tests.tools.claims import load_tool
from tests.tools.curve_rows import result, row, some

rate_rows = load_tool("rate_rows")


def test_a_curve_rises_by_budget_and_ends_in_its_paper() -> None:
    shuffled = result(*reversed(some()["rows"]))
    curve = next(curve for curve in rate_rows.curves_of(shuffled) if curve.name == "revqom")
    assert [item["label"] for item in curve.rows] == ["revqom@250", "revqom@1000", "revqom@max", "revqom:paper@max"]
    assert [item["label"] for item in curve.papers] == ["revqom:paper@max"] and len(curve.budgeted) == 3
    assert [item["noise"] for item in curve.others] == ["gaussian:0.2/0.2"]


def test_curves_stand_in_the_order_of_the_rows_and_other_rules_are_named() -> None:
    curves = rate_rows.curves_of(
        result(row("none@max", 0.5), row("raw@max", 0.9, fusion="max"), row("raw@max", 0.9, fusion="v2vnet"))
    )
    assert [curve.name for curve in curves] == ["none", "raw", "raw, v2vnet"]


def test_points_are_found_by_noise_and_budget() -> None:
    curve = rate_rows.curves_of(some())[2]
    noisy = rate_rows.point(curve, "gaussian:0.2/0.2", 1000)
    assert noisy is not None and noisy["ap"]["0.5"] == 0.8
    assert rate_rows.point(curve, "none", 2000) is None
    assert curve.noisy("gaussian:0.2/0.2", curve.rows[1]) is noisy and curve.noisy("none", noisy) is curve.rows[1]
    assert rate_rows.noises_of(some()) == ["none", "gaussian:0.2/0.2"]
    assert rate_rows.row_of(rate_rows.curves_of(some()), "revqom:paper@max")["formula_bytes"] == 36864.0


def test_a_change_has_its_sign_and_its_interval() -> None:
    curve = rate_rows.curves_of(some())[2]
    assert rate_rows.change(curve.rows[0], "0.7") == "-0.020 [-0.250, +0.250]"
    assert rate_rows.change(row("late@250", 0.5, to_raw=-0.0001), "0.7").startswith("+0.000")
    assert rate_rows.change(None, "0.7") == rate_rows.change(row("late@250", 0.5), "0.7") == "-"
