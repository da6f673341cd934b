"""Writes the OpenDRIVE maps of `scenarios/maps`: flat road networks with sidewalks and signalised junctions.

    python tools/make_maps.py [--out scenarios/maps]

Running it again gives the same bytes. The maps are listed in `map_layouts.py`: a map of your own goes there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from arguments import out_folder
from map_file import opendrive_bytes
from map_layouts import maps

from carla_cp.whole import write_whole


def main() -> None:
    """Write every map."""
    parser = argparse.ArgumentParser(description="Write the OpenDRIVE maps.")
    parser.add_argument("--out", type=out_folder, default=Path(__file__).parent.parent / "scenarios" / "maps")
    folder: Path = parser.parse_args().out
    for plan in maps():
        write_whole(folder / f"{plan.name}.xodr", opendrive_bytes(plan))
        print(folder / f"{plan.name}.xodr")


if __name__ == "__main__":
    main()
