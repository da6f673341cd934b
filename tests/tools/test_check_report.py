"""The check of a large report."""

from __future__ import annotations

from pathlib import Path

import check_report
import pytest

from carla_cp.report import episode_path, write_episode
from carla_cp.types import CodecChoice
from tests.report.episodes import stored


def test_episodes_are_repeated_over_seeds_and_situations_and_none_is_there_twice() -> None:
    made = check_report.repeated([stored(), stored("none", None, aware=False)], 50)
    names = [(item.summary.scenario, item.summary.label, item.summary.seed) for item in made]
    assert len(names) == len(set(names)) == 50
    assert names[:2] == [("intersection", "revqom@2000", 0), ("intersection", "none@max", 0)]
    assert names[-1] == ("intersection_3", "none@max", 4)


def test_a_report_is_as_large_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check_report, "find_browser", lambda: None)
    write_episode(episode_path(tmp_path / "run", "s", CodecChoice("revqom", 2000), 0), stored())
    options = [str(tmp_path / "run"), "--episodes", "1", "--out", str(tmp_path / "out")]
    assert check_report.main(options) == 0
    assert "no Chromium found" in capsys.readouterr().out
    monkeypatch.setattr(check_report, "LARGEST_MB", 0.01)
    assert not check_report.check(tmp_path / "out" / "report.html")


def test_a_folder_without_episodes_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_report.main([str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert f"{tmp_path}: no episodes" in capsys.readouterr().err
