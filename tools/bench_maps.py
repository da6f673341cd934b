"""How long a map takes from a client's call to the first tick: the first time, and from the cache.

    python tools/bench_maps.py FILE.xodr [MORE ...]

Each load meets a fresh server process. Its caches start empty, in a folder of this measurement's own.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from timing import Row

from carla_cp.world import World, embedded_server

MAPS = Path(__file__).resolve().parent.parent / "scenarios" / "maps"
_REPEAT = 3


def load_s(path: Path) -> float:
    """Seconds from the client's call to the end of the first tick, of a server that has just started."""
    with embedded_server() as (host, port):
        world = World(host, port)
        start = time.perf_counter()
        world.load(path)
        world.tick()
        spent = time.perf_counter() - start
        world.close()
    return spent


def bench_maps(files: Sequence[Path] = (MAPS / "crossing.xodr", MAPS / "train_grid.xodr")) -> Iterator[Row]:
    """Each file's first load, and its load by a server that finds its town in the cache."""
    before = os.environ.get("XDG_CACHE_HOME")
    try:
        for path in files:
            first, again = [], []
            for _ in range(_REPEAT):
                with tempfile.TemporaryDirectory() as folder:
                    os.environ["XDG_CACHE_HOME"] = folder
                    first.append(load_s(path))
                    again.append(load_s(path))
            yield Row(f"maps: {path.stem}, first load", statistics.median(first), "s", _REPEAT)
            yield Row(f"maps: {path.stem}, from the cache", statistics.median(again), "s", _REPEAT)
    finally:
        if before is None:
            os.environ.pop("XDG_CACHE_HOME", None)
        else:
            os.environ["XDG_CACHE_HOME"] = before


if __name__ == "__main__":
    for row in bench_maps([Path(name) for name in sys.argv[1:]]):
        print(f"{row.name:50s} {row.median:8.2f} {row.unit}")
