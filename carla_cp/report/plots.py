"""The report's plots as inline SVG, drawn by matplotlib without a display."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from carla_cp.metrics.comparison import ComparisonRow
from carla_cp.report.files import StoredEpisode

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#7f3fbf")  # Okabe and Ito
DODGE = 1.06  # codecs at one budget stand this factor apart, so that no interval hides another
BASELINES = {"none": "#8a8f98", "oracle": "#1d2330"}
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa1ab",
    "axes.grid": True,
    "grid.color": "#e6e8ec",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "carla_cp",  # the same plot is the same text
}


def codec_colours(codecs: Sequence[str]) -> dict[str, str]:
    """One colour per codec name, in order of appearance; the two baselines have their own."""
    others = [name for name in dict.fromkeys(codecs) if name not in BASELINES]
    return BASELINES | {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(others)}


def plot_precision(rows: Sequence[ComparisonRow]) -> str:
    """Bytes per message against AP at IoU 0.5, as SVG; codecs that send nothing are lines."""
    figure, axes = _figure(5.4, 3.6)
    colours = codec_colours([row.codec for row in rows])
    for codec in dict.fromkeys(row.codec for row in rows):
        group = [row for row in rows if row.codec == codec]
        silent = [row.ap50.value for row in group if row.bytes_per_message is None and row.ap50.value is not None]
        for value in silent:
            axes.axhline(value, color=colours[codec], linestyle="--", linewidth=1.4, label=codec)
        known = [(row.bytes_per_message, row.ap50.value) for row in group]
        points = sorted((size, value) for size, value in known if size and value is not None)
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", color=colours[codec], label=codec)
    axes.set_ylabel("AP@0.5, vehicles")
    axes.set_ylim(-0.02, 1.02)
    return _finish_rate_plot(figure, axes, rows)


def plot_collisions(rows: Sequence[ComparisonRow]) -> str:
    """Bytes per message against the collision rate with Wilson's 95 % intervals, as SVG."""
    figure, axes = _figure(5.4, 3.6)
    colours = codec_colours([row.codec for row in rows])
    named: set[str] = set()
    names = list(colours)
    for row in rows:
        rate, (low, high) = row.collision.value, row.collision.ci95
        name = "_" if row.codec in named else row.codec
        named.add(row.codec)
        if row.bytes_per_message is None:
            axes.axhline(rate, color=colours[row.codec], linestyle="--", linewidth=1.4, label=name)
            axes.axhspan(low, high, color=colours[row.codec], alpha=0.07, linewidth=0)
            continue
        error = [[rate - low], [high - rate]]
        aside = row.bytes_per_message * DODGE ** names.index(row.codec)
        axes.errorbar(aside, rate, error, fmt="o", capsize=4, color=colours[row.codec], label=name)
    axes.set_ylabel("episodes with a collision")
    axes.set_ylim(-0.04, 1.04)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    return _finish_rate_plot(figure, axes, rows)


def plot_traces(episodes: Sequence[StoredEpisode]) -> str:
    """Speed and gap over time, one column per codec and budget, one line per seed, as SVG; a cross is a collision."""
    labels = list(dict.fromkeys(item.summary.label for item in episodes))
    colours = codec_colours([item.summary.codec for item in episodes])
    with style.context(STYLE):
        figure = Figure(figsize=(1.4 + 2.1 * len(labels), 4.4), layout="constrained")
        grid = figure.subplots(2, len(labels), sharex=True, sharey="row", squeeze=False)
    for column, label in enumerate(labels):
        speed, gap = grid[0, column], grid[1, column]
        speed.set_title(label, fontsize=10, color=colours[label.partition("@")[0]], fontweight="bold")
        for item in episodes:
            if item.summary.label == label:
                _draw_trace(speed, gap, item, colours[item.summary.codec])
        gap.set_xlabel("time [s]")
    grid[0, 0].set_ylabel("speed [m/s]")
    grid[1, 0].set_ylabel("gap [m]")
    grid[0, 0].set_ylim(bottom=0)
    grid[1, 0].set_ylim(0, _gap_limit(episodes))
    return _svg(figure)


def _draw_trace(speed: Axes, gap: Axes, item: StoredEpisode, colour: str) -> None:
    times = item.trace.time_s
    gaps = [float("nan") if value is None else value for value in item.trace.gap_m]
    for axes, values in ((speed, list(item.trace.speed_mps)), (gap, gaps)):
        axes.plot(times, values, color=colour, linewidth=1.3, alpha=0.75)
    for hit in item.summary.collisions:
        speed.plot(hit.t_s, hit.speed_mps, marker="x", markersize=7, markeredgewidth=2, color="#d1242f")
        gap.plot(hit.t_s, 0.0, marker="x", markersize=7, markeredgewidth=2, color="#d1242f", clip_on=False)


def _gap_limit(episodes: Sequence[StoredEpisode]) -> float:
    gaps = [value for item in episodes for value in item.trace.gap_m if value is not None]
    return min(60.0, 1.05 * max(gaps, default=1.0)) or 1.0


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    with style.context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots()


def _finish_rate_plot(figure: Figure, axes: Axes, rows: Sequence[ComparisonRow]) -> str:
    sizes = [row.bytes_per_message for row in rows if row.bytes_per_message]
    if sizes:
        axes.set_xscale("log")
        axes.set_xlim(min(sizes) / 2, max(sizes) * 2)
    else:
        axes.set_xticks([])
    axes.set_xlabel("payload bytes per message")
    if axes.get_legend_handles_labels()[1]:
        figure.legend(loc="outside right upper", fontsize=9)
    return _svg(figure)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    with style.context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue().partition("<svg")[1] + buffer.getvalue().partition("<svg")[2]
