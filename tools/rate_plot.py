"""The picture of a rate curve: AP against mean bytes per message, a line per codec, named where it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator
from rate_rows import Curve, curves_of

from carla_cp.report.drawing import PALETTE, STYLE
from carla_cp.whole import whole_file

GREY, DARK = "#8a8f98", "#1d2330"
MARKS = "osD^vP*X"  # beside colour, for who cannot tell two colours apart
LABEL_GAP = 0.05  # of the panel's height
NAMES = 0.24  # of its width, for names
TICKS = (250, 1000, 4000, 16_000, 64_000, 256_000, 1_000_000)  # narrower ones would touch


@dataclass(frozen=True, slots=True)
class Look:
    """How a curve is drawn."""

    colour: str
    mark: str


@dataclass(frozen=True, slots=True)
class Start:
    """Where a line begins, and whose it is."""

    size: float  # [B]
    ap: float
    name: str
    colour: str


def draw_curve(result: dict[str, Any], path: Path) -> None:
    """AP@0.7 and AP@0.5 of a joined result side by side, written as PNG."""
    curves = curves_of(result)
    coloured = [curve for curve in curves if curve.name not in ("none", "raw")]
    looks = {
        curve.name: Look(PALETTE[number % len(PALETTE)], MARKS[number % len(MARKS)])
        for number, curve in enumerate(coloured)
    }
    looks["raw"] = Look(DARK, ".")
    with style.context(STYLE):
        figure = Figure((12.0, 5.0), layout="constrained")
        for axes, iou in zip(figure.subplots(1, 2), ("0.7", "0.5"), strict=True):
            _panel(axes, curves, looks, iou)
        scenes = f"{result['frames']} frames of {result['scenes']} scenes"
        figure.suptitle(
            f"{scenes}; bands: 95 % over scenes; hollow: the paper's rate at the bytes that its own formula charges",
            fontsize=9,
            color=GREY,
        )
        with whole_file(path) as file:
            figure.savefig(file, dpi=120, format="png", metadata={"Software": None})


def _panel(axes: Axes, curves: Sequence[Curve], looks: dict[str, Look], iou: str) -> None:
    axes.set_xscale("log")
    axes.set_xlabel("mean bytes per message, headers and positions included")
    axes.set_title(f"AP@{iou}, vehicles", loc="left")
    starts = [start for curve in curves if curve.name in looks for start in _line(axes, curve, looks[curve.name], iou)]
    for curve in curves:
        if curve.name in ("none", "raw"):
            _level(axes, curve, iou)
    axes.margins(y=0.06)
    axes.autoscale_view()
    low, high = axes.get_xlim()
    if starts:
        axes.set_xlim(low * (low / high) ** (NAMES / (1 - NAMES)), high)
    axes.set_xticks([size for size in TICKS if low <= size <= high])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value).strip()))
    axes.xaxis.set_minor_locator(NullLocator())
    _name(axes, starts)


def _line(axes: Axes, curve: Curve, look: Look, iou: str) -> list[Start]:
    """Draws one codec; where its line begins, if it has one."""
    whole = curve.name == "raw"  # at full rate it is a level, far to the right
    rows = [
        row
        for row in curve.budgeted
        if row["messages"] and row["ap"][iou] is not None and not (whole and row["budget_bytes"] is None)
    ]
    points = sorted({(row["bytes"]["mean"], row["ap"][iou]) for row in rows})
    for row in curve.papers:
        _paper(axes, row, look, iou)
    if not points:
        return []
    axes.plot(*zip(*points, strict=True), color=look.colour, marker=look.mark, markersize=5, linewidth=1.5)
    bands = sorted((row["bytes"]["mean"], *row["ap_ci95"][iou]) for row in rows if row["ap_ci95"][iou])
    if bands:
        sizes, low, high = zip(*bands, strict=True)
        axes.fill_between(sizes, low, high, color=look.colour, alpha=0.06, linewidth=0)
    return [Start(*points[0], curve.name, look.colour)]


def _paper(axes: Axes, row: dict[str, Any], look: Look, iou: str) -> None:
    """The paper's own rate: hollow where its formula puts it, a stroke to where its decodable message is."""
    value, real, charged = row["ap"][iou], row["bytes"]["mean"], row["formula_bytes"]
    if value is None or not real:
        return
    if charged:
        axes.plot([charged, real], [value, value], linestyle=":", linewidth=1.0, color=look.colour)
        axes.plot(charged, value, look.mark, markersize=8, markerfacecolor="none", markeredgecolor=look.colour)
    axes.plot(real, value, "|", markersize=9, markeredgewidth=1.6, color=look.colour)


def _level(axes: Axes, curve: Curve, iou: str) -> None:
    """A baseline as a horizontal line, named at its right end: nothing shared, or whole features."""
    row = next((item for item in curve.rows if item["budget_bytes"] is None and item["ap"][iou] is not None), None)
    if row is None:
        return
    value, colour = row["ap"][iou], GREY if curve.name == "none" else DARK
    axes.axhline(value, color=colour, linestyle="--", linewidth=1.2)
    name = "none:\nego alone" if curve.name == "none" else f"raw, whole:\n{_short(row['bytes']['mean'])}B"
    where = axes.get_yaxis_transform()
    axes.text(1.01, value, name, transform=where, color=colour, fontsize=9, va="center")


def _name(axes: Axes, starts: Sequence[Start]) -> None:
    """Names left of where the lines begin, at their height but apart from each other, with a thin line to each."""
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top)
    gap = LABEL_GAP * (top - bottom)
    ordered = sorted(starts, key=lambda start: start.ap)
    heights = spread([start.ap for start in ordered], gap, bottom + gap / 2, top - gap / 2)
    for start, height in zip(ordered, heights, strict=True):
        axes.annotate(
            start.name,
            xy=(start.size, start.ap),
            xytext=(NAMES - 0.05, (height - bottom) / (top - bottom)),
            textcoords="axes fraction",
            color=start.colour,
            fontsize=9,
            ha="right",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            va="center",
            arrowprops={"arrowstyle": "-", "color": start.colour, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 3},
        )


def spread(heights: Sequence[float], gap: float, bottom: float, top: float) -> list[float]:
    """Rising heights moved apart by at least `gap`, from the middle of each crowd, within the bounds if they fit."""
    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and _low(groups[-1], gap, bottom, top) < _low(groups[-2], gap, bottom, top) + gap * len(
            groups[-2]
        ):
            last = groups.pop()
            groups[-1] = groups[-1] + last
    return [_low(group, gap, bottom, top) + gap * place for group in groups for place in range(len(group))]


def _low(group: Sequence[float], gap: float, bottom: float, top: float) -> float:
    """Where the lowest of a crowd stands so that the crowd is centred on what it names."""
    reach = gap * (len(group) - 1)
    return max(bottom, min(sum(group) / len(group) - reach / 2, top - reach))


def _short(value: float) -> str:
    """Bytes as a tick says them: 250, 4 K, 2.1 M."""
    for unit, name in ((1e6, " M"), (1e3, " K")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g} "
