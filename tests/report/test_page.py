"""The HTML page."""

from __future__ import annotations

import re
from dataclasses import replace

from lxml import etree

from carla_cp.report import RunInfo, StoredEpisode
from carla_cp.report.findings import findings
from carla_cp.report.page import page

from .episodes import stored

RUN = RunInfo("0.1.0", "embedded", "cpu", "python -m carla_cp.run 'a<b>.xml'")
EPISODES = [stored("none", None, aware=False), stored(), stored("raw", None)]


def html_of(*episodes: StoredEpisode) -> str:
    return page(RUN, findings(episodes))


def headings(html: str) -> list[str]:
    tree = etree.fromstring(html.encode(), etree.HTMLParser())
    return [str(heading.text) for heading in tree.iterfind(".//h2")]


def test_it_stands_alone() -> None:
    html = html_of(*EPISODES)
    linked = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", html)
    assert [link for link in linked if not link.startswith("#")] == []
    assert "<script" not in html
    assert "@import" not in html


def test_it_shows_every_episode_and_codec_and_the_figures() -> None:
    html = html_of(*EPISODES)
    tree = etree.fromstring(html.encode(), etree.HTMLParser())
    text = " ".join(str(part) for part in tree.itertext())
    for expected in ("none@max", "revqom@2000", "raw@max", "violator at 12.0 m/s", "44", "a<b>.xml"):
        assert expected in text
    assert headings(html) == [
        *("Comparison", "Bytes against collisions", "Bytes against precision", "Situations by codecs"),
        *("When the ego knew", "The most telling episodes", "How it was driven", "Collisions, pair by pair"),
        *("Speed and gap over time", "What became of the messages", "On the air", "Latency per perception tick"),
        *("Episodes", "What was run"),
    ]


def test_sweeps_and_controls_appear_where_there_are_any() -> None:
    swept = [stored(settings=(f"link.loss={value}",)) for value in (0, 0.5)]
    html = html_of(*EPISODES, stored(scenario="intersection_clear"), *swept)
    assert {"Controls", "intersection over link.loss"} <= set(headings(html))
    assert "2 episodes under other settings" in html and "Without 1 episode of controls" in html


def test_each_scenario_has_its_own_traces_and_moment() -> None:
    html = html_of(*EPISODES, stored(scenario="elsewhere"))
    assert html.count("<summary>elsewhere</summary>") == html.count("<h3>elsewhere</h3>") == 1


def test_a_run_of_one_silent_codec_still_makes_a_page() -> None:
    assert not {"On the air", "What became of the messages"} & set(headings(html_of(EPISODES[0])))


def test_names_cannot_become_markup() -> None:
    evil = replace(EPISODES[1].summary, scenario="<script>1</script>", codec="<img>", settings=("a=<svg onload=x>",))
    html = html_of(replace(EPISODES[1], summary=evil))
    assert "<script" not in html and "<img" not in html and "<svg onload" not in html
