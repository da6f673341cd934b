"""Reads OPV2V folders with OpenCOOD's own dataset class beside ours: python tools/check_opencood.py DATA [--frames N]

DATA holds scenes, as tools/generate_data.py writes them. Needs OpenCOOD importable, with its requirements. For every
frame the two must agree: who takes part, which pillars each agent's cloud fills in OPV2V's range, and where each box
lies in the ego's LiDAR frame. Prints a line per difference and a summary; the exit status is 1 if there is one.
Only the class is checked here: that it reads our files, and reads in them what we do.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from arguments import existing_folder, positive

from carla_cp.datasets import DatasetError, open_dataset
from carla_cp.geometry import inverse, matrix_from_pose, transform_boxes
from carla_cp.perception.config import CheckpointError, DetectorConfig
from carla_cp.perception.pillars import on_own_body
from carla_cp.perception.presets import FULL_OPV2V, opv2v_grid
from carla_cp.perception.vfe import PillarVfe
from carla_cp.types import Frame, ObjectClass

RANGE = [-140.8, -40, -3, 140.8, 40, 1]
COUNTED = (140.0, 40.0)  # where OpenCOOD counts boxes
REACH_M = 70.0  # within which its agents share
CLOSE_M = 0.01
CONFIG: DetectorConfig = replace(
    FULL_OPV2V, grid=replace(opv2v_grid(), z_min_m=-3.0, z_max_m=1.0), body_half_length_m=2.45, body_middle_m=0.5
)


def settings(data: Path) -> dict[str, Any]:
    """What OpenCOOD's intermediate dataset asks for: OPV2V's range and pillars, each cloud in its own frame."""
    anchors = {"cav_lidar_range": RANGE, "l": 3.9, "w": 1.6, "h": 1.56, "r": [0, 90], "num": 2, "feature_stride": 2}
    return {
        "root_dir": str(data),
        "validate_dir": str(data),
        "train_params": {"max_cav": 7},
        "fusion": {"core_method": "IntermediateFusionDataset", "args": {"proj_first": False}},
        "data_augment": [],
        "preprocess": {
            "core_method": "SpVoxelPreprocessor",
            "args": {
                "voxel_size": [0.4, 0.4, 4],
                "max_points_per_voxel": 32,
                "max_voxel_train": 70000,
                "max_voxel_test": 70000,
            },
            "cav_lidar_range": RANGE,
        },
        "postprocess": {
            "core_method": "VoxelPostprocessor",
            "anchor_args": {**anchors, "vw": 0.4, "vh": 0.4, "vd": 4, "W": 704, "H": 200, "D": 1},
            "target_args": {"pos_threshold": 0.6, "neg_threshold": 0.45, "score_threshold": 0.2},
            "order": "hwl",
            "max_num": 100,
            "nms_thresh": 0.15,
        },
    }


def their_dataset(data: Path) -> Any:
    """OpenCOOD's dataset of the folder. Raises CheckpointError where its package cannot be imported."""
    try:
        module = importlib.import_module("opencood.data_utils.datasets")
    except ImportError as error:
        raise CheckpointError(
            f"OpenCOOD cannot be imported ({error}); install it from its repository, with its requirements"
        ) from None
    return module.build_dataset(settings(data), visualize=False, train=False)


def differences(frame: Frame, theirs: dict[str, Any]) -> Iterator[str]:
    """What the two make of one frame differently, a line each."""
    ego = frame.agents[0].sweep.world_from_lidar
    agents = [
        agent
        for agent in frame.agents
        if np.hypot(agent.sweep.world_from_lidar.x - ego.x, agent.sweep.world_from_lidar.y - ego.y) <= REACH_M
    ]
    coordinates = theirs["processed_lidar"]["voxel_coords"]
    if len(coordinates) != len(agents):
        yield f"{len(coordinates)} agents, not {len(agents)}"
        return
    for agent, found in zip(agents, coordinates, strict=True):
        points = agent.sweep.points[~on_own_body(agent.sweep.points, CONFIG)]
        cells = PillarVfe.grouped(points, CONFIG).cells
        other = np.sort(np.asarray(found)[:, 1].astype(np.int64) * CONFIG.grid.pillar_columns + np.asarray(found)[:, 2])
        if not np.array_equal(cells, other):
            unlike = len(np.setxor1d(cells, other))
            yield f"agent {agent.sweep.agent}: {unlike} of {len(cells)} pillars are filled by one reader alone"
    seen = {
        int(number): box
        for agent in agents
        for number, label, box in zip(
            agent.ids, agent.labels, transform_boxes(matrix_from_pose(inverse(ego)), agent.boxes), strict=True
        )
        if label != ObjectClass.PEDESTRIAN  # listed apart, where OpenCOOD does not look
    }
    mask = np.asarray(theirs["object_bbx_mask"]) == 1
    boxes = np.asarray(theirs["object_bbx_center"])[mask]
    yield from _box_differences(seen, {int(one): box for one, box in zip(theirs["object_ids"], boxes, strict=True)})


def _box_differences(ours: dict[int, Any], theirs: dict[int, Any]) -> Iterator[str]:
    for number, box in theirs.items():
        if number not in ours:
            yield f"object {number} is read by OpenCOOD alone"
            continue
        own = ours[number]
        swapped = box[[0, 1, 2, 5, 4, 3]]
        apart = float(np.abs(own[:6] - swapped).max())
        turned = abs(float(np.sin(own[6] - box[6])))
        if apart > CLOSE_M or turned > CLOSE_M:
            yield f"object {number} lies {apart:.3f} m and {turned:.3f} rad apart"
    for number, box in ours.items():
        reach = np.hypot(box[3], box[4]) / 2  # wholly within, however it is turned
        inside = abs(box[0]) < COUNTED[0] - reach and abs(box[1]) < COUNTED[1] - reach
        if number not in theirs and inside and box[2] - box[5] / 2 > -3 and box[2] + box[5] / 2 < 1:
            yield f"object {number} is read by us alone"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", metavar="DATA", type=existing_folder)
    parser.add_argument("--frames", metavar="N", type=positive, help="the first N frames alone")
    options = parser.parse_args(arguments)
    try:
        ours, theirs = open_dataset(options.data), their_dataset(options.data)
    except (CheckpointError, DatasetError) as error:
        print(f"check_opencood: {error}", file=sys.stderr)
        return 2
    found = 0
    if len(ours) != len(theirs):
        print(f"OpenCOOD counts {len(theirs)} frames, we {len(ours)}")
        found = 1
    count = min(len(ours), len(theirs), options.frames or len(ours))
    for index in range(count):
        try:
            frame = ours.frame(index)
        except DatasetError as error:
            lines = [str(error)]
        else:
            lines = list(differences(frame, theirs[index]["ego"]))
        for line in lines:
            print(f"frame {index}: {line}")
        found += len(lines)
    print(f"{count} frames compared, {found} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
