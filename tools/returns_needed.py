"""With how many LiDAR points on a road user a detector finds it: what `sights.RETURNS` rests on.

    python tools/returns_needed.py data/val --checkpoint checkpoints/mini --frames 100

Each agent alone, road users in its range; found is a box of its class within 3 m of the middle that may start a track.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from arguments import existing_folder, positive

from carla_cp.datasets import open_dataset
from carla_cp.driving.tracker import TrackerConfig
from carla_cp.geometry import count_returns, transform_boxes
from carla_cp.metrics.awareness import AWARE_WITHIN_M
from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.detector import Detector
from carla_cp.perception.truth import agent_from_world
from carla_cp.types import AgentFrame, ObjectClass

EDGES = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 1000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line per number of returns: of each class how many there were, and the share that was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=existing_folder)
    parser.add_argument("--checkpoint", type=existing_folder, required=True)
    parser.add_argument("--frames", type=positive, default=100, help="spread evenly over the data")
    options = parser.parse_args(arguments)
    detector = load_detector(options.checkpoint, "cpu", 1)
    there: Counter[tuple[int, int]] = Counter()
    found: Counter[tuple[int, int]] = Counter()
    data = open_dataset(options.data)
    for index in np.unique(np.linspace(0, len(data) - 1, options.frames).astype(int)):
        for agent in data.frame(int(index)).agents:
            for label, returns, hit in _hits(detector, agent):
                place = int(np.searchsorted(EDGES, returns, side="right")) - 1
                there[label, place] += 1
                found[label, place] += hit
    print("returns   " + "".join(f"{label.name.lower():>20}" for label in ObjectClass))
    for place, (least, beyond) in enumerate(itertools.pairwise(EDGES)):
        cells = (_cell(found[label, place], there[label, place]) for label in ObjectClass)
        print(f"{f'{least}-{beyond - 1}':<10}" + "".join(f"{cell:>20}" for cell in cells))
    return 0


def _cell(found: int, there: int) -> str:
    return f"{found / there:.2f} of {there}" if there else "-"


def _hits(detector: Detector, agent: AgentFrame) -> Iterator[tuple[int, int, bool]]:
    """Class, returns and whether it was found, of each road user in the agent's range."""
    grid = detector.config.grid
    returns = count_returns(agent.true_world_from_lidar, agent.sweep.points, agent.boxes)
    local = transform_boxes(agent_from_world(agent), agent.boxes)
    boxes = detector.view(agent.sweep).boxes
    boxes = boxes.take(boxes.scores >= TrackerConfig().birth_score)
    for box, label, count in zip(local, agent.labels.tolist(), returns.tolist(), strict=True):
        if count and abs(box[0]) < grid.half_length_m and abs(box[1]) < grid.half_width_m:
            same = boxes.boxes[boxes.labels == label]
            hit = bool((np.hypot(*(same[:, :2] - box[:2]).T) <= AWARE_WITHIN_M).any())
            yield label, count, hit


if __name__ == "__main__":
    main()
