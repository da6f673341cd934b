"""The picture of a rate curve: AP against mean bytes per message, a line per codec, named where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from rate_rows import Curve, curves_of

from carla_cp.report.plots import PALETTE, STYLE
from carla_cp.whole import whole_file

GREY, DARK = "#8a8f98", "#1d2330"
MARKS = "osD^vP*X"  # beside colour, for who cannot tell two colours apart
LABEL_GAP = 0.052  # of the panel's height


@dataclass(frozen=True, slots=True)
class Look:
    """How a curve is drawn."""

    colour: str
    mark: str


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
    ends: list[tuple[float, float, str, str]] = []
    for curve in curves:
        if curve.name in looks:
            ends += _line(axes, curve, looks[curve.name], iou)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    for curve in curves:
        if curve.name in ("none", "raw"):
            ends += _level(axes, curve, iou)
    axes.margins(y=0.06)
    axes.autoscale_view()
    _name(axes, ends)


def _line(axes: Axes, curve: Curve, look: Look, iou: str) -> list[tuple[float, float, str, str]]:
    """Draws one codec; its last point with its name and colour."""
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
        axes.fill_between(sizes, low, high, color=look.colour, alpha=0.08, linewidth=0)
    return [(*points[-1], curve.name, look.colour)]


def _paper(axes: Axes, row: dict[str, Any], look: Look, iou: str) -> None:
    """The paper's own rate: hollow where its formula puts it, a stroke to where its decodable message is."""
    value, real, charged = row["ap"][iou], row["bytes"]["mean"], row["formula_bytes"]
    if value is None or not real:
        return
    if charged:
        axes.plot([charged, real], [value, value], linestyle=":", linewidth=1.0, color=look.colour)
        axes.plot(charged, value, look.mark, markersize=8, markerfacecolor="none", markeredgecolor=look.colour)
    axes.plot(real, value, "|", markersize=9, markeredgewidth=1.6, color=look.colour)


def _level(axes: Axes, curve: Curve, iou: str) -> list[tuple[float, float, str, str]]:
    """A baseline as a horizontal line: nothing shared, or whole features."""
    row = next((item for item in curve.rows if item["budget_bytes"] is None and item["ap"][iou] is not None), None)
    if row is None:
        return []
    value, colour = row["ap"][iou], GREY if curve.name == "none" else DARK
    axes.axhline(value, color=colour, linestyle="--", linewidth=1.2)
    size = row["bytes"]["mean"]
    name = "none: ego alone" if curve.name == "none" else f"raw, whole: {_short(size)}B"
    return [(axes.get_xlim()[1], value, name, colour)]


def _name(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Names beside the panel at the height of what they name, apart from each other, with a thin line to it."""
    bottom, top = axes.get_ylim()
    right = axes.get_xlim()[1]
    axes.set_xlim(axes.get_xlim())
    axes.set_ylim(bottom, top)
    gap = LABEL_GAP * (top - bottom)
    heights: list[float] = []
    for _, value, _, _ in (ordered := sorted(ends, key=lambda end: end[1])):
        heights.append(max(value, heights[-1] + gap) if heights else value)
    over = max(0.0, heights[-1] - top) if heights else 0.0
    for index in range(len(heights) - 1, -1, -1):  # push down what stands out at the top
        limit = top if index == len(heights) - 1 else heights[index + 1] - gap
        heights[index] = min(heights[index], limit) if over else heights[index]
    for (x, value, name, colour), height in zip(ordered, heights, strict=True):
        axes.annotate(
            name,
            xy=(min(x, right), value),
            xytext=(1.03, (height - bottom) / (top - bottom)),
            textcoords="axes fraction",
            color=colour,
            fontsize=9,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "alpha": 0.5, "shrinkA": 1, "shrinkB": 3},
        )


def _short(value: float) -> str:
    """Bytes as a tick says them: 250, 4 K, 2.1 M."""
    for unit, name in ((1e6, " M"), (1e3, " K")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g} "
