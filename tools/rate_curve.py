"""AP against bytes as a table and a picture: rate_curve.py F.json [MORE.json ...] --out checkpoints/RATE.md

Joins results of `evaluate.py --rate-curve` and of other evaluations with the same frames and protocol: codecs that were
evaluated apart, rows with pose noise, rows with packet loss. Differences are paired by frame, their intervals come from
resamples of the scenes. The picture is written beside the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from arguments import out_file
from rate_claims import claims
from rate_plot import draw_curve
from rate_rows import NOISE_FREE, Curve, change, curves_of, noises_of, point, title
from results import SETTING, joined, protocol_lines, read_results, with_interval

from carla_cp.whole import write_whole

ENOUGH_FRAMES, ENOUGH_SCENES = 500, 40
NEAR = (1000, 2000)  # budgets [B] at which codecs are held against whole features


class CurveError(ValueError):
    """Results that make no curve together; the message is one line with the mend."""


def write_curve(results: Sequence[dict[str, Any]], path: Path) -> None:
    """The table, and where there is a curve its picture beside it under the same name. Raises CurveError."""
    result, picture = one_of(results), path.with_suffix(".png")
    curved = any(len(curve.budgeted) > 1 for curve in curves_of(result))
    if curved:
        draw_curve(result, picture)
    write_whole(path, table(result, picture.name if curved else ""))


def one_of(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The results as one. Raises CurveError where they differ in frames, detector or protocol."""
    first = results[0]
    for other in results[1:]:
        differing = [name for name in SETTING if other[name] != first[name]]
        if differing:
            name = differing[0]
            raise CurveError(
                f"`{other['command']}` has another {name} than `{first['command']}`: {other[name]} and {first[name]};"
                " give results of the same frames, detector and protocol"
            )
    return joined(results)[0]


def table(result: dict[str, Any], picture: str) -> str:
    """RATE.md of a joined result; `picture` is the name of its picture, or nothing."""
    curves = curves_of(result)
    parts = [
        "# AP against bytes",
        "",
        *protocol_lines(result),
        "6. Bytes: of whole messages that decode, headers and positions included, mean and maximum over those sent."
        " Beside them, what the paper's own formula charges for the same content.",
        *_requests(result),
        "",
        *_too_few(result),
        *([f"![AP against mean bytes per message]({picture})", ""] if picture else []),
        *_points(curves),
        *_near_raw(curves, noises_of(result)),
        *_noise(curves, noises_of(result)),
        *_loss(result),
        *claims(result),
        "## How this was made",
        "",
    ]
    parts += [text for made in dict.fromkeys(result["made"]) for text in (made, "")]
    return "\n".join(parts)


def _requests(result: dict[str, Any]) -> list[str]:
    if not any(row["request_bytes"] for row in result["rows"]):
        return []
    return [
        "7. Requests: the ego's of a frame is answered within the same frame, two rounds as in Where2comm's paper; its"
        " bytes have a column of their own."
    ]


def _too_few(result: dict[str, Any]) -> list[str]:
    if result["frames"] >= ENOUGH_FRAMES and result["scenes"] >= ENOUGH_SCENES:
        return []
    return [
        f"**Too few to rank codecs by: {result['frames']} frames of {result['scenes']} scenes, fewer than"
        f" {ENOUGH_FRAMES} or than {ENOUGH_SCENES}.**",
        "",
    ]


def _points(curves: Sequence[Curve]) -> list[str]:
    rows = [
        "## Every codec at every budget",
        "",
        "| codec | budget [B] | mean [B] | max [B] | paper's formula [B] | AP@0.5 | AP@0.7 | AP@0.5 to raw |"
        " AP@0.7 to raw | request [B] | empty |",
        "|---" * 11 + "|",
    ]
    for curve in curves:
        for row in curve.rows:
            sizes = [_size(row["bytes"]["mean"]), _size(row["bytes"]["max"]), _size(row["formula_bytes"])]
            figures = [with_interval(row, "0.5"), with_interval(row, "0.7"), change(row, "0.5"), change(row, "0.7")]
            budget = "-" if row["codec"] == "none" else _budget(row["budget_bytes"], row["codec"])
            last = [_size(row["request_bytes"]), str(row["empty"])]
            rows.append("| " + " | ".join([title(row, curve), budget, *sizes, *figures, *last]) + " |")
    return [*rows, ""]


def _budget(budget: int | None, codec: str) -> str:
    if budget is not None:
        return f"{budget:,}"
    return "fixed" if ":" in codec else "none"


def _size(value: float | None) -> str:
    return f"{value:,.0f}" if value else "-"


def _near_raw(curves: Sequence[Curve], noises: Sequence[str]) -> list[str]:
    """AP@0.7 less that of whole features at the budgets that a radio has room for."""
    heads = [f"{budget:,} B, {_said(noise)}" for noise in noises for budget in NEAR]
    rows = []
    for curve in curves:
        cells = [change(point(curve, noise, budget), "0.7") for noise in noises for budget in NEAR]
        if any(cell != "-" for cell in cells):
            rows.append(f"| {curve.name} | {' | '.join(cells)} | {_within(curve, 0.01)} |")
    if not rows:
        return []
    head = [
        "## AP@0.7 against raw features of 2 MB",
        "",
        "Differences under the same noise; the last column is the smallest budget within 0.01 of raw, without noise.",
        "",
        f"| codec | {' | '.join(heads)} | within 0.01 from [B] |",
        "|---" * (len(heads) + 2) + "|",
    ]
    return [*head, *rows, ""]


def _within(curve: Curve, margin: float) -> str:
    for row in curve.rows:
        difference = row.get("ap_to_raw", {}).get("0.7")
        if difference and difference["value"] is not None and difference["value"] >= -margin:
            return _budget(row["budget_bytes"], row["codec"])
    return "-"


def _noise(curves: Sequence[Curve], noises: Sequence[str]) -> list[str]:
    if len(noises) < 2:
        return []
    heads = [f"{iou} {_said(noise)}" for iou in ("AP@0.5", "AP@0.7") for noise in noises]
    rows = ["## Pose noise", "", f"| codec | budget [B] | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for curve in curves:
        for row in curve.rows:
            seen = [curve.noisy(noise, row) for noise in noises]
            if sum(item is not None for item in seen) < 2:
                continue
            cells = [with_interval(item, iou) for iou in ("0.5", "0.7") for item in seen]
            head = f"| {title(row, curve)} | {_budget(row['budget_bytes'], row['codec'])} "
            rows.append(f"{head}| {' | '.join(cells)} |")
    return [*rows, ""]


def _said(noise: str) -> str:
    return "clean" if noise == NOISE_FREE else f"{noise.removeprefix('gaussian:')} m/deg"


def _loss(result: dict[str, Any]) -> list[str]:
    """What lost packets cost, by how much is lost and what a lost packet takes along."""
    lossy = [row for row in result["rows"] if row["loss"] and row["noise"] == NOISE_FREE and not row["delay_ticks"]]
    if not lossy:
        return []
    kinds = sorted({(row["loss"], row["cut"]) for row in lossy}, key=lambda kind: (kind[0], kind[1] == "message"))
    heads = [f"{rate:.0%}, {'whole frame' if cut == 'message' else 'parts'}" for rate, cut in kinds]
    named = [f"AP@{iou} lost at {head}" for iou in ("0.5", "0.7") for head in heads]
    rows = [
        "## Packet loss",
        "",
        "AP that lost packets cost. Cut into parts, a packet takes its part of the message along; as a whole frame, all"
        " of it. Draws are the same for all rows.",
        "",
        f"| message | mean [B] | {' | '.join(named)} |",
        "|---" * (len(named) + 2) + "|",
    ]
    for label in dict.fromkeys(row["label"] for row in lossy):
        of_label = {(row["loss"], row["cut"]): row for row in lossy if row["label"] == label}
        cells = [change(of_label.get(kind), iou, "ap_loss") for iou in ("0.5", "0.7") for kind in kinds]
        size = _size(next(iter(of_label.values()))["bytes"]["mean"])
        rows.append(f"| {label} | {size} | {' | '.join(cells)} |")
    return [*rows, ""]


def main() -> None:
    """Exit status 2 and one line for results that make no curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", metavar="F.json", help="results of tools/evaluate.py")
    parser.add_argument("--out", type=out_file, required=True, help="the table, as checkpoints/RATE.md")
    options = parser.parse_args()
    results = read_results(options.results, lambda each: table(one_of([each]), ""), "rate_curve")
    try:
        write_curve(results, options.out)
    except CurveError as error:
        print(f"rate_curve: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
