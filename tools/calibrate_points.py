"""Tables of the octree that `early` sends, learnt from training data: calibrate_points.py DATA --checkpoint C

    python tools/calibrate_points.py data/train_new --checkpoint checkpoints/mini

Writes `codecs/points.safetensors` below --package: one set for clouds thinned to 300 to 4,000 points, one for more.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from calibrate_boxes import Tally, command_of, frames_of, parse, reported

from carla_cp.codecs.bitstream import Table
from carla_cp.codecs.early import lattice, useful
from carla_cp.codecs.learnt import write_tables
from carla_cp.codecs.octree import HALF_ROWS, HALVES, QUARTER_ROWS, QUARTERS, STEPS, Octree
from carla_cp.datasets import DatasetError
from carla_cp.perception.checkpoint import load_detector
from carla_cp.types import GridSpec, IntArray, PointArray

THIN = (300, 1000, 4000)  # points
WHOLE = (16_000, 1 << 17)


def blank() -> Octree:
    """One that knows nothing."""
    return Octree([Table.uniform(QUARTERS).weights] * QUARTER_ROWS, [Table.uniform(HALVES).weights] * HALF_ROWS)


def clouds(points: PointArray, heat: npt.NDArray[np.float32], grid: GridSpec, counts: Sequence[int]) -> list[IntArray]:
    """The codes of a view's most useful points, so many at a time."""
    codes, first = lattice(points)
    order = useful(points[first], heat, grid)
    return [np.sort(codes[order[:count]]) for count in counts if len(codes)]


def learnt(name: str, seen: Iterable[IntArray]) -> list[tuple[str, list[list[int]]]]:
    """Names and rows of a set of tables."""
    tree, tally = blank(), Tally()
    for codes in seen:
        tree.tell(tally, codes)
    parts = []
    for halves, suffix in ((False, "quarters"), (True, "halves")):
        chosen = [tables for step, tables in zip(STEPS, tree.tables, strict=True) if step.halves == halves]
        parts.append((f"{name}_{suffix}", tally.learnt([table for tables in chosen for table in tables])))
    return parts


def calibrate(options: argparse.Namespace) -> None:
    """Looks at the data, then writes the file. Raises DatasetError where no view has points."""
    detector = load_detector(options.checkpoint)
    thin: list[IntArray] = []
    whole: list[IntArray] = []
    for frame in frames_of(options):
        for agent in frame.agents:
            view = detector.view(agent.sweep)
            heat = view.heat.float().amax(0).numpy()
            thin += clouds(view.points, heat, detector.config.grid, THIN)
            whole += clouds(view.points, heat, detector.config.grid, WHOLE)
    if not thin:
        raise DatasetError(f"{options.data}: no agent has points in range; give other data")
    save(thin, whole, command_of("calibrate_points", options), options.package)


def save(thin: Iterable[IntArray], whole: Iterable[IntArray], command: str, package: Path) -> None:
    """Writes the file."""
    write_tables(package / "codecs" / "points.safetensors", command, [*learnt("thin", thin), *learnt("whole", whole)])


def main() -> None:
    """Looks at the data, then writes."""
    options = parse(__doc__, 7)
    reported("calibrate_points", lambda: calibrate(options))


if __name__ == "__main__":
    main()
