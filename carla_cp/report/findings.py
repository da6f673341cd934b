"""What a run shows: its rows, its matrix, its sweeps and its figures, worked out once for page, pictures and tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from carla_cp.metrics.comparison import ComparisonRow, comparison
from carla_cp.metrics.selection import alike, situations
from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.report.files import StoredEpisode
from carla_cp.report.matrix import Matrix, matrix, plot_matrix
from carla_cp.report.plots import plot_awareness, plot_collisions, plot_precision
from carla_cp.report.sweeps import Sweep, plot_sweep, sweeps

COLLISIONS_NOTE = "Bars and bands: Wilson's 95 % intervals. Codecs stand a little apart, to be seen."
SWEEP_NOTE = "Bars: 95 % intervals, Wilson's of rates, by bootstrap of means. Codecs stand a little apart, to be seen."
AWARENESS_NOTE = (
    "The share of episodes in which the ego had a confirmed track on the hazard, over the time since the hazard's "
    "trigger. A line that ends below 100 % is of episodes in which it never had one; the legend counts those that did."
)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A figure with what is said of it; the name is its file's."""

    name: str
    title: str
    note: str
    figure: Figure


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Everything the report says about its episodes."""

    episodes: tuple[StoredEpisode, ...]  # all
    compared: tuple[StoredEpisode, ...]  # those under the settings that most have
    rows: tuple[ComparisonRow, ...]  # of these without controls
    matrix: Matrix  # of the same
    controls: Matrix
    sweeps: tuple[Sweep, ...]
    pictures: tuple[Picture, ...]


def findings(episodes: Sequence[StoredEpisode]) -> Findings:
    """The findings of all episodes of a run, in any number of scenarios and settings."""
    summaries = [item.summary for item in episodes]
    under_same = alike(summaries)
    pooled = situations(under_same)
    rows, cells, swept = comparison(pooled), matrix(pooled), sweeps(summaries)
    settings = under_same[0].settings if under_same else ()
    return Findings(
        episodes=tuple(episodes),
        compared=tuple(item for item in episodes if item.summary.settings == settings),
        rows=rows,
        matrix=cells,
        controls=matrix([item for item in under_same if item not in pooled]),
        sweeps=swept,
        pictures=_pictures(rows, cells, swept, pooled),
    )


def _pictures(
    rows: Sequence[ComparisonRow], cells: Matrix, swept: Sequence[Sweep], pooled: Sequence[EpisodeSummary]
) -> tuple[Picture, ...]:
    aware = plot_awareness(pooled)
    return (
        Picture("collisions", "Bytes against collisions", COLLISIONS_NOTE, plot_collisions(rows)),
        Picture("precision", "Bytes against precision", "Dashed: what sends nothing.", plot_precision(rows)),
        *([] if aware is None else [Picture("awareness", "When the ego knew", AWARENESS_NOTE, aware)]),
        Picture("matrix", "Situations by codecs", "", plot_matrix(cells)),
        *(Picture(f"sweep_{_file(sweep.name)}", _title(sweep), SWEEP_NOTE, plot_sweep(sweep)) for sweep in swept),
    )


def _title(sweep: Sweep) -> str:
    fixed = f" ({', '.join(sweep.fixed)})" if sweep.fixed else ""
    return f"{sweep.scenario} over {' and '.join(sweep.keys)}{fixed}"


def _file(name: str) -> str:
    return re.sub(r"[^\w.-]", "-", name)
