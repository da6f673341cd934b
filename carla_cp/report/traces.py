"""Speed and gap of every episode over time."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from carla_cp.report.drawing import STYLE, codec_colours
from carla_cp.report.files import StoredEpisode

COLUMNS = 5  # of codecs beside each other
EVERY = 4  # of the trace's ticks: 5 Hz


def plot_traces(episodes: Sequence[StoredEpisode]) -> Figure:
    """One column per codec and budget, five in a row, one line per seed; a cross is a collision."""
    labels = list(dict.fromkeys(item.summary.label for item in episodes))
    colours = codec_colours([item.summary.codec for item in episodes])
    columns, rows = min(COLUMNS, len(labels)), -(-len(labels) // COLUMNS)
    with style.context(STYLE):
        figure = Figure(figsize=(1.4 + 2.1 * columns, 4.2 * rows), layout="constrained")
        grid = figure.subplots(2 * rows, columns, sharex=True, squeeze=False)
    limit, fastest = _gap_limit(episodes), max(max(item.trace.speed_mps) for item in episodes)
    for place in range(rows * columns):
        above, column = divmod(place, columns)
        speed, gap = grid[2 * above, column], grid[2 * above + 1, column]
        if place >= len(labels):
            speed.set_axis_off()
            gap.set_axis_off()
            continue
        label = labels[place]
        speed.set_title(label, fontsize=10, color=colours[label.partition("@")[0]], fontweight="bold")
        for item in episodes:
            if item.summary.label == label:
                _draw_trace(speed, gap, item, colours[item.summary.codec])
        speed.set_ylim(0, 1.05 * fastest or 1.0)
        gap.set_ylim(0, limit)
        gap.set_xlabel("time [s]")
        gap.tick_params(labelbottom=True)
        if column == 0:
            speed.set_ylabel("speed [m/s]")
            gap.set_ylabel("gap [m]")
        else:
            speed.tick_params(labelleft=False)
            gap.tick_params(labelleft=False)
    return figure


def _draw_trace(speed: Axes, gap: Axes, item: StoredEpisode, colour: str) -> None:
    times = item.trace.time_s[::EVERY]
    gaps = [float("nan") if value is None else value for value in item.trace.gap_m[::EVERY]]
    for axes, values in ((speed, list(item.trace.speed_mps[::EVERY])), (gap, gaps)):
        axes.plot(times, values, color=colour, linewidth=1.3, alpha=0.75)
    for hit in item.summary.collisions:
        speed.plot(hit.t_s, hit.speed_mps, marker="x", markersize=7, markeredgewidth=2, color="#d1242f")
        gap.plot(hit.t_s, 0.0, marker="x", markersize=7, markeredgewidth=2, color="#d1242f", clip_on=False)


def _gap_limit(episodes: Sequence[StoredEpisode]) -> float:
    gaps = [value for item in episodes for value in item.trace.gap_m if value is not None]
    return min(60.0, 1.05 * max(gaps, default=1.0)) or 1.0
