"""The figures over all situations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from carla_cp.metrics.comparison import ComparisonRow, comparison
from carla_cp.report.plots import plot_awareness, plot_collisions, plot_precision
from tests.metrics.summaries import crossed

SUMMARIES = [crossed("none", None, aware=False), crossed(), crossed(budget=8000), crossed("raw", None)]
ROWS = comparison(SUMMARIES)


@pytest.mark.parametrize("plot", [plot_precision, plot_collisions])
@pytest.mark.parametrize(("rows", "named"), [(ROWS, 3), (ROWS[:1], 1), ((), 0)], ids=["all", "only none", "nothing"])
def test_every_codec_is_named_once_however_many_budgets_it_has(
    plot: Callable[[Sequence[ComparisonRow]], Figure], rows: Sequence[ComparisonRow], named: int
) -> None:
    figure = plot(rows)
    assert len(figure.axes[0].get_legend_handles_labels()[1]) == named
    assert len(figure.legends) == bool(named)


def test_who_never_comes_to_know_keeps_the_line_below_all() -> None:
    group = [replace(crossed(seed=n), time_to_awareness_s=t) for n, t in enumerate((1.0, 0.5, None, None))]
    figure = plot_awareness(group)
    assert figure is not None
    line = figure.axes[0].get_lines()[0]
    assert line.get_label() == "revqom@2000: 2 of 4"
    assert np.asarray(line.get_ydata()).tolist() == [0.0, 0.25, 0.5, 0.5]
    assert np.asarray(line.get_xdata()).tolist()[1:3] == [0.5, 1.0]


def test_without_a_hazard_there_is_nothing_to_know() -> None:
    assert plot_awareness([replace(crossed(), hazard_triggered=False)]) is None
