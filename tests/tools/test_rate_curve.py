"""The rate table: every point, what was joined and what is refused, and what is said when there is too little."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.tools.claims import load_tool
from tests.tools.curve_rows import result, row, some

rate_curve = load_tool("rate_curve")


def test_every_point_has_a_line_with_its_bytes_and_its_distance_to_raw() -> None:
    text = rate_curve.table(rate_curve.one_of([some()]), "RATE.png")
    lines = [line for line in text.splitlines() if line.startswith("| revqom")]
    assert lines[0] == (
        "| revqom | 250 | 240 | 240 | - | 0.700 [0.690, 0.710] | 0.350 [0.340, 0.360] | -0.020 [-0.250, +0.250] |"
        " -0.020 [-0.250, +0.250] | - | 3 |"
    )
    assert lines[2].startswith("| revqom | none | 3,000 | 3,000 | - |")
    assert lines[3].startswith("| revqom:paper | fixed | 40,000 | 40,000 | 36,864 |")
    assert "(RATE.png)" in text and "`the command`" in text and "600 of 60 scenes" in text
    assert "Too few" not in text


def test_the_budgets_of_a_radio_are_held_against_raw_clean_and_noisy() -> None:
    text = rate_curve.table(rate_curve.one_of([some()]), "p")
    assert "| codec | 1,000 B, clean | 2,000 B, clean | 1,000 B, 0.2/0.2 m/deg | 2,000 B, 0.2/0.2 m/deg |" in text
    assert "| revqom | -0.005 [-0.250, +0.250] | - | -0.004 [-0.250, +0.250] | - | 1,000 |" in text
    assert "| revqom | 1,000 | 0.880 [0.870, 0.890] | 0.800 [0.790, 0.810] | 0.440 " in text


def test_loss_has_a_section_with_both_ways_of_cutting_where_it_was_measured() -> None:
    text = rate_curve.table(rate_curve.one_of([some()]), "p")
    assert "AP@0.5 lost at 10%, parts | AP@0.5 lost at 10%, whole frame" in text
    assert "| revqom@1000 | 950 | +0.010 | +0.010 | +0.010 | +0.010 |" in text
    plain = rate_curve.table(rate_curve.one_of([result(row("none@max", 0.5))]), "p")
    assert not any(title in plain for title in ("## Packet loss", "## Pose noise", "against raw features"))


@pytest.mark.parametrize("few", [{"frames": 499}, {"scenes": 39}])
def test_too_few_frames_or_scenes_are_said(few: dict[str, int]) -> None:
    assert "**Too few to rank codecs by" in rate_curve.table(rate_curve.one_of([some(**few)]), "p")


def test_results_of_the_same_frames_are_joined_and_others_refused() -> None:
    more = result(row("late@250", 0.8, 200.0), row("none@max", 0.5), command="another")
    joined = rate_curve.one_of([some(), more])
    assert [item["label"] for item in joined["rows"]].count("none@max") == 1
    text = rate_curve.table(joined, "p")
    assert "| late | 250 |" in text and "`another`" in text
    for name, value in (("frame_digest", "fedcba98"), ("checkpoint", "full"), ("protocol", {"name": "opencood"})):
        with pytest.raises(rate_curve.CurveError, match=f"`another` has another {name}"):
            rate_curve.one_of([some(), more | {name: value}])


def test_the_command_writes_table_and_picture_or_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("a", json.dumps(some())), ("b", json.dumps(some(frames=7))), ("c", "{}")):
        (tmp_path / f"{name}.json").write_text(text)

    def command(*names: str) -> int:
        files = [str(tmp_path / f"{name}.json") for name in names]
        monkeypatch.setattr(sys, "argv", ["rate_curve.py", *files, "--out", str(tmp_path / "RATE.md")])
        with pytest.raises(SystemExit) as ended:
            rate_curve.main()
        return int(ended.value.code)  # type: ignore[arg-type]

    assert command("a", "b") == 2 and "another frames" in capsys.readouterr().err
    assert command("a", "c") == 2 and "c.json: no result" in capsys.readouterr().err
    assert not (tmp_path / "RATE.md").exists()
    monkeypatch.setattr(sys, "argv", ["rate_curve.py", str(tmp_path / "a.json"), "--out", str(tmp_path / "RATE.md")])
    rate_curve.main()
    assert (tmp_path / "RATE.md").is_file() and (tmp_path / "RATE.png").read_bytes().startswith(b"\x89PNG")


def test_points_of_one_budget_make_a_table_without_a_picture(tmp_path: Path) -> None:
    rate_curve.write_curve([result(row("none@max", 0.5), row("raw@2000", 0.8))], tmp_path / "LOSS.md")
    assert "AP against mean bytes" not in (tmp_path / "LOSS.md").read_text()
    assert not (tmp_path / "LOSS.png").exists()
