"""Puts measured results into the README, between its `<!-- results -->` marks: a table, and a picture under docs/.

python tools/readme.py runs/intersection
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carla_cp.metrics.comparison import ComparisonRow, Mean, comparison
from carla_cp.metrics.fields import StoredError
from carla_cp.metrics.selection import alike, situations
from carla_cp.metrics.stored import summary_from_json
from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.whole import write_whole

ROOT = Path(__file__).resolve().parent.parent
PICTURE = "collisions.png"
START, END = "<!-- results -->", "<!-- /results -->"


class ReadmeError(Exception):
    """A file is not what it should be; the message names it and the mend."""


@dataclass(frozen=True, slots=True)
class Results:
    """What a run has to say in the README."""

    command: str
    episodes: tuple[EpisodeSummary, ...]
    picture: bytes


def read_results(place: Path) -> Results:
    """The results of a run's folder, or of its summary.json; raises ReadmeError."""
    path = place / "summary.json" if place.is_dir() else place
    picture = path.parent / "figures" / PICTURE
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        episodes = tuple(summary_from_json(item, f"{path}: episodes") for item in run["episodes"])
        return Results(str(run["command"]), episodes, picture.read_bytes())
    except FileNotFoundError as error:
        raise ReadmeError(f"{error.filename}: is not there; give the --out of a run, with its report") from error
    except (OSError, ValueError, KeyError, TypeError, StoredError) as error:
        raise ReadmeError(f"{path}: not the summary.json of a run ({error}); give one of this version") from error


def section(results: Results) -> str:
    """The comparison as a Markdown table, and the picture."""
    pooled = situations(alike(results.episodes))
    count = len({item.scenario for item in pooled})
    where = f", {count} situations" if count > 1 else ""
    lines = [
        f"Closed loop{where}, by `{results.command}`:",
        "",
        "| codec | budget [B] | episodes | collisions (95 %) | AP@0.5 | AP@0.7 | bytes per message | score |",
        "|---|---|---|---|---|---|---|---|",
        *(line(row) for row in comparison(pooled)),
        "",
        f"![Collisions against bytes per message, with 95 % intervals](docs/{PICTURE})",
    ]
    return "\n".join(lines)


def line(row: ComparisonRow) -> str:
    """One codec at one budget as a line of the table."""
    low, high = row.collision.ci95
    return (
        f"| `{row.codec}` | {cell(row.budget_bytes, 0)} | {row.episodes} "
        f"| {row.collision.value:.2f} ({low:.2f} to {high:.2f}) | {mean(row.ap50, 3)} | {mean(row.ap70, 3)} "
        f"| {cell(row.bytes_per_message, 0)} | {mean(row.driving_score_lb21, 1)} |"
    )


def mean(value: Mean, digits: int) -> str:
    """A mean as the table shows it."""
    return cell(value.value, digits)


def cell(value: float | None, digits: int) -> str:
    """A number as the table shows it."""
    return "-" if value is None else f"{value:,.{digits}f}"


def rewrite(root: Path, results: Results) -> None:
    """Rewrites README.md below `root`, and its picture; raises ReadmeError where the README has no place for it."""
    readme = root / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    if not after:
        raise ReadmeError(f"{readme}: no {START} ... {END}; put them where the results belong")
    write_whole(root / "docs" / PICTURE, results.picture)
    write_whole(readme, f"{before}{START}\n{section(results)}\n{END}{after}")


def main(values: Sequence[str] | None = None) -> int:
    """Rewrites the README's results; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the --out of a run, or its summary.json")
    arguments = parser.parse_args(values)
    try:
        rewrite(ROOT, read_results(arguments.run))
    except ReadmeError as error:
        print(f"readme: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
