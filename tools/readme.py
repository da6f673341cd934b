"""Puts measured results into the README, between its `<!-- results -->` marks.

python tools/readme.py runs/intersection/summary.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from carla_cp.whole import write_whole

README = Path(__file__).resolve().parent.parent / "README.md"
START, END = "<!-- results -->", "<!-- /results -->"


def cell(value: float | None, digits: int = 3) -> str:
    """A number as the table shows it."""
    return "-" if value is None else f"{value:,.{digits}f}"


def closed_loop(path: Path) -> str:
    """The comparison of a run as a Markdown table."""
    run = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        f"Closed loop, by `{run['command']}`:",
        "",
        "| codec | budget [B] | episodes | collisions (95 %) | AP@0.5 | AP@0.7 | bytes per message | score |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in run["comparison"]:
        low, high = row["collision_rate_ci95"]
        lines.append(
            f"| `{row['codec']}` | {cell(row['budget_bytes'], 0)} | {row['episodes']} "
            f"| {row['collision_rate']:.2f} ({low:.2f} to {high:.2f}) | {cell(row['ap50'])} | {cell(row['ap70'])} "
            f"| {cell(row['bytes_per_message'], 0)} | {cell(row['driving_score_lb21'], 1)} |"
        )
    return "\n".join(lines)


def main(values: Sequence[str] | None = None) -> int:
    """Rewrites the README's results; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("summary", type=Path, help="a run's summary.json")
    arguments = parser.parse_args(values)
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    if not after:
        print(f"{README}: no {START} ... {END}", file=sys.stderr)
        return 2
    try:
        table = closed_loop(arguments.summary)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{arguments.summary}: not the summary.json of a run ({error!r}); give one", file=sys.stderr)
        return 2
    write_whole(README, f"{before}{START}\n{table}\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
