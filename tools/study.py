"""The closed-loop study: plays what is missing of it, and turns what is there into reports.

    python tools/study.py --list
    python tools/study.py --jobs 2 --time-budget 120
    python tools/study.py --report runs/study

`study_blocks.py` says what the study is. Every finished episode is one line of the ledger, on the disk before the next
begins, so that a sitting goes on where any other ended or was killed. The order is seed by seed: at any time all codecs
have had nearly the same situations. Lines that were played by other code stay as they are, counted as older;
`--again` plays them once more. Exit status: 0, 1 an episode failed, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from arguments import existing_folder, minutes, out_file, out_folder, positive
from provenance import commit, machine
from study_blocks import BLOCKS, Block
from study_ledger import Key, LedgerError, Line, open_ledger, read_ledger
from study_plan import Cell, Planned, in_order, plan_block, unplanned
from tqdm import tqdm

from carla_cp import __version__
from carla_cp.conditions import conditions_of
from carla_cp.forecast import Forecast
from carla_cp.metrics.fields import StoredError
from carla_cp.metrics.scene import Scene
from carla_cp.metrics.summary import EpisodeSummary, EpisodeTrace
from carla_cp.options import RunOptions, build_parser, parse_options
from carla_cp.report import RunInfo, StoredEpisode, episode_path, read_episode, write_episode
from carla_cp.run import BAD_INPUT, conclude, played, scored
from carla_cp.session import Task
from carla_cp.types import CodecChoice, Scenario

ROOT = Path(__file__).resolve().parent.parent
SCENARIOS, LEDGER = ROOT / "scenarios", ROOT / "docs" / "study" / "episodes.jsonl"
TRACES = ROOT / "runs" / "study"
NO_TRACE = EpisodeTrace((), (), (), (), Scene((), (), None, None))


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the study is."""

    plans: tuple[Planned, ...]
    options: RunOptions  # of a run of all its scenarios and codecs
    conditions: Mapping[tuple[Scenario, CodecChoice], int]
    lines: Mapping[Key, Line]

    def missing(self, again: bool) -> list[Cell]:
        """What is to be played, in order; with `again` also what older code played."""
        cells = in_order(self.plans)
        return [cell for cell in cells if cell.key not in self.lines or (again and self.is_older(cell))]

    def is_older(self, cell: Cell) -> bool:
        """Whether its line was played by other code or from another file, or cannot be read any more."""
        line = self.lines.get(cell.key)
        return line is not None and (line.conditions != self.conditions_of(cell) or line.summary is None)

    def conditions_of(self, cell: Cell) -> int:
        """Those under which it is played today."""
        return self.conditions[cell.task.scenario, cell.task.choice]


def main(argv: Sequence[str] | None = None) -> int:
    """0, 1 if an episode failed, 2 with one line for bad input, 130 interrupted."""
    arguments = _parser().parse_args(argv)
    blocks = [block for block in BLOCKS if arguments.block in (None, block.name)]
    command = "python tools/study.py " + shlex.join(argv if argv is not None else sys.argv[1:])
    try:
        if arguments.list:
            _tell(_standing(blocks, arguments), arguments.scenarios)
            return 0
        return sit(blocks, arguments) if arguments.report is None else report(blocks, arguments, command)
    except (*BAD_INPUT, LedgerError, OSError) as error:
        print(f"study: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstudy: interrupted; finished episodes are in the ledger", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--block", choices=[block.name for block in BLOCKS], help="this one alone")
    parser.add_argument("--jobs", type=positive, default=2, metavar="N", help="episodes at a time (default 2)")
    parser.add_argument("--time-budget", type=minutes, metavar="MIN", help="begin no episode after so long")
    parser.add_argument("--list", action="store_true", help="say how far each block is, and play nothing")
    parser.add_argument("--again", action="store_true", help="play once more what older code played")
    parser.add_argument("--report", type=out_folder, metavar="DIR", help="write the results of all that is there")
    parser.add_argument(
        "--ledger", type=out_file, default=LEDGER, metavar="FILE", help="default docs/study/episodes.jsonl"
    )
    parser.add_argument(
        "--traces", type=out_folder, default=TRACES, metavar="DIR", help="for the report's plots (default runs/study)"
    )
    parser.add_argument(
        "--scenarios", type=existing_folder, default=SCENARIOS, metavar="DIR", help="default scenarios/"
    )
    return parser


def sit(blocks: Sequence[Block], arguments: argparse.Namespace) -> int:
    """Plays what is missing until it is done or the time is over."""
    until = None if arguments.time_budget is None else time.monotonic() + 60 * arguments.time_budget
    where = commit(aside=arguments.ledger), machine()
    with open_ledger(arguments.ledger) as ledger:
        standing = _standing(blocks, arguments)
        _tell(standing, arguments.scenarios)
        failures = 0
        for cell, stored in _played(standing, standing.missing(arguments.again), until):
            if stored is None:
                failures += 1
                continue
            write_episode(_trace_file(arguments.traces, cell), stored)
            ledger.append(Line(cell.key, stored.conditions, *where, stored.summary))
    return 1 if failures else 0


def _played(
    standing: Standing, missing: Sequence[Cell], until: float | None
) -> Iterator[tuple[Cell, StoredEpisode | None]]:
    """Every cell with its episode, as they come; None, and a line on the terminal, for one that failed."""
    cells: dict[Task, list[Cell]] = {}
    for cell in missing:
        cells.setdefault(cell.task, []).append(cell)
    past = [line.summary for line in standing.lines.values() if line.summary is not None]
    forecast = Forecast(list(cells), standing.options.jobs, past)
    with played(standing.options, list(cells), forecast, until) as episodes:
        for finished in episodes:
            summary = None
            for cell in cells[finished.task]:
                if finished.episode is None:
                    tqdm.write(f"study: {finished.task.name} failed: {finished.error}", sys.stderr)
                    yield cell, None
                else:
                    stored = scored(finished.episode, standing.conditions_of(cell), cell.key.settings)
                    summary = stored.summary
                    yield cell, stored
            forecast.add(finished.task, summary)
    print(f"study: {forecast.told()}", file=sys.stderr)


def report(blocks: Sequence[Block], arguments: argparse.Namespace, command: str) -> int:
    """Writes one summary and report of all that is there of the blocks."""
    lines = _lines(arguments.ledger)
    cells = in_order(plan_block(block, arguments.scenarios) for block in blocks)
    found = [(cell, lines[cell.key]) for cell in cells if cell.key in lines]
    episodes = [
        StoredEpisode(line.summary, _trace(_trace_file(arguments.traces, cell), line.summary), line.conditions)
        for cell, line in found
        if line.summary is not None
    ]
    left_out = len(found) - len(episodes)
    note = f"; {left_out} left out, which another version wrote" if left_out else ""
    print(f"{len(episodes)} of {len(cells)} episodes{note}")
    if episodes:
        conclude(arguments.report, RunInfo(__version__, "embedded", "cpu", command), episodes)
    return 0


def _trace_file(traces: Path, cell: Cell) -> Path:
    under = traces / ",".join(cell.key.settings) if cell.key.settings else traces
    return episode_path(under, cell.key.scenario, cell.task.choice, cell.key.seed)


def _trace(path: Path, summary: EpisodeSummary) -> EpisodeTrace:
    """The trace of that very episode; an empty one where it was played elsewhere."""
    try:
        stored = read_episode(path)
    except (OSError, StoredError):
        return NO_TRACE
    return stored.trace if stored.summary == summary else NO_TRACE


def _standing(blocks: Sequence[Block], arguments: argparse.Namespace) -> Standing:
    plans = tuple(plan_block(block, arguments.scenarios) for block in blocks)
    tasks = [cell.task for planned in plans for cell in planned.cells]
    pairs = dict.fromkeys((task.scenario, task.choice) for task in tasks)
    given = build_parser().parse_args([str(SCENARIOS / "intersection.xml"), "--jobs", str(arguments.jobs)])
    scenarios, choices = (tuple(dict.fromkeys(each)) for each in zip(*pairs, strict=True)) if pairs else ((), ())
    seeds = tuple(dict.fromkeys(task.seed for task in tasks))
    options = replace(parse_options(given), scenarios=scenarios, choices=choices, seeds=seeds)
    conditions = {pair: conditions_of(options, *pair) for pair in pairs}
    return Standing(plans, options, conditions, _lines(arguments.ledger))


def _lines(path: Path) -> dict[Key, Line]:
    return {line.key: line for line in read_ledger(path)}


def _tell(standing: Standing, scenarios: Path) -> None:
    """How far each block is."""
    for planned in standing.plans:
        done = [cell for cell in planned.cells if cell.key in standing.lines]
        older = sum(standing.is_older(cell) for cell in done)
        note = f", {older} of them by older code (--again plays those once more)" if older else ""
        print(f"{planned.block.name:11s}{len(done):5d} of {len(planned.cells):4d} episodes{note}")
        if planned.absent:
            print(f"{'':11s}skipped, without a file in {scenarios.name}/: {', '.join(planned.absent)}")
    others = unplanned([planned.block for planned in standing.plans], scenarios)
    if others and len(standing.plans) == len(BLOCKS):
        print(f"in no block of tools/study_blocks.py: {', '.join(others)}")


if __name__ == "__main__":
    sys.exit(main())
