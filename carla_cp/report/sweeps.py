"""Episodes of one situation under several values of a setting: a curve per codec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from carla_cp.metrics.comparison import ComparisonRow, Mean, comparison
from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.report.drawing import codec_colours, legend, panels


@dataclass(frozen=True, slots=True)
class Point:
    """All codecs at one value."""

    value: float
    rows: tuple[ComparisonRow, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """One situation over the values of one setting, or of several that change together."""

    scenario: str
    keys: tuple[str, ...]  # that change; the first one's values are the points'
    fixed: tuple[str, ...]  # KEY=VALUE of those that do not
    points: tuple[Point, ...]  # two or more, by rising value

    @property
    def name(self) -> str:
        """For files: `intersection_link.loss`, with what is fixed."""
        return "_".join((self.scenario, *self.keys, *(text.replace("=", "-") for text in self.fixed)))


def sweeps(summaries: Sequence[EpisodeSummary]) -> tuple[Sweep, ...]:
    """Every sweep among the episodes, by their settings: those that set the same keys, and differ in one by numbers.

    Keys that change together, as two kinds of noise do, are one sweep; a grid of two keys is a sweep for every value of
    the other.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[EpisodeSummary]] = {}
    for item in summaries:
        keys = tuple(sorted(_values(item)))
        if keys:
            groups.setdefault((item.scenario, keys), []).append(item)
    return tuple(sweep for group in groups.values() for sweep in _of_keys(group))


def plot_sweep(sweep: Sweep) -> Figure:
    """Collision rate with Wilson's intervals, AP at IoU 0.5 and time to awareness with bootstrap ones, per codec."""
    figure, (hit, precise, aware) = panels(11.5, 3.3, 3)
    labels = list(dict.fromkeys(row.label for point in sweep.points for row in point.rows))
    colours = codec_colours([row.codec for point in sweep.points for row in point.rows])
    span = sweep.points[-1].value - sweep.points[0].value
    for index, label in enumerate(labels):
        colour = colours[label.partition("@")[0]]
        aside = 0.012 * span * (index - (len(labels) - 1) / 2)
        found = [(point.value + aside, row) for point in sweep.points for row in point.rows if row.label == label]
        _curve(hit, found, lambda row: Mean(row.collision.value, row.collision.ci95, row.episodes), colour, label)
        _curve(precise, found, lambda row: row.ap50, colour, label)
        _curve(aware, found, lambda row: row.time_to_awareness_s, colour, label)
    for axes, title in ((hit, "episodes with a collision"), (precise, "AP@0.5, vehicles"), (aware, "aware after [s]")):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("\nand ".join(sweep.keys))
    hit.yaxis.set_major_formatter(PercentFormatter(1.0))
    hit.set_ylim(-0.04, 1.04)
    precise.set_ylim(-0.02, 1.02)
    legend(figure, hit)
    return figure


def _curve(
    axes: Axes,
    found: Sequence[tuple[float, ComparisonRow]],
    mean_of: Callable[[ComparisonRow], Mean],
    colour: str,
    label: str,
) -> None:
    means = [(x, mean_of(row)) for x, row in found]
    known = [(x, mean.value, mean.ci95 or (mean.value, mean.value)) for x, mean in means if mean.value is not None]
    if not known:
        return
    below = [max(0.0, value - low) for _, value, (low, _) in known]
    above = [max(0.0, high - value) for _, value, (_, high) in known]
    x, y = [x for x, _, _ in known], [value for _, value, _ in known]
    axes.errorbar(x, y, [below, above], fmt="o-", markersize=4, capsize=3, linewidth=1.6, color=colour, label=label)


def _values(item: EpisodeSummary) -> dict[str, str]:
    return dict(text.split("=", 1) for text in item.settings if "=" in text)


def _of_keys(group: Sequence[EpisodeSummary]) -> list[Sweep]:
    """The sweeps of episodes of one situation that set the same keys."""
    keys = tuple(_values(group[0]))
    numbers = [key for key in keys if all(_number(_values(item)[key]) is not None for item in group)]
    varying = [key for key in keys if len({_values(item)[key] for item in group}) > 1]
    if not varying:
        return []
    combinations = {tuple(_values(item)[key] for key in varying) for item in group}
    first = next((key for key in varying if key in numbers), None)
    if first is None:
        return []
    if len(combinations) == len({_values(item)[first] for item in group}):
        together = (first, *(key for key in varying if key != first))
        return [_sweep(together, group)]
    found = []
    for key in (key for key in varying if key in numbers):
        rest: dict[tuple[str, ...], list[EpisodeSummary]] = {}
        for item in group:
            rest.setdefault(tuple(_values(item)[other] for other in keys if other != key), []).append(item)
        found += [_sweep((key,), part) for part in rest.values() if len({_values(item)[key] for item in part}) > 1]
    return found


def _sweep(keys: tuple[str, ...], group: Sequence[EpisodeSummary]) -> Sweep:
    points: dict[float, list[EpisodeSummary]] = {}
    for item in group:
        points.setdefault(float(_values(item)[keys[0]]), []).append(item)
    fixed = tuple(f"{key}={value}" for key, value in _values(group[0]).items() if key not in keys)
    rows = tuple(Point(value, comparison(points[value])) for value in sorted(points))
    return Sweep(group[0].scenario, keys, fixed, rows)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
