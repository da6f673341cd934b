"""The plots as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from lxml import etree

from carla_cp.metrics.comparison import ComparisonRow, comparison
from carla_cp.metrics.summary import summarise, trace
from carla_cp.report.files import StoredEpisode
from carla_cp.report.plots import codec_colours, plot_collisions, plot_precision, plot_traces
from tests.metrics.builders import crossing, episode, record, state

DRIVES = [crossing("none", None, aware=False), crossing(), crossing(budget=8000), crossing("raw", None)]
EPISODES = [StoredEpisode(summarise(drive, None), trace(drive.records, None)) for drive in DRIVES]
ROWS = comparison([item.summary for item in EPISODES])


@pytest.mark.parametrize("plot", [plot_precision, plot_collisions])
@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], ()], ids=["all", "only none", "nothing"])
def test_a_rate_plot_is_well_formed_and_the_same_each_time(
    plot: Callable[[Sequence[ComparisonRow]], str], rows: Sequence[ComparisonRow]
) -> None:
    svg = plot(rows)
    assert etree.fromstring(svg.encode()).tag.endswith("svg")
    assert svg == plot(rows)


def test_traces_draw_an_episode_alone_and_undefined_gaps() -> None:
    lonely = episode([record(i, state(i, speed=10)) for i in range(5)])
    stored = StoredEpisode(summarise(lonely, None), trace(lonely.records, None))
    for episodes in ([stored], [*EPISODES, stored]):
        assert etree.fromstring(plot_traces(episodes).encode()).tag.endswith("svg")


def test_a_codec_keeps_its_colour_whatever_its_budgets_and_baselines_have_theirs() -> None:
    colours = codec_colours([row.codec for row in ROWS])
    assert len({colours[name] for name in ("none", "oracle", "revqom", "raw")}) == 4
    assert codec_colours(["revqom", "none", "raw"])["revqom"] == colours["revqom"]
