"""Situations by codecs: who crashed where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.figure import Figure

from carla_cp.metrics.comparison import ComparisonRow, comparison
from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.report.drawing import panels
from carla_cp.report.table import number

SAFE, SELDOM, ALWAYS = (226, 241, 233), (252, 232, 226), (176, 32, 44)  # no crash; from one crash on
MATRIX_NOTE = (
    "Collisions of the episodes, the redder the more; below them the mean AP@0.5 and the mean time to awareness of the "
    "hazard, with the egos that never came to know of it left out and counted."
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One codec in one situation."""

    scenario: str
    row: ComparisonRow
    triggered: int  # episodes with a hazard that started to matter

    @property
    def crashes(self) -> int:
        """Episodes with a collision."""
        return round(self.row.collision.value * self.row.episodes)

    @property
    def unaware(self) -> int:
        """Of the episodes with a hazard, those in which the ego never knew of it."""
        return self.triggered - self.row.time_to_awareness_s.episodes


@dataclass(frozen=True, slots=True)
class Matrix:
    """Every cell that has episodes."""

    scenarios: tuple[str, ...]
    labels: tuple[str, ...]
    cells: tuple[Cell, ...]  # scenario by scenario, in the order of the labels

    def at(self, scenario: str, label: str) -> Cell | None:
        """The cell of a situation and a codec, if there is one."""
        return next((cell for cell in self.cells if (cell.scenario, cell.row.label) == (scenario, label)), None)


def matrix(summaries: Sequence[EpisodeSummary]) -> Matrix:
    """The matrix of episodes under one setting."""
    scenarios = tuple(dict.fromkeys(item.scenario for item in summaries))
    labels = tuple(dict.fromkeys(item.label for item in summaries))
    cells = []
    for scenario in scenarios:
        here = [item for item in summaries if item.scenario == scenario]
        for row in sorted(comparison(here), key=lambda row: labels.index(row.label)):
            triggered = sum(item.hazard_triggered for item in here if item.label == row.label)
            cells.append(Cell(scenario, row, triggered))
    return Matrix(scenarios, labels, tuple(cells))


def matrix_table(found: Matrix) -> str:
    """The matrix as an HTML table with coloured cells; nothing without any."""
    if not found.cells:
        return ""
    head = "".join(f"<th>{escape(label)}</th>" for label in found.labels)
    lines = []
    for scenario in found.scenarios:
        cells = "".join(_cell(found.at(scenario, label)) for label in found.labels)
        lines.append(f'<tr><td class="left">{escape(scenario)}</td>{cells}</tr>')
    head = f'<thead><tr><th class="left">situation</th>{head}</tr></thead>'
    return f'<table class="matrix">{head}<tbody>\n{chr(10).join(lines)}\n</tbody></table>'


def plot_matrix(found: Matrix) -> Figure:
    """The collision rates as coloured cells."""
    width, height = 2.6 + 0.95 * len(found.labels), 1.1 + 0.42 * len(found.scenarios)
    figure, (axes,) = panels(width, height)
    colours = [[_colour(found.at(s, label)) for label in found.labels] for s in found.scenarios]
    axes.imshow([[[part / 255 for part in colour] for colour in line] for line in colours], aspect="auto")
    for y, scenario in enumerate(found.scenarios):
        for x, label in enumerate(found.labels):
            cell = found.at(scenario, label)
            if cell is not None:
                text = f"{cell.crashes}/{cell.row.episodes}"
                axes.text(x, y, text, ha="center", va="center", fontsize=9, color=_ink(cell))
    axes.set_xticks(range(len(found.labels)), found.labels, rotation=30, ha="right", fontsize=9)
    axes.set_yticks(range(len(found.scenarios)), found.scenarios, fontsize=9)
    for x in range(len(found.labels)):
        axes.axvline(x - 0.5, color="white", linewidth=2)
    for y in range(len(found.scenarios)):
        axes.axhline(y - 0.5, color="white", linewidth=2)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return '<td class="soft">–</td>'  # noqa: RUF001
    aware = number(cell.row.time_to_awareness_s.value, 2)
    known = f"aware {aware} s" if cell.row.time_to_awareness_s.episodes else ""
    never = f"{cell.unaware} never aware" if cell.unaware else ""
    low, high = cell.row.collision.ci95
    title = (
        f"collision rate {100 * cell.row.collision.value:.0f} %, 95 % interval {100 * low:.0f} to {100 * high:.0f} %"
    )
    below = "<br>".join(text for text in (f"AP {number(cell.row.ap50.value, 2)}", known, never) if text)
    style = f"background:rgb{_colour(cell)};color:{_ink(cell)}"
    return (
        f'<td style="{style}" title="{title}"><strong>{cell.crashes}/{cell.row.episodes}</strong><br>'
        f"<small>{below}</small></td>"
    )


def _colour(cell: Cell | None) -> tuple[int, int, int]:
    if cell is None:
        return (255, 255, 255)
    share = cell.row.collision.value
    if not share:
        return SAFE
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(SELDOM, ALWAYS, strict=True))
    return red, green, blue


def _ink(cell: Cell) -> str:
    return "#ffffff" if cell.row.collision.value > 0.5 else "#1d2330"
