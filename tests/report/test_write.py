"""The report on disk."""

from __future__ import annotations

from pathlib import Path

from carla_cp.report import RunInfo, write_report

from .episodes import stored

RUN = RunInfo("0.1.0", "embedded", "cpu", "python -m carla_cp.run x.xml")


def test_figures_and_tables_lie_beside_the_page(tmp_path: Path) -> None:
    losses = [stored(settings=(f"link.loss={value}",)) for value in (0, 0.5)]
    plain = [stored("none", None, 0, False), stored(), stored("none", None, scenario="intersection_clear")]
    write_report(tmp_path / "report.html", RUN, [*plain, *losses])
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {
        "report.html",
        *(f"figures/{name}.png" for name in ("collisions", "precision", "awareness", "matrix")),
        "figures/sweep_intersection_link.loss.png",
        *(f"tables/{name}.csv" for name in ("comparison", "episodes", "pairs", "matrix", "controls", "sweeps")),
        *(f"tables/{name}.tex" for name in ("comparison", "pairs", "matrix", "controls")),
    }
    assert all((tmp_path / name).stat().st_size > 0 for name in found)
