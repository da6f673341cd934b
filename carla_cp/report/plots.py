"""The report's figures over all situations: what bytes buy, and when the ego came to know."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from carla_cp.metrics.comparison import ComparisonRow
from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.report.drawing import codec_colours, legend, panels

DODGE = 1.06  # codecs at one budget stand this factor apart, so that no interval hides another
LINES = ("-", "--", ":", "-.")  # of a codec's budgets


def plot_precision(rows: Sequence[ComparisonRow]) -> Figure:
    """Bytes per message against AP at IoU 0.5; codecs that send nothing are lines."""
    figure, (axes,) = panels(5.4, 3.6)
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
    _finish_rate_plot(figure, axes, rows)
    return figure


def plot_collisions(rows: Sequence[ComparisonRow]) -> Figure:
    """Bytes per message against the collision rate with Wilson's 95 % intervals."""
    figure, (axes,) = panels(5.4, 3.6)
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
    _finish_rate_plot(figure, axes, rows)
    return figure


def plot_awareness(summaries: Sequence[EpisodeSummary]) -> Figure | None:
    """The share of episodes in which the ego knew of the hazard, over the time since its trigger, one line per codec.

    Of all episodes whose trigger fired: in those where it never came to know the line stays below 100 %. None where no
    trigger fired.
    """
    groups: dict[str, list[EpisodeSummary]] = {}
    for item in summaries:
        if item.hazard_triggered:
            groups.setdefault(item.label, []).append(item)
    if not groups:
        return None
    figure, (axes,) = panels(11.5, 3.6)
    colours = codec_colours([item.codec for item in summaries])
    times = [t for group in groups.values() for t in _aware_s(group)]
    first, last = min([0.0, *times]) - 0.2, max([1.0, *times]) + 0.3
    drawn: dict[str, int] = {}
    for label, group in groups.items():
        codec, aware = group[0].codec, _aware_s(group)
        line = LINES[drawn.get(codec, 0) % len(LINES)]
        drawn[codec] = drawn.get(codec, 0) + 1
        share = [index / len(group) for index in range(len(aware) + 1)]
        name = f"{label}: {len(aware)} of {len(group)}"
        x, y = [first, *aware, last], [*share, share[-1]]
        axes.step(x, y, where="post", color=colours[codec], linestyle=line, linewidth=1.8, label=name)
    axes.axvline(0.0, color="#9aa1ab", linewidth=1)
    axes.set_xlim(first, last)
    axes.set_ylim(-0.02, 1.04)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("time since the hazard's trigger [s]")
    axes.set_ylabel("egos that know of it")
    legend(figure, axes)
    return figure


def _aware_s(group: Sequence[EpisodeSummary]) -> list[float]:
    return sorted(item.time_to_awareness_s for item in group if item.time_to_awareness_s is not None)


def _finish_rate_plot(figure: Figure, axes: Axes, rows: Sequence[ComparisonRow]) -> None:
    sizes = [row.bytes_per_message for row in rows if row.bytes_per_message]
    if sizes:
        axes.set_xscale("log")
        axes.set_xlim(min(sizes) / 2, max(sizes) * 2)
    else:
        axes.set_xticks([])
    axes.set_xlabel("payload bytes per message")
    legend(figure, axes)
