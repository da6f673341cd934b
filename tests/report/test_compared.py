"""The report's tables of codecs beside each other."""

from __future__ import annotations

from lxml import etree

from carla_cp.metrics.comparison import comparison
from carla_cp.report.compared import comparison_table, driving_table, pairs_table, table
from tests.metrics.summaries import crossed

NONE, REVQOM = (
    (crossed("none", None, seed, aware=False) for seed in range(5)),
    (crossed(seed=seed) for seed in range(5)),
)
ROWS = comparison([*NONE, *REVQOM])


def cells(html: str) -> list[list[str]]:
    """The texts of a table's body, row by row."""
    tree = etree.fromstring(html, etree.HTMLParser())
    return [["|".join(cell.itertext()) for cell in row] for row in tree.iterfind(".//tbody/tr")]


def test_rates_and_means_stand_over_their_intervals() -> None:
    none, revqom = cells(comparison_table(ROWS))
    assert none[0] == "none" and none[3] == "100 % [57, 100]" and revqom[3] == "0 % [0, 43]"
    assert revqom[4] == "1.000|1.000 to 1.000" and revqom[7] == "100.0|100.0 to 100.0"
    assert cells(driving_table(ROWS))[1][2] == "100 %|57 to 100"


def test_what_is_undefined_is_a_dash() -> None:
    assert cells(driving_table(ROWS))[0][6] == "–"  # noqa: RUF001 - never aware


def test_each_pair_shows_who_collided_alone_and_the_test() -> None:
    assert cells(pairs_table(ROWS)) == [["none@max", "", "5 : 0|p = 0.062"], ["revqom@2000", "0 : 5|p = 0.062", ""]]
    assert pairs_table(ROWS[:1]) == ""


def test_a_table_without_rows_is_nothing() -> None:
    assert table(("a", "b"), []) == comparison_table(()) == driving_table(()) == ""
