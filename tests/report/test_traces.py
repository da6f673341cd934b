"""Speed and gap over time."""

from __future__ import annotations

from carla_cp.metrics.summary import summarise, trace
from carla_cp.report.files import StoredEpisode
from carla_cp.report.traces import plot_traces
from tests.metrics.builders import episode, record, state

from .episodes import stored


def test_an_episode_alone_and_undefined_gaps_are_drawn() -> None:
    lonely = episode([record(i, state(i, speed=10)) for i in range(5)])
    figure = plot_traces([StoredEpisode(summarise(lonely, None), trace(lonely.records, None))])
    assert len(figure.axes) == 2


def test_codecs_stand_five_in_a_row_and_a_collision_is_marked() -> None:
    figure = plot_traces([stored("none", None, aware=False), *(stored(budget=1000 * n) for n in range(1, 6))])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:5] == ["none@max", "revqom@1000", "revqom@2000", "revqom@3000", "revqom@4000"]
    assert titles[10] == "revqom@5000" and len(figure.axes) == 20
    assert [line.get_marker() for line in figure.axes[0].get_lines()] == ["None", "x"]
