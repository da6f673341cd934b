"""Speed and gap over time."""

from __future__ import annotations

import pytest

from carla_cp.metrics.summary import summarise, trace
from carla_cp.report import traces
from carla_cp.report.files import StoredEpisode
from carla_cp.report.traces import plot_traces
from tests.metrics.builders import episode, record, state

from .episodes import stored


def test_an_episode_alone_and_undefined_gaps_are_drawn() -> None:
    lonely = episode([record(i, state(i, speed=10)) for i in range(5)])
    figure = plot_traces([StoredEpisode(summarise(lonely, None), trace(lonely.records, None))])
    assert len(figure.axes) == 2


def test_codecs_stand_so_many_in_a_row_and_a_collision_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "COLUMNS", 2)
    figure = plot_traces([stored("none", None, aware=False), stored(), stored("raw", None)])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["none@max", "revqom@2000", "", "", "raw@max", "", "", ""]
    assert [line.get_marker() for line in figure.axes[0].get_lines()] == ["None", "x"]
