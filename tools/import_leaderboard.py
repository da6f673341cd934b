"""Writes a scenario of ours for each route of a file of CARLA's Leaderboard 1 or 2.

    python tools/import_leaderboard.py routes.xml --map Town01.xodr --out scenarios/lb/ [--scenarios events.json]

Kept are the ego's start and way, the first weather, the Leaderboard's timeout, and each actor that an event of the
route places on the map: `<other_actor>`, and of Leaderboard 1 the `other_actors` of the JSON, which drive along their
lanes. What is not kept is said, here and in the file. A route whose places our lanes do not join, as with a lane
change, is left out and named. Exit status: 0, 1 a route is left out, 2 bad input.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from arguments import out_folder
from leaderboard_read import Event, LeaderboardRoute, RouteFileError, read_events, read_routes
from leaderboard_write import Setting, import_route

from carla_cp.scenario import ScenarioError, load_scenario
from carla_cp.whole import write_whole
from carla_cp.world import Roads, WorldError, check_on_map


def main(arguments: Sequence[str] | None = None) -> int:
    """0, 1 if a route is left out, 2 with one line for bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("routes", type=Path, metavar="ROUTES.xml")
    parser.add_argument("--map", type=Path, required=True, metavar="FILE.xodr", help="the town's OpenDRIVE")
    parser.add_argument("--scenarios", type=Path, metavar="FILE.json", help="the events of a Leaderboard 1 file")
    parser.add_argument("--out", type=out_folder, required=True, metavar="DIR")
    parser.add_argument("--speed", type=speed, default=8.0, metavar="MPS", help="of the ego (default 8)")
    options = parser.parse_args(arguments)
    try:
        routes = read_routes(options.routes)
        if not options.map.is_file():
            raise RouteFileError(f"--map {options.map}: no such file; give the town's OpenDRIVE")
        setting = Setting(Roads.of_file(options.map), options.map, options.out, options.speed)
        names = [_name(options.routes, route) for route in routes]
        left_out = 0
        for name, route in zip(names, routes, strict=True):
            events = [] if options.scenarios is None else read_events(options.scenarios, route.town)
            left_out += not _import(route, name, names.count(name) > 1, events, setting)
    except (RouteFileError, OSError, RuntimeError) as error:
        print(f"import_leaderboard: {error}", file=sys.stderr)
        return 2
    return 1 if left_out else 0


def speed(text: str) -> float:
    """A speed above 0 and below 60 m/s."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value < 60.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed between 0 and 60 m/s")
    return value


def _name(path: Path, route: LeaderboardRoute) -> str:
    return re.sub(r"[^A-Za-z0-9_.\-]", "_", f"{path.stem}_{route.id}")


def _import(route: LeaderboardRoute, name: str, twice: bool, events: Sequence[Event], setting: Setting) -> bool:
    """Writes one route's scenario if it is one that can be played, and says what became of it."""
    where = f"route {route.id} (line {route.line})"
    if twice or route.role != "ego":
        reason = "its id is there twice" if twice else f"it is the way of one more actor, role '{route.role}'"
        print(f"{where}: left out: {reason}")
        return False
    file = setting.folder / f"{name}.xml"
    try:
        imported = import_route(route, name, events, setting)
        write_whole(file, imported.text)
        check_on_map(load_scenario(file), [0])
    except (WorldError, ScenarioError) as error:
        file.unlink(missing_ok=True)
        print(f"{where}: left out: {error}")
        return False
    print(f"{where}: {file}, {imported.guests} other actors")
    for loss in imported.losses:
        print(f"  not kept: {loss}")
    return True


if __name__ == "__main__":
    sys.exit(main())
