"""Who sees the hazard when, whether a situation tells ways of sharing apart, and why not.

    python tools/check_scenario.py scenarios/ --seeds 0-9 --out pictures/

An ego that knows of everybody but the hazard drives on, into it (no networks). Times count back from when it gets in
the hazard's way. A situation discriminates if `TTC ego < t_stop < TTC team - (latency + 1 / rate)`: the ego alone is
too late in at least 7 of 10 seeds, the team never. `margin` is what the team has left, `short` what the ego lacks [s];
each cell is least/median/greatest over the seeds. `*_clear.xml`: nothing to brake for. `*_passive.xml`: nobody who
transmits sees the hazard before the ego does. `--list scenarios/README.md` writes the table of situations. Exit status:
0, 1 a situation is refused, 2 bad input.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from arguments import out_file, out_folder
from blind_drive import drive_blind
from sight_listing import PICTURES, Situation, SummaryError, listing, served_ap, situation_of
from sight_picture import draw_sights
from sight_verdict import COLUMNS, Verdict, judge
from tqdm import tqdm

from carla_cp.options import OptionError, check_link, parse_seeds, scenario_files
from carla_cp.scenario import ScenarioError, load_scenario
from carla_cp.types import Scenario
from carla_cp.whole import write_whole
from carla_cp.world import World, WorldError, check_apart, check_on_map, embedded_server


def main(arguments: Sequence[str] | None = None) -> int:
    """0, 1 if a situation is refused, 2 with one line for bad input, 130 interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="+", type=Path, metavar="SCENARIO.xml|FOLDER")
    parser.add_argument("--seeds", default="0-9", help="0-9 or 0,3,5 (default 0-9)")
    parser.add_argument("--out", type=out_folder, metavar="PICTURE_DIR", help="a picture of each file's first seed")
    parser.add_argument("--list", type=out_file, metavar="README.md", help="a table of the situations, and pictures")
    parser.add_argument("--served", type=Path, metavar="summary.json", help="of a run with --codec raw, for the table")
    options = parser.parse_args(arguments)
    try:
        seeds = parse_seeds(options.seeds)
        scenarios = [load_scenario(path) for path in scenario_files(options.scenarios)]
        for scenario in scenarios:
            check_link(scenario, ())
            check_on_map(scenario, seeds)
        served = {} if options.served is None else served_ap(options.served)
        checked = list(_checked(scenarios, seeds, options.out, options.list))
    except (OptionError, ScenarioError, WorldError, SummaryError, OSError) as error:
        print(f"check_scenario: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ncheck_scenario: interrupted", file=sys.stderr)
        return 130
    verdicts = [verdict for verdict, _ in checked]
    print(table([COLUMNS, *(verdict.row for verdict in verdicts)]))
    if options.list is not None:
        command = "python tools/check_scenario.py " + shlex.join(arguments if arguments is not None else sys.argv[1:])
        situations = [situation for _, situation in checked if situation is not None]
        write_whole(options.list, listing(situations, len(seeds), command, served))
    refused = [verdict for verdict in verdicts if verdict.faults]
    for verdict in refused:
        print(f"\n{verdict.name} is refused:", *verdict.faults, sep="\n  ", file=sys.stderr)
    return 1 if refused else 0


def _checked(
    scenarios: Sequence[Scenario], seeds: Sequence[int], out: Path | None, table_file: Path | None
) -> Iterator[tuple[Verdict, Situation | None]]:
    """Each scenario's verdict, and its place in the table; draws its pictures."""
    bar = tqdm(total=len(scenarios) * len(seeds), unit="seed", disable=None)
    with bar, embedded_server() as (host, port), closing(World(host, port)) as world:
        for scenario in scenarios:
            world.check_blueprints(scenario)
        shapes = world.shapes(scenarios)
        for scenario in scenarios:
            check_apart(scenario, seeds, shapes)
        for scenario in scenarios:
            drives = []
            for seed in seeds:
                bar.set_postfix_str(f"{scenario.name}/{seed}")
                drives.append(drive_blind(world, scenario, seed))
                bar.update()
            verdict = judge(drives)
            situation = situation_of(drives, verdict)
            if out is not None:
                draw_sights(drives[0], out / f"{scenario.name}.png")
            if table_file is not None and situation is not None:
                draw_sights(drives[0], table_file.parent / PICTURES / f"{scenario.name}.png")
            yield verdict, situation


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows under one another, each column as wide as its widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
