"""The README's results."""

from __future__ import annotations

from pathlib import Path

import pytest
import readme

from carla_cp.report import RunInfo, write_summary
from tests.metrics.summaries import crossed

RUN = RunInfo("0.1.0", "embedded", "cpu", "python -m carla_cp.run x.xml")


def run_folder(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    items = [crossed("none", None, seed, aware=False) for seed in range(2)] + [crossed(seed=seed) for seed in range(2)]
    write_summary(run / "summary.json", RUN, [*items, crossed("none", None, scenario="intersection_clear")])
    (run / "figures").mkdir()
    (run / "figures" / "collisions.png").write_bytes(b"picture")
    return run


@pytest.mark.parametrize("place", ["", "summary.json"])
def test_the_table_and_the_picture_take_the_place_of_the_old_ones(tmp_path: Path, place: str) -> None:
    (tmp_path / "README.md").write_text("before\n<!-- results -->\nold\n<!-- /results -->\nafter\n")
    readme.rewrite(tmp_path, readme.read_results(run_folder(tmp_path) / place))
    lines = (tmp_path / "README.md").read_text().splitlines()
    assert lines[0] == "before" and lines[-1] == "after" and "old" not in lines
    assert "| `none` | - | 2 | 1.00 (0.34 to 1.00) |" in lines[6]  # without the control's episode
    assert "| `revqom` | 2,000 | 2 | 0.00 (0.00 to 0.66) | 1.000 |" in lines[7]
    assert (tmp_path / "docs" / "collisions.png").read_bytes() == b"picture"


def test_what_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert readme.main([str(tmp_path)]) == 2
    assert "summary.json: is not there" in capsys.readouterr().err
    (tmp_path / "summary.json").write_text('{"episodes": [1], "command": ""}')
    with pytest.raises(readme.ReadmeError, match=r"summary\.json"):
        readme.read_results(tmp_path)
    run = run_folder(tmp_path)
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(readme.ReadmeError, match=r"README\.md: no <!-- results -->"):
        readme.rewrite(tmp_path, readme.read_results(run))
    (run / "figures" / "collisions.png").unlink()
    with pytest.raises(readme.ReadmeError, match=r"collisions\.png: is not there"):
        readme.read_results(run)
