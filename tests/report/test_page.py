"""The HTML page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from lxml import etree

from carla_cp.metrics.summary import summarise, trace
from carla_cp.report import RunInfo, StoredEpisode, write_report
from tests.metrics.builders import crossing

RUN = RunInfo("0.1.0", "embedded", "cpu", "python -m carla_cp.run 'a<b>.xml'")
DRIVES = [crossing("none", None, aware=False), crossing(), crossing("raw", None)]
EPISODES = [StoredEpisode(summarise(drive, "violator"), trace(drive.records, "violator")) for drive in DRIVES]


def written(path: Path, episodes: list[StoredEpisode]) -> str:
    write_report(path / "report.html", RUN, episodes)
    return (path / "report.html").read_text(encoding="utf-8")


def test_it_stands_alone(tmp_path: Path) -> None:
    html = written(tmp_path, EPISODES)
    linked = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", html)
    assert [link for link in linked if not link.startswith("#")] == []
    assert "<script" not in html
    assert "@import" not in html
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_it_shows_every_episode_and_codec_and_the_plots(tmp_path: Path) -> None:
    html = written(tmp_path, EPISODES)
    assert html.count("<svg") == 3
    tree = etree.fromstring(html.encode(), etree.HTMLParser())
    text = " ".join(str(part) for part in tree.itertext())
    for expected in ("none@max", "revqom@2000", "raw@max", "violator at 12.0 m/s", "44", "Speed and gap over time"):
        assert expected in text
    assert "a<b>.xml" in text


def test_each_scenario_has_its_own_traces(tmp_path: Path) -> None:
    other = replace(EPISODES[1], summary=replace(EPISODES[1].summary, scenario="elsewhere"))
    assert written(tmp_path, [*EPISODES, other]).count("Speed and gap over time") == 2


def test_a_run_of_one_silent_codec_still_makes_a_page(tmp_path: Path) -> None:
    html = written(tmp_path, EPISODES[:1])
    assert "On the air" not in html
    assert html.count("<svg") == 3
