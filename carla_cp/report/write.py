"""The report on disk: `report.html`, and beside it `figures/*.png` and `tables/*`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from carla_cp.report import sheets
from carla_cp.report.drawing import png
from carla_cp.report.files import RunInfo, StoredEpisode
from carla_cp.report.findings import Findings, findings
from carla_cp.report.page import page
from carla_cp.whole import write_whole


def write_report(path: Path, run: RunInfo, episodes: Sequence[StoredEpisode]) -> None:
    """Write `report.html` of all episodes of a run, and its figures and tables beside it, each whole, by rename."""
    found = findings(episodes)
    for picture in found.pictures:
        write_whole(path.parent / "figures" / f"{picture.name}.png", png(picture.figure))
    for name, text in _tables(found).items():
        write_whole(path.parent / "tables" / name, text)
    write_whole(path, page(run, found))


def _tables(found: Findings) -> dict[str, str]:
    """The text of every table by the name of its file."""
    tables = {
        "comparison.csv": sheets.as_csv(sheets.comparison_sheet(found.rows)),
        "comparison.tex": sheets.as_latex(sheets.comparison_paper(found.rows)),
        "episodes.csv": sheets.as_csv(sheets.episodes_sheet([item.summary for item in found.episodes])),
        "matrix.csv": sheets.as_csv(sheets.matrix_sheet(found.matrix)),
        "matrix.tex": sheets.as_latex(sheets.matrix_paper(found.matrix)),
    }
    if found.controls.cells:
        tables["controls.csv"] = sheets.as_csv(sheets.matrix_sheet(found.controls))
        tables["controls.tex"] = sheets.as_latex(sheets.matrix_paper(found.controls))
    if len(found.rows) > 1:
        tables["pairs.csv"] = sheets.as_csv(sheets.pairs_sheet(found.rows))
        tables["pairs.tex"] = sheets.as_latex(sheets.pairs_paper(found.rows), left=2)
    if found.sweeps:
        tables["sweeps.csv"] = sheets.as_csv(sheets.sweeps_sheet(found.sweeps))
    return tables
