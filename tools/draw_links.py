"""Who has sent to whom in a recording, and what became of it: a picture, GraphML or JSON.

    python tools/draw_links.py FILE.ticks --scenario scenarios/intersection.xml --out links.png

With the scenario, agents stand where they were in the middle of the episode.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from carla_cp.link.drawing import draw_graph
from carla_cp.link.graph import place, save_graph, traffic
from carla_cp.recording import RecordingError, read_ticks
from carla_cp.scenario import ScenarioError, load_scenario
from carla_cp.types import Scenario, TickRecord

ENDINGS = (".png", ".graphml", ".json")


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 2 with one line for bad input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, metavar="FILE.ticks")
    parser.add_argument("--scenario", type=Path, metavar="FILE.xml", help="that it is a recording of")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png|.graphml|.json")
    options = parser.parse_args(arguments)
    try:
        if options.out.suffix not in ENDINGS:
            raise ValueError(f"{options.out}: give a file that ends in {', '.join(ENDINGS)}")
        records = read_ticks(options.recording).records
        graph = traffic(item for record in records for item in record.transmissions)
        if options.scenario and records:
            place(graph, places(load_scenario(options.scenario), records[len(records) // 2]))
        (draw_graph if options.out.suffix == ".png" else save_graph)(graph, options.out)
    except (RecordingError, ScenarioError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def places(scenario: Scenario, record: TickRecord) -> Iterator[tuple[str, float, float]]:
    """Name and place of everybody at one tick."""
    yield scenario.ego.rolename, record.ego.pose.x, record.ego.pose.y
    for thing in record.truth.objects:
        yield thing.rolename, thing.state.pose.x, thing.state.pose.y
    for mast in scenario.rsus:
        yield mast.id, mast.foot.x, mast.foot.y


if __name__ == "__main__":
    sys.exit(main())
