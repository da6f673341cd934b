"""Animated bird's-eye views."""

from __future__ import annotations

import re
from dataclasses import replace

from lxml import etree

from carla_cp.metrics.summary import summarise, trace
from carla_cp.report import StoredEpisode
from carla_cp.report.moments import most_telling
from carla_cp.report.replay import replays
from tests.metrics.builders import episode, record, state, thing

from .episodes import stored

PAIR = most_telling([stored("none", None, aware=False), stored()])


def test_both_episodes_are_drawn_with_their_outcome_and_marks() -> None:
    html = replays(PAIR, "r0")
    tree = etree.fromstring(html.encode(), etree.HTMLParser())
    figures = tree.findall(".//figure")
    texts = [" ".join(str(part) for part in figure.itertext()) for figure in figures]
    assert "hits violator at" in texts[0] and "collision" in texts[0] and "never aware" in texts[0]
    assert "bytes a message" in texts[1] and "least gap" in texts[1] and "never" not in texts[1]
    assert html.count('class="crash"') == 1 and html.count('class="ego"') == 2
    assert html.count("known hazard") == 1  # the blind ego never has a track on it


def test_every_animation_that_is_used_is_defined_once_and_all_last_as_long() -> None:
    html = replays(PAIR, "r0")
    defined = re.findall(r"@keyframes (\w+)", html)
    used = re.findall(r"animation:(\w+) ([\d.]+)s", html)
    assert sorted(defined) == sorted(name for name, _ in used)
    assert len(set(defined)) == len(defined) and len({length for _, length in used}) == 1


def test_names_from_a_scenario_cannot_become_markup() -> None:
    drive = episode([record(k, state(k), [thing('"><script>', state(9))]) for k in range(3)])
    item = StoredEpisode(summarise(drive, '"><script>'), trace(drive.records, '"><script>'))
    item = replace(item, summary=replace(item.summary, scenario='<i onload="x">'))
    html = replays(most_telling([item]), "r0")
    assert "<script" not in html and "<i " not in html


def test_an_episode_of_one_tick_without_anyone_is_drawn() -> None:
    drive = episode([record(0, state(0))])
    html = replays(most_telling([StoredEpisode(summarise(drive, None), trace(drive.records, None))]), "r0")
    assert html.count('class="ego"') == 1 and "nan" not in html
