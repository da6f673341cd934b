"""Situations by codecs."""

from __future__ import annotations

from dataclasses import replace

from carla_cp.report.matrix import matrix, matrix_table, plot_matrix
from tests.metrics.summaries import crossed

SUMMARIES = [
    *(crossed("none", None, seed, aware=False, scenario="bend") for seed in range(3)),
    *(crossed(seed=seed, scenario="bend") for seed in range(2)),
    crossed(scenario="<b>"),
]


def test_each_cell_counts_its_own_situation_s_episodes() -> None:
    found = matrix(SUMMARIES)
    assert (found.scenarios, found.labels) == (("bend", "<b>"), ("none@max", "revqom@2000"))
    none, revqom = found.at("bend", "none@max"), found.at("bend", "revqom@2000")
    assert none is not None and revqom is not None
    assert (none.crashes, none.row.episodes, none.unaware) == (3, 3, 3)
    assert (revqom.crashes, revqom.row.episodes, revqom.unaware) == (0, 2, 0)
    assert found.at("<b>", "none@max") is None


def test_the_table_is_escaped_and_redder_where_more_crashed() -> None:
    html = matrix_table(matrix(SUMMARIES))
    assert "&lt;b&gt;" in html and "<b>" not in html
    assert "rgb(176, 32, 44)" in html and "rgb(226, 241, 233)" in html
    assert "3 never aware" in html and matrix_table(matrix([])) == ""


def test_the_figure_says_the_counts() -> None:
    half = replace(SUMMARIES[0], seed=7, collisions=())
    texts = [text.get_text() for text in plot_matrix(matrix([*SUMMARIES, half])).axes[0].texts]
    assert texts == ["3/4", "0/2", "0/1"]
