"""The comparison as a table for the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from carla_cp.metrics.comparison import ALONE, ComparisonRow
from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.report.airtime import Airtime, airtimes

HEADER = (
    *("codec", "budget", "episodes", "collisions", "95 % interval", "p", "gain", "aware [s]"),
    *("AP@0.5", "AP@0.7", "bytes/message", "score"),
)


def format_table(rows: Sequence[ComparisonRow], summaries: Sequence[EpisodeSummary]) -> str:
    """The comparison as aligned text, and below it what one message of each codec costs on a 6 Mb/s channel.

    `score` is the Leaderboard 2.1 driving score, of 100; the interval is Wilson's; `p` is McNemar's of the collisions
    against `none`'s, `gain` how much of them is avoided of what `oracle` avoids; what is undefined is a dash.
    """
    lines = [HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    text = [_align(HEADER, widths), "  ".join("─" * width for width in widths)]
    text += [_align(line, widths) for line in lines[1:]]
    costs = [_cost(item) for item in airtimes(summaries)]
    return "\n".join(text + ([""] + costs if costs else [])) + "\n"


def print_table(rows: Sequence[ComparisonRow], summaries: Sequence[EpisodeSummary], file: TextIO | None = None) -> None:
    """Print `format_table` to `file`, by default the terminal."""
    (file or sys.stdout).write(format_table(rows, summaries))


def number(value: float | None, digits: int = 3) -> str:
    """A value with its digits and thin thousands, or a dash where it is undefined."""
    return "–" if value is None else f"{value:,.{digits}f}".replace(",", " ")  # noqa: RUF001


def probability(p: float | None) -> str:
    """A p value to three digits, or that it is below them."""
    return "< 0.001" if p is not None and p < 0.001 else number(p)


def _cells(row: ComparisonRow) -> tuple[str, ...]:
    low, high = row.collision.ci95
    return (
        row.codec,
        "–" if row.budget_bytes is None else number(row.budget_bytes, 0),  # noqa: RUF001
        str(row.episodes),
        f"{round(row.collision.value * row.episodes)} of {row.episodes}",
        f"{100 * low:.0f}–{100 * high:.0f} %",  # noqa: RUF001
        probability(row.p_against(ALONE)),
        number(row.collision_gain, 2),
        number(row.time_to_awareness_s.value, 2),
        number(row.ap50.value),
        number(row.ap70.value),
        number(row.bytes_per_message, 0),
        number(row.driving_score_lb21.value, 1),
    )


def _align(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    return "  ".join([first, *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))]).rstrip()


def _cost(item: Airtime) -> str:
    return (
        f"{item.label}: {number(item.bytes_per_message, 0)} bytes a message, {number(item.packets, 0)} packets, "
        f"{number(item.airtime_ms, 1)} ms of air at {item.rate_mbps:g} Mb/s"
    )
