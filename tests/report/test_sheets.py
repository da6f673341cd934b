"""Tables as CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from carla_cp.metrics.comparison import comparison
from carla_cp.report import sheets
from carla_cp.report.matrix import matrix
from carla_cp.report.sheets import Sheet, as_csv, as_latex
from carla_cp.report.sweeps import sweeps
from tests.metrics.summaries import crossed

SUMMARIES = [crossed("none", None, seed, aware=False) for seed in range(12)] + [crossed(seed=s) for s in range(12)]
ROWS = comparison(SUMMARIES)


def parsed(sheet: Sheet) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(sheet))))


def test_csv_quotes_what_it_must_and_leaves_empty_what_is_undefined() -> None:
    assert as_csv(Sheet(("a", "b"), (('x, "y"', None), (1.5, True)))) == 'a,b\n"x, ""y""",\n1.5,True\n'


def test_latex_escapes_its_own_letters_and_sets_minus_signs() -> None:
    text = as_latex(Sheet(("a_b", "n"), ((r"50 % & #1 \x {y} ~^$", None), ("bend-over", -1.5))))
    assert text.splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"a\_b & n \\",
        r"\midrule",
        r"50 \% \& \#1 \textbackslash{}x \{y\} \textasciitilde{}\textasciicircum{}\$ & -- \\",
        r"bend-over & $-$1.5 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_the_comparison_has_every_interval_in_two_columns() -> None:
    none, revqom = parsed(sheets.comparison_sheet(ROWS))
    assert (none["codec"], none["collision_rate"], none["budget_bytes"]) == ("none", "1.0", "")
    assert float(revqom["collision_rate_ci95_high"]) == ROWS[1].collision.ci95[1]
    assert "normalised_gain.collision_rate" in none and "mcnemar_collisions" not in none
    assert sheets.comparison_paper(ROWS).rows[0][3] == "100 [76, 100]"


def test_pairs_stand_twice_in_the_csv_and_once_in_the_paper() -> None:
    assert [row["only_codec"] for row in parsed(sheets.pairs_sheet(ROWS))] == ["12", "0"]
    (row,) = sheets.pairs_paper(ROWS).rows
    assert row == ("none@max", "revqom@2000", 12, 12, 0, "< 0.001")
    assert "$<$ 0.001" in as_latex(Sheet(("p",), (row[5:],)))


def test_episodes_are_flat_with_their_settings_and_first_collision() -> None:
    rows = parsed(sheets.episodes_sheet([SUMMARIES[0], replace(crossed(), settings=("a=1", "b=2"))]))
    assert (rows[0]["collisions"], rows[0]["first_collision.other"]) == ("1", "violator")
    assert (rows[1]["collisions"], rows[1]["first_collision.other"], rows[1]["settings"]) == ("0", "", "a=1 b=2")
    assert rows[1]["messages.sent"] == str(crossed().messages.sent)


def test_matrix_and_sweeps_have_a_line_for_every_cell_and_point() -> None:
    cells = matrix(SUMMARIES)
    assert [(row["codec"], row["collisions"]) for row in parsed(sheets.matrix_sheet(cells))] == [
        ("none", "12"),
        ("revqom", "0"),
    ]
    assert sheets.matrix_paper(cells).rows == (("intersection", "12/12", "0/12"),)
    swept = sweeps([replace(crossed(), settings=(f"link.loss={v}",)) for v in (0, 0.5)])
    assert [row["value"] for row in parsed(sheets.sweeps_sheet(swept))] == ["0.0", "0.5"]
    assert sheets.episodes_sheet([]) == Sheet((), ())
