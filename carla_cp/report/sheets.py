"""The report's tables as CSV with every digit, and as LaTeX for a paper (package `booktabs`)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from carla_cp.metrics.comparison import ComparisonRow, Mean, Rate
from carla_cp.metrics.fields import Json
from carla_cp.metrics.stored import summary_to_json
from carla_cp.metrics.stored_parts import COLLISION_KEYS
from carla_cp.metrics.stored_rows import row_to_json
from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.report.matrix import Matrix
from carla_cp.report.sweeps import Sweep
from carla_cp.report.table import probability

Value: TypeAlias = bool | int | float | str | None
ESCAPES = {
    "\\": r"\textbackslash{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "<": "$<$",
    ">": "$>$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table; None is an empty cell."""

    header: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def as_csv(sheet: Sheet) -> str:
    """Comma-separated, with a line of names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(sheet.header)
    writer.writerows(sheet.rows)
    return text.getvalue()


def as_latex(sheet: Sheet, left: int = 1) -> str:
    """A `tabular` with booktabs' rules, the first `left` columns to the left; what is undefined is a dash."""
    lines = [rf"\begin{{tabular}}{{{'l' * left}{'r' * (len(sheet.header) - left)}}}", r"\toprule"]
    lines += [_line(sheet.header), r"\midrule", *(_line(row) for row in sheet.rows)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def comparison_sheet(rows: Sequence[ComparisonRow]) -> Sheet:
    """Every figure of `summary.json`'s comparison, each interval in two columns."""
    flat = []
    for row in rows:
        value = row_to_json(row)
        del value["mcnemar_collisions"]
        flat.append(_flat(value))
    return _sheet(flat)


def comparison_paper(rows: Sequence[ComparisonRow]) -> Sheet:
    """What a paper shows of it."""
    header = ("codec", "budget [B]", "n", "collisions [%]", "AP@0.5", "AP@0.7", "bytes", "aware [s]", "score")
    return Sheet(
        header,
        tuple(
            (
                *(row.codec, row.budget_bytes, row.episodes, _rate(row.collision)),
                *(_mean(row.ap50, 3), _mean(row.ap70, 3)),
                None if row.bytes_per_message is None else round(row.bytes_per_message),
                *(_mean(row.time_to_awareness_s, 2), _mean(row.driving_score_lb21, 1)),
            )
            for row in rows
        ),
    )


def pairs_sheet(rows: Sequence[ComparisonRow]) -> Sheet:
    """McNemar's test of every codec against every other."""
    header = ("codec", "other", "pairs", "only_codec", "only_other", "p")
    labels = {(row.codec, row.budget_bytes): row.label for row in rows}
    return Sheet(
        header,
        tuple(
            (row.label, labels[item.codec, item.budget_bytes], item.test.pairs)
            + (item.test.only_first, item.test.only_second, item.test.p)
            for row in rows
            for item in row.against
        ),
    )


def pairs_paper(rows: Sequence[ComparisonRow]) -> Sheet:
    """The same, each pair once, with p to three digits."""
    sheet, order = pairs_sheet(rows), [row.label for row in rows]
    once = [row for row in sheet.rows if order.index(str(row[0])) < order.index(str(row[1]))]
    header = ("codec", "other", "pairs", "only the first", "only the second", "p")
    return Sheet(header, tuple((*row[:5], None if row[5] is None else probability(float(row[5]))) for row in once))


def episodes_sheet(summaries: Sequence[EpisodeSummary]) -> Sheet:
    """Every figure of every episode; of its collisions their number and the first one's figures."""
    flat = []
    for item in summaries:
        value = summary_to_json(item)
        del value["ap"]  # `ap_by_class.vehicle`
        hits = value.pop("collisions")
        assert isinstance(hits, list)
        first: Json = hits[0] if hits else dict.fromkeys(COLLISION_KEYS.split())
        flat.append(_flat({**value, "collisions": len(hits), "first_collision": first}))
    return _sheet(flat)


def matrix_sheet(found: Matrix) -> Sheet:
    """Every cell of the matrix."""
    header = ("scenario", "codec", "budget_bytes", "episodes", "collisions", "collision_rate", "low", "high")
    rest = ("ap50", "hazard_triggered", "aware", "time_to_awareness_s")
    rows = [
        (cell.scenario, cell.row.codec, cell.row.budget_bytes, cell.row.episodes, cell.crashes)
        + (cell.row.collision.value, *cell.row.collision.ci95, cell.row.ap50.value)
        + (cell.triggered, cell.row.time_to_awareness_s.episodes, cell.row.time_to_awareness_s.value)
        for cell in found.cells
    ]
    return Sheet((*header, *rest), tuple(rows))


def matrix_paper(found: Matrix) -> Sheet:
    """Situations by codecs, collisions of episodes."""
    cells = [[found.at(scenario, label) for label in found.labels] for scenario in found.scenarios]
    rows = [
        (scenario, *(None if cell is None else f"{cell.crashes}/{cell.row.episodes}" for cell in line))
        for scenario, line in zip(found.scenarios, cells, strict=True)
    ]
    return Sheet(("situation", *found.labels), tuple(rows))


def sweeps_sheet(found: Sequence[Sweep]) -> Sheet:
    """Every point of every curve."""
    header = ("scenario", "key", "fixed", "value", "codec", "budget_bytes", "episodes", "collision_rate", "low", "high")
    rest = ("ap50", "ap50_low", "ap50_high", "aware", "time_to_awareness_s", "bytes_per_message")
    rows = [
        (sweep.scenario, " ".join(sweep.keys), " ".join(sweep.fixed), point.value, row.codec, row.budget_bytes)
        + (row.episodes, row.collision.value, *row.collision.ci95, row.ap50.value, *(row.ap50.ci95 or (None, None)))
        + (row.time_to_awareness_s.episodes, row.time_to_awareness_s.value, row.bytes_per_message)
        for sweep in found
        for point in sweep.points
        for row in point.rows
    ]
    return Sheet((*header, *rest), tuple(rows))


def _flat(value: Mapping[str, Json], prefix: str = "") -> dict[str, Value]:
    """Inner objects as dotted names, intervals as two columns, other lists as text."""
    flat: dict[str, Value] = {}
    for key, item in value.items():
        name = prefix + key
        if key.endswith("_ci95"):
            low, high = item if isinstance(item, list) else (None, None)
            flat |= {f"{name}_low": _scalar(low), f"{name}_high": _scalar(high)}
        elif isinstance(item, dict):
            flat |= _flat(item, f"{name}.")
        else:
            flat[name] = _scalar(item)
    return flat


def _scalar(item: Json) -> Value:
    return " ".join(str(part) for part in item) if isinstance(item, list) else item  # type: ignore[return-value]


def _sheet(flat: Sequence[dict[str, Value]]) -> Sheet:
    header = tuple(flat[0]) if flat else ()
    return Sheet(header, tuple(tuple(row[name] for name in header) for row in flat))


def _line(cells: Sequence[Value]) -> str:
    return " & ".join(_escaped(cell) for cell in cells) + r" \\"


def _escaped(cell: Value) -> str:
    if cell is None:
        return "--"
    text = "".join(ESCAPES.get(letter, letter) for letter in str(cell))
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", text)  # a minus, and not a hyphen


def _rate(rate: Rate) -> str:
    low, high = (100 * value for value in rate.ci95)
    return f"{100 * rate.value:.0f} [{low:.0f}, {high:.0f}]"


def _mean(mean: Mean, digits: int) -> str | None:
    if mean.value is None:
        return None
    interval = "" if mean.ci95 is None else f" [{mean.ci95[0]:.{digits}f}, {mean.ci95[1]:.{digits}f}]"
    return f"{mean.value:.{digits}f}{interval}"
