"""Pictures of a codec's training: validation, codebook usage, and the information plane."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

from carla_cp.types import FloatArray
from carla_cp.whole import whole_file

matplotlib.use("Agg")


def plot_training(
    name: str,
    budget: int,
    curve: Sequence[tuple[float, float, float, float]],
    plane: Sequence[tuple[float, float, float]],
    usage: Sequence[FloatArray],
    path: Path,
) -> None:
    """One picture for all.

    `curve` has minutes and AP@0.5 of raw, of the codec whole and at `budget` bytes; `plane` minutes, rate [nat] and
    task loss; `usage` how often each code was used, codebook by codebook. What is empty is left out.
    """
    from matplotlib import pyplot

    panels = [bool(curve), len(plane) > 1, bool(usage)]
    figure, axes = pyplot.subplots(1, max(sum(panels), 1), figsize=(6 * max(sum(panels), 1), 4), squeeze=False)
    left = iter(axes[0])
    if curve:
        _validation(next(left), name, budget, curve)
    if len(plane) > 1:
        _plane(next(left), figure, np.array(plane))
    if usage:
        _usage(next(left), usage)
    figure.tight_layout()
    with whole_file(path) as file:
        figure.savefig(file, dpi=90, format="png")
    pyplot.close(figure)


def _validation(
    axes: matplotlib.axes.Axes, name: str, budget: int, curve: Sequence[tuple[float, float, float, float]]
) -> None:
    minutes, raw, whole, small = zip(*curve, strict=True)
    axes.plot(minutes, raw, linestyle="--", color="0.5", label="raw")
    axes.plot(minutes, whole, marker="o", label=f"{name}, full rate")
    axes.plot(minutes, small, marker="o", label=f"{name}, {budget} bytes")
    axes.set(xlabel="training time [min]", ylabel="AP@0.7, vehicles, validation maps", ylim=(0, 1))
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)


def _plane(axes: matplotlib.axes.Axes, figure: matplotlib.figure.Figure, plane: FloatArray) -> None:
    """Tishby and Zaslavsky's information plane with what a codec has for its two axes: rate and task loss."""
    points = axes.scatter(plane[:, 1], plane[:, 2], c=plane[:, 0], s=9, cmap="viridis")
    figure.colorbar(points, label="training time [min]")
    axes.set(xlabel="rate of a view [nat]", ylabel="task loss", xscale="log", yscale="log")
    axes.grid(alpha=0.3)


def _usage(axes: matplotlib.axes.Axes, usage: Sequence[FloatArray]) -> None:
    """Sorted shares: a collapsed codebook falls off at once, a healthy one stays level."""
    for number, counts in enumerate(usage):
        shares = np.sort(counts / counts.sum())[::-1]
        perplexity = np.exp(-(shares * np.log(shares + 1e-12)).sum())
        axes.plot(shares, drawstyle="steps-post", label=f"codebook {number}: {perplexity:.0f} of {len(shares)} in use")
    axes.set(xlabel="codes, most used first", ylabel="share of cells", yscale="log", ylim=(1e-5, 1))
    axes.legend(loc="lower left")
    axes.grid(alpha=0.3)
