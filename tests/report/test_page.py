"""The HTML page."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from lxml import etree

from carla_cp.metrics.scene import Scene
from carla_cp.metrics.summary import EpisodeTrace
from carla_cp.report import RunInfo, StoredEpisode
from carla_cp.report.findings import findings
from carla_cp.report.page import page

from .episodes import stored

RUN = RunInfo("0.1.0", "embedded", "cpu", "python -m carla_cp.run 'a<b>.xml'")
NO_TRACE = EpisodeTrace((), (), (), (), Scene((), (), None, None))


def html_of(*episodes: StoredEpisode) -> str:
    return page(RUN, findings(episodes))


def headings(html: str, tag: str = "h2") -> list[str]:
    tree = etree.fromstring(html.encode(), etree.HTMLParser())
    return [str(heading.text) for heading in tree.iterfind(f".//{tag}")]


@pytest.fixture(scope="module")
def study() -> str:
    """A page with everything: codecs, situations, a control, a sweep, names that would be markup."""
    evil = replace(stored().summary, codec="<img>", settings=("a=<svg onload=x>",))
    return html_of(
        *(stored("none", None, aware=False), stored(), stored("raw", None)),
        *(stored(scenario="<script>1</script>"), stored(scenario="intersection_clear")),
        *(stored(settings=(f"link.loss={value}",)) for value in (0, 0.5)),
        replace(stored(), summary=evil),
    )


def test_it_stands_alone(study: str) -> None:
    linked = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", study)
    assert [link for link in linked if not link.startswith("#")] == []
    assert "<script" not in study
    assert "@import" not in study


def test_it_shows_every_episode_and_codec_and_the_figures(study: str) -> None:
    tree = etree.fromstring(study.encode(), etree.HTMLParser())
    text = " ".join(str(part) for part in tree.itertext())
    for expected in ("none@max", "revqom@2000", "raw@max", "violator at 12.0 m/s", "44", "a<b>.xml"):
        assert expected in text
    assert headings(study) == [
        *("Comparison", "Bytes against collisions", "Bytes against precision", "Situations by codecs", "Controls"),
        *("When the ego knew", "intersection over link.loss", "The most telling episodes", "How it was driven"),
        *("Collisions, pair by pair", "Speed and gap over time", "What became of the messages", "On the air"),
        *("Latency per perception tick", "Episodes", "What was run"),
    ]


def test_it_says_what_is_not_in_the_comparison(study: str) -> None:
    assert "3 episodes under other settings" in study and "Without 1 episode of controls" in study


def test_each_situation_has_its_own_moment_and_names_cannot_become_markup(study: str) -> None:
    assert headings(study, "h3") == ["intersection", "<script>1</script>"]
    assert "<img" not in study and "<svg onload" not in study


def test_a_run_of_one_silent_codec_without_its_trace_still_makes_a_page() -> None:
    found = headings(html_of(replace(stored("none", None, aware=False), trace=NO_TRACE)))
    assert "When the ego knew" in found
    assert not {
        *("On the air", "What became of the messages", "The most telling episodes", "Speed and gap over time"),
    } & set(found)
