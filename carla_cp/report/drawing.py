"""How figures look, and their files: matplotlib without a display."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#7f3fbf")  # Okabe and Ito
BASELINES = {"none": "#8a8f98", "oracle": "#1d2330"}
PNG_DPI = 200
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


def panels(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches with panels in a row."""
    with style.context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def legend(figure: Figure, axes: Axes) -> None:
    """What the lines of a panel are, beside it; nothing where there are none."""
    if axes.get_legend_handles_labels()[1]:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize=9, frameon=False)


def svg(figure: Figure) -> str:
    """The figure as an `<svg>` element, the same text each time."""
    buffer = io.StringIO()
    with style.context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return "<svg" + buffer.getvalue().partition("<svg")[2]


def png(figure: Figure) -> bytes:
    """The figure as a PNG file of 200 dots per inch."""
    buffer = io.BytesIO()
    with style.context(STYLE):
        figure.savefig(buffer, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return buffer.getvalue()
