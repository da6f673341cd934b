"""Drives CARLA's own TrafficManager on maps, and checks what the embedded server promises of its traffic.

    python tools/check_traffic.py [MAP.xodr ...] [--cars 30] [--minutes 10] [--seed 0] [--out traffic.json]
    python tools/check_traffic.py scenarios/maps/crossing.xodr --determinism

Without maps: all of `scenarios/maps`. Each map has a server and a client process of its own. The client can wait for
ever in `tick` (a lost wake-up in the wheel); such a run is ended, told and begun again. Exit status: 0 all promises
are kept, 1 one is broken, 2 bad input.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from arguments import minutes, out_file, positive
from provenance import commit, machine
from tqdm import tqdm
from traffic_measures import DT_S, GENTLE_M
from traffic_run import TrafficPlan, TrafficResult, drive

from carla_cp.lifeline import end_with_parent
from carla_cp.whole import write_whole

MAPS = Path(__file__).resolve().parent.parent / "scenarios" / "maps"
LANE_M = 0.5  # the lane-centre error that 95 % stay under
QUEUE_S = 15.0  # that a car may stand beyond a full cycle of lights: for those that start before it
UNLIT_S = 60.0  # that a car may stand where no junction has lights
SAME_TICKS = 1000  # of the check of determinism
_START_S = 300.0  # for the map to load
_PATIENCE_S = 60.0  # between two words from a run
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one map: the result of the attempt that ended, and how the others failed."""

    map: str
    result: TrafficResult | None
    hangs: int  # of the client, in which it waited for ever
    deaths: tuple[str, ...]  # how client processes ended before their time


def run(plan: TrafficPlan) -> Outcome:
    """Runs a plan in a process of its own, again where the client hangs or dies."""
    hangs = 0
    deaths: list[str] = []
    context = multiprocessing.get_context("spawn")
    for _ in range(_ATTEMPTS):
        ours, theirs = context.Pipe(duplex=False)
        # A daemon: whoever is interrupted does not wait for a client that hangs.
        process = context.Process(target=_work, args=(plan, theirs), daemon=True)
        process.start()
        theirs.close()
        with tqdm(total=plan.ticks, desc=plan.map_file.stem, unit="tick", leave=False) as bar:
            result, ended = _listen(ours, lambda tick: bar.update(tick - bar.n))
        if result is not None:
            process.join(_PATIENCE_S)
        silent = not ended and result is None
        process.kill()
        process.join()
        if result is not None:
            return Outcome(plan.map_file.stem, result, hangs, tuple(deaths))
        if silent:
            hangs += 1
        else:
            deaths.append(f"exit status {process.exitcode}")
    return Outcome(plan.map_file.stem, None, hangs, tuple(deaths))


def _listen(pipe: Connection, progress: Callable[[int], object]) -> tuple[TrafficResult | None, bool]:
    """The result once it is there; else nothing, and whether the process ended rather than fell silent."""
    patience = _START_S
    while pipe.poll(patience):
        try:
            word = pipe.recv()
        except EOFError:
            return None, True
        if isinstance(word, TrafficResult):
            return word, False
        patience = _PATIENCE_S
        progress(word)
    return None, False


def _work(plan: TrafficPlan, pipe: Connection) -> None:
    end_with_parent()
    pipe.send(drive(plan, pipe.send))


def limit_s(result: TrafficResult) -> float:
    """How long a car may stand: a full cycle of the lights and the queue before it, and a minute without lights."""
    return max(result.cycle_s + QUEUE_S, UNLIT_S)


def broken(outcome: Outcome, plan: TrafficPlan) -> list[str]:
    """The promises that a run did not keep; empty if it kept all."""
    if outcome.result is None:
        return [f"the client did not get to the end in {_ATTEMPTS} attempts"]
    found, limit = outcome.result.findings, limit_s(outcome.result)
    stuck = sum(stop > limit for stop in found.stops_s)
    lanes = max((errors[1] for errors in (found.straight_m, found.bend_m) if errors), default=0.0)
    checks = [
        (bool(outcome.deaths), f"the client died: {', '.join(outcome.deaths)}"),
        (stuck > 0, f"{stuck} stops longer than {limit:.0f} s, the longest {found.longest_stop_s:.1f} s"),
        (found.removed > 0, f"{found.removed} cars were held for stuck and removed by the TrafficManager"),
        (lanes > LANE_M, f"the 95th percentile of the lane-centre error is {lanes:.2f} m"),
        (bool(found.touches), f"{len(found.touches)} collisions"),
        (found.crossings == 0, "no car crossed a junction"),
        (found.mean_cars < 0.8 * plan.cars, f"there were only {found.mean_cars:.1f} cars"),
    ]
    return [text for is_broken, text in checks if is_broken]


_HEADINGS = (
    "map", "cars", "crossed", "longest stop", "stuck", "straight p50/p95", "bends p50/p95", "hits", "ticks/s",
    "server ms", "hangs", "client",
)  # fmt: skip


def line(outcome: Outcome) -> tuple[str, ...]:
    """One row of the table."""
    client = "died" if outcome.deaths else "lived"
    result = outcome.result
    if result is None:
        return (outcome.map, *["-"] * 9, str(outcome.hangs), client)
    found = result.findings
    limit = limit_s(result)
    return (
        outcome.map,
        f"{found.mean_cars:.1f}",
        str(found.crossings),
        f"{found.longest_stop_s:.1f} s",
        f"{sum(stop > limit for stop in found.stops_s)} > {limit:.0f} s",
        _errors(found.straight_m),
        _errors(found.bend_m),
        str(len(found.touches)),
        f"{result.ticks_per_s:.0f}",
        f"{result.server_ms:.2f}",
        str(outcome.hangs),
        client,
    )


def _errors(found: Sequence[float]) -> str:
    return f"{found[0]:.3f} {found[1]:.3f} m" if found else "-"


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)


def same_twice(plan: TrafficPlan) -> tuple[bool, str]:
    """Whether two runs of the plan saw the same snapshots and clouds, and the story of it."""
    twice = [run(plan), run(plan)]
    digests = [outcome.result.digest[:12] for outcome in twice if outcome.result is not None]
    lost = f" ({sum(outcome.hangs for outcome in twice)} hangs, {sum(len(outcome.deaths) for outcome in twice)} deaths)"
    if len(digests) < 2:
        return False, "a run did not get to the end" + lost
    if digests[0] != digests[1]:
        return False, f"snapshots or clouds differ: digests {' and '.join(digests)}{lost}"
    return True, f"snapshots and clouds of {plan.ticks} ticks are identical, digest {digests[0]}{lost}"


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", nargs="*", type=map_file, metavar="MAP.xodr", default=sorted(MAPS.glob("*.xodr")))
    parser.add_argument("--cars", type=positive, default=30)
    parser.add_argument("--minutes", type=minutes, default=10.0, help="of simulated time, at 20 ticks per second")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lane-changes", action="store_true", help="let the TrafficManager change lanes at random")
    parser.add_argument("--determinism", action="store_true", help=f"compare two runs of {SAME_TICKS} ticks instead")
    parser.add_argument("--out", type=out_file, metavar="F.json")
    return parser.parse_args()


def map_file(text: str) -> Path:
    """An OpenDRIVE file that is there."""
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text}: no such file; give an OpenDRIVE map")
    return Path(text)


def check_sameness(plans: Sequence[TrafficPlan]) -> int:
    """Compares two runs of each plan, and says what came out."""
    bad = 0
    for plan in plans:
        same, story = same_twice(replace(plan, ticks=SAME_TICKS, compared=True))
        bad += not same
        print(f"{plan.map_file.stem}: {story}", flush=True)
    return 1 if bad else 0


def main() -> int:
    """Checks the maps one after another."""
    options = parse()
    ticks = round(options.minutes * 60 / DT_S)
    plans = [TrafficPlan(path, options.cars, ticks, options.seed, options.lane_changes) for path in options.maps]
    if options.determinism:
        return check_sameness(plans)
    rows: list[tuple[str, ...]] = [_HEADINGS]
    faults: list[str] = []
    outcomes: list[Outcome] = []
    for plan in plans:
        outcome = run(plan)
        outcomes.append(outcome)
        rows.append(line(outcome))
        print(table([_HEADINGS, rows[-1]]), flush=True)
        faults += [f"{outcome.map}: {fault}" for fault in broken(outcome, plan)]
    print("\n" + table(rows))
    print(f"bends: radius from {GENTLE_M:.0f} m. Ticks/s: server and TrafficManager, on this machine as it is now.")
    for fault in faults:
        print(f"BROKEN {fault}")
    if options.out:
        write_whole(options.out, report(options, outcomes, faults))
    return 1 if faults else 0


def report(options: argparse.Namespace, outcomes: Sequence[Outcome], faults: Sequence[str]) -> str:
    """Everything, as JSON."""
    settings = {"cars": options.cars, "minutes": options.minutes, "seed": options.seed, "lanes": options.lane_changes}
    found = [asdict(outcome) for outcome in outcomes]
    document = {"machine": machine(), "commit": commit(), "settings": settings, "maps": found, "broken": list(faults)}
    return json.dumps(document, indent=1) + "\n"


if __name__ == "__main__":
    sys.exit(main())
