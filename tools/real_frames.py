"""Turns rebuilt two-agent OPV2V frames into OPV2V folders: python tools/real_frames.py NPZ_DIR OUT

An input is an npz of one frame: `ego` and `cav2_in_ego` (N, 4) are two agents' clouds in the ego's LiDAR frame,
`gt_corners` (M, 8, 3) all boxes in the same frame in OpenCOOD's order of corners, `ego_pose` and `cav2_pose` (6) the
published poses (x, y, z [m], roll, yaw, pitch [degrees]). A file is named <scene>_<tick>.npz; each scene becomes a
folder below OUT with the agents `1` (the ego) and `2`. An agent lists the boxes that hold a return of its own; the
boxes around the two agents have their numbers, the others count on in the order of the file. The clouds are as they
come: cropped around the ego and without the ego's own returns.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from arguments import existing_folder, out_folder

from carla_cp.geometry import inverse, matrix_from_pose, transform_boxes, transform_points
from carla_cp.opv2v import DatasetError, Opv2vError, Scan, scans_from_sweeps, write_scene
from carla_cp.opv2v.layout import TICK_US
from carla_cp.opv2v.reader import pose_of
from carla_cp.types import AgentName, FloatArray, ObjectClass, PointArray, Pose, Sweep, TruthObject, VehicleState

EGO, OTHER = AgentName("1"), AgentName("2")
CAR_HEIGHT_M = 1.9  # OPV2V's sensor over the road
OWN_BODY_M = 1.5  # at the most, from the middle of an agent's own box to its sensor


@dataclass(frozen=True, slots=True, eq=False)
class Rebuilt:
    """One input file."""

    scene: str
    tick: int
    ego: PointArray  # (N, 4) in the ego's LiDAR frame, as the next two
    other: PointArray
    boxes: FloatArray  # (M, 7)
    world_from_ego: Pose
    world_from_other: Pose


def read_rebuilt(path: Path) -> Rebuilt:
    """One npz file; raises Opv2vError for one of another content."""
    scene, _, tick = path.stem.rpartition("_")
    try:
        with path.open("rb") as file, np.load(file) as data:
            corners = data["gt_corners"].astype(np.float64)
            poses = [pose_of(data[name].tolist()) for name in ("ego_pose", "cav2_pose")]
            return Rebuilt(scene, int(tick), data["ego"], data["cav2_in_ego"], boxes_of(corners), *poses)
    except (KeyError, ValueError, IndexError, EOFError, BadZipFile) as error:
        raise Opv2vError(f"{path}: not a rebuilt frame ({error})") from error


def boxes_of(corners: FloatArray) -> FloatArray:
    """Boxes (M, 7) of corners (M, 8, 3): front left, front right, rear right, rear left below, then above."""
    ahead, aside = corners[:, 0] - corners[:, 3], corners[:, 1] - corners[:, 0]
    size = [np.linalg.norm(edge, axis=1) for edge in (ahead, aside, corners[:, 4] - corners[:, 0])]
    return np.column_stack([corners.mean(axis=1), *size, np.arctan2(ahead[:, 1], ahead[:, 0])])


def scans_of(frame: Rebuilt) -> tuple[Scan, ...]:
    """What the two agents saw, in their own LiDAR frames and the world's boxes."""
    boxes = transform_boxes(matrix_from_pose(frame.world_from_ego), frame.boxes)
    own = [_nearest(boxes, pose) for pose in (frame.world_from_ego, frame.world_from_other)]
    others = [index for index in range(len(boxes)) if index not in own]
    ground = [pose.z - CAR_HEIGHT_M for pose in (frame.world_from_ego, frame.world_from_other)]
    objects = [_object(1, EGO, boxes[own[0]], ground[0]), _object(2, OTHER, boxes[own[1]], ground[1])]
    for number, box in enumerate(boxes[others], 3):
        objects.append(_object(number, AgentName(f"car{number}"), box, box[2] - box[5] / 2))
    there = matrix_from_pose(inverse(frame.world_from_other)) @ matrix_from_pose(frame.world_from_ego)
    moved = transform_points(there, frame.other[:, :3].astype(np.float64)).astype(np.float32)
    cloud = np.concatenate([moved, frame.other[:, 3:]], axis=1)
    time_us = frame.tick * TICK_US
    sweeps = (
        Sweep(EGO, time_us, frame.ego, frame.world_from_ego, CAR_HEIGHT_M),
        Sweep(OTHER, time_us, cloud, frame.world_from_other, CAR_HEIGHT_M),
    )
    return scans_from_sweeps(sweeps, objects, {EGO: 1, OTHER: 2})


def _nearest(boxes: FloatArray, sensor: Pose) -> int:
    distance = np.hypot(boxes[:, 0] - sensor.x, boxes[:, 1] - sensor.y)
    index = int(np.argmin(distance))
    if distance[index] > OWN_BODY_M:
        raise Opv2vError(f"no box around the sensor at {sensor.x:.1f}, {sensor.y:.1f}")
    return index


def _object(number: int, name: AgentName, box: FloatArray, ground_z: float) -> TruthObject:
    x, y, z, length, width, height, yaw = (float(value) for value in box)
    pose = Pose(x, y, float(ground_z), yaw=yaw)
    state = VehicleState(pose, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0, length, width, height)
    values = (x, y, z, length, width, height, yaw)
    return TruthObject(number, name, "vehicle", ObjectClass.VEHICLE, state, values, 0)


def convert(source: Path, out: Path) -> Iterator[Path]:
    """Writes every scene of the folder `source` below `out`, and gives the folders one by one."""
    frames = sorted((read_rebuilt(path) for path in source.glob("*.npz")), key=lambda frame: (frame.scene, frame.tick))
    if not frames:
        raise Opv2vError(f"{source}: holds no <scene>_<tick>.npz")
    for scene, group in groupby(frames, key=lambda frame: frame.scene):
        write_scene(out / scene, {"description": "rebuilt from merged clouds"}, map(scans_of, group))
        yield out / scene


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("source", metavar="NPZ_DIR", type=existing_folder)
    parser.add_argument("out", metavar="OUT", type=out_folder)
    options = parser.parse_args(arguments)
    try:
        for folder in convert(options.source, options.out):
            print(folder)
    except (DatasetError, OSError) as error:
        print(f"real_frames: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
