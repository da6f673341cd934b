"""The report's tables of codecs beside each other, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from carla_cp.metrics.comparison import Against, ComparisonRow, Mean, Rate
from carla_cp.report.drawing import codec_colours
from carla_cp.report.table import number, probability

DRIVING_NOTE = (
    "Success: the route's end without an infraction; SCT weighs it by the time that oracle took. Gain: the share of "
    "what oracle avoids over none (collisions), or scores over it. Aware: the first confirmed track on the hazard "
    "after its trigger, over the episodes in which there was one. Impact: of the first collision, relative to the "
    "other. Age: of the newest message fused, and of the newest observation of whom the ego is about to meet. False "
    "braking: episodes with hard braking for nobody. Comfort: pieces of 2 s within nuPlan's six bounds. Below a mean "
    "stands its bootstrap 95 % interval, below a rate Wilson's."
)
PAIRS_NOTE = (
    "Over the situations and seeds that both have: episodes in which only the row's codec collided, in which only the "
    "column's did, and the exact two-sided p of McNemar's test."
)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table of cells that are already HTML, the first `left` columns left-aligned; nothing without rows."""
    if not rows:
        return ""

    left_class = ' class="left"'

    def line(tag: str, cells: Sequence[str]) -> str:
        marked = (f"<{tag}{left_class if i < left else ''}>{cell}</{tag}>" for i, cell in enumerate(cells))
        return f"<tr>{''.join(marked)}</tr>"

    lines = "\n".join(line("td", row) for row in rows)
    return f"<table><thead>{line('th', header)}</thead><tbody>\n{lines}\n</tbody></table>"


def comparison_table(rows: Sequence[ComparisonRow]) -> str:
    """What a reader asks first: collisions, precision, bytes, score."""
    header = ("codec", "budget [B]", "episodes", "collisions", "AP@0.5", "AP@0.7", "bytes per message", "score")
    cells = [
        (
            name,
            number(row.budget_bytes, 0),
            str(row.episodes),
            _bar(row.collision),
            _mean(row.ap50, 3),
            _mean(row.ap70, 3),
            number(row.bytes_per_message, 0),
            _mean(row.driving_score_lb21, 1),
        )
        for name, row in zip(_names(rows), rows, strict=True)
    ]
    return table(header, cells)


def driving_table(rows: Sequence[ComparisonRow]) -> str:
    """How the ego drove with each codec."""
    header = (
        *("codec", "budget [B]", "success", "SCT", "gain: collisions", "gain: score", "aware [s]", "impact [m/s]"),
        *("age of messages [s]", "age of targets [s]", "false braking", "comfort"),
    )
    cells = [
        (
            name,
            number(row.budget_bytes, 0),
            _rate(row.success),
            number(row.sct, 2),
            number(row.collision_gain, 2),
            number(row.score_gain, 2),
            _mean(row.time_to_awareness_s, 2),
            _mean(row.impact_mps, 1),
            _mean(row.age_of_information_s, 2),
            _mean(row.age_of_targets_s, 2),
            _rate(row.false_braking),
            _mean(row.comfort, 2),
        )
        for name, row in zip(_names(rows), rows, strict=True)
    ]
    return table(header, cells)


def pairs_table(rows: Sequence[ComparisonRow]) -> str:
    """McNemar's test of every codec against every other; nothing where there is but one."""
    if len(rows) < 2:
        return ""
    cells = [(escape(row.label), *_against_all(row, index)) for index, row in enumerate(rows)]
    return table(("", *(escape(row.label) for row in rows)), cells)


def _against_all(row: ComparisonRow, index: int) -> list[str]:
    cells = [_against(item) for item in row.against]
    return [*cells[:index], "", *cells[index:]]


def _against(item: Against) -> str:
    test = item.test
    return f"{test.only_first} : {test.only_second}{_below(escape(f'p {_equals(test.p)}'))}"


def _equals(p: float | None) -> str:
    text = probability(p)
    return text if text.startswith("<") else f"= {text}"


def _names(rows: Sequence[ComparisonRow]) -> list[str]:
    colours = codec_colours([row.codec for row in rows])
    return [f'<span class="dot" style="background:{colours[row.codec]}"></span>{escape(row.codec)}' for row in rows]


def _bar(rate: Rate) -> str:
    low, high = (100 * value for value in rate.ci95)
    percent = 100 * rate.value
    bar = f'<i style="left:{low:.1f}%;width:{high - low:.1f}%"></i><b style="left:{percent:.1f}%"></b>'
    return f'{percent:.0f} % [{low:.0f}, {high:.0f}]<span class="track">{bar}</span>'


def _rate(rate: Rate) -> str:
    low, high = (100 * value for value in rate.ci95)
    return f"{100 * rate.value:.0f} %{_below(f'{low:.0f} to {high:.0f}')}"


def _mean(mean: Mean, digits: int) -> str:
    if mean.ci95 is None:
        return number(mean.value, digits)
    low, high = mean.ci95
    return f"{number(mean.value, digits)}{_below(f'{number(low, digits)} to {number(high, digits)}')}"


def _below(text: str) -> str:
    return f'<br><span class="interval">{text}</span>'
