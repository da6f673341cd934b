"""DAIR-V2X-C (Yu et al., CVPR 2022), the cooperative vehicle-infrastructure part: one vehicle and one roadside unit.

Read are `cooperative/data_info.json`, the clouds and calibrations of both sides, and the cooperative labels' corners in
the world frame (also those that were completed around the vehicle later, which lie in the same place). The set is
right-handed (x forward, y left, z up); `_left_handed` is the one place where that ends. Its virtual LiDAR of the
roadside is level; nothing tells a sensor's height, which is taken from the clouds. `system_error_offset` is added to
the unit's place, as the set's own development kit does. Left out: cameras, the labels of one side alone, and labels of
what no sweep hit, since here an agent lists what it has returns of.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carla_cp.geometry import count_returns, pose_from_matrix
from carla_cp.opv2v import DatasetError, Note, Reading, read_cloud
from carla_cp.opv2v.ground import height_over_ground
from carla_cp.opv2v.reader import FARTHEST_M, NOMINAL_HEIGHT_M
from carla_cp.types import AgentFrame, AgentName, FloatArray, Frame, IntArray, ObjectClass, PointArray, Pose, Sweep

INFO = Path("cooperative") / "data_info.json"
VEHICLE, UNIT = AgentName("0"), AgentName("-1")
STEP_US = 100_000  # between frames without a time stamp
PAUSE_US = 500_000  # a longer one begins a new scene
FULL_INTENSITY = 255.0
RIGID = 0.01
MIRROR = np.array([1.0, -1.0, 1.0])
CLASSES = {
    **dict.fromkeys(("car", "truck", "van", "bus"), ObjectClass.VEHICLE),
    **dict.fromkeys(("cyclist", "tricyclist", "motorcyclist", "barrowlist"), ObjectClass.CYCLIST),
    "pedestrian": ObjectClass.PEDESTRIAN,
}  # what else there is (cones, "ignore" areas) is left out


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of one cooperative frame, relative to the root."""

    vehicle_cloud: str
    unit_cloud: str
    label: str
    offset: tuple[float, float]  # [m] added to the unit's place, in the set's world frame
    vehicle_us: int  # capture time
    unit_us: int


@dataclass(frozen=True, slots=True)
class DairScene:
    """Frames of the set that follow each other."""

    root: Path
    name: str
    pairs: tuple[Pair, ...]

    @property
    def agents(self) -> tuple[AgentName, ...]:
        """The vehicle, then the roadside unit."""
        return (VEHICLE, UNIT)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.pairs)

    def frame(self, index: int) -> Frame:
        """The vehicle and the unit at the index-th frame, at the vehicle's time; raises DatasetError."""
        return self.read(index).frame

    def read(self, index: int) -> Reading:
        """The frame and what was noticed in its files; without the unit's cloud the vehicle is alone."""
        pair, notes = self.pairs[index], list[Note]()
        boxes, labels = self._objects(pair)
        pose = self._vehicle_pose(pair)
        agents = [self._agent(VEHICLE, pair.vehicle_cloud, pair.vehicle_us, pose, boxes, labels, notes)]
        if (self.root / pair.unit_cloud).exists():
            pose = self._unit_pose(pair)
            agents.append(self._agent(UNIT, pair.unit_cloud, pair.unit_us, pose, boxes, labels, notes))
        else:
            notes.append(Note("agent without files at a tick", str(self.root / pair.unit_cloud)))
        if not len(boxes):
            notes.append(Note("frame without objects", str(self.root / pair.label)))
        return Reading(Frame(pair.vehicle_us, tuple(agents)), tuple(notes))

    def _vehicle_pose(self, pair: Pair) -> FloatArray:
        calib, name = self.root / "vehicle-side" / "calib", f"{Path(pair.vehicle_cloud).stem}.json"
        lidar = _matrix(calib / "lidar_to_novatel" / name)
        return _matrix(calib / "novatel_to_world" / name) @ lidar

    def _unit_pose(self, pair: Pair) -> FloatArray:
        folder = self.root / "infrastructure-side" / "calib" / "virtuallidar_to_world"
        world = _matrix(folder / f"{Path(pair.unit_cloud).stem}.json")
        world[:2, 3] += pair.offset
        return world

    def _objects(self, pair: Pair) -> tuple[FloatArray, IntArray]:
        """Boxes (M, 7) in the set's world frame, and their labels."""
        path = self.root / pair.label
        kept = [body for body in _items(path) if str(_key(path, body, "type")).lower() in CLASSES]
        try:
            rows = [_row(np.array(body["world_8_points"], np.float64)) for body in kept]
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"{path}: world_8_points are no 8 corners ({error!r})", "broken label") from error
        labels = [CLASSES[str(body["type"]).lower()] for body in kept]
        return np.array(rows, np.float64).reshape(-1, 7), np.array(labels, np.int64)

    def _agent(
        self,
        agent: AgentName,
        cloud: str,
        time_us: int,
        world_from_lidar: FloatArray,
        boxes: FloatArray,
        labels: IntArray,
        notes: list[Note],
    ) -> AgentFrame:
        points, dropped = read_cloud(self.root / cloud, FULL_INTENSITY)
        if dropped:
            notes.append(Note("cloud with points that are not finite (left out)", str(self.root / cloud)))
        if not len(points):
            notes.append(Note("empty cloud", str(self.root / cloud)))
        pose, points, boxes = _left_handed(world_from_lidar, points, boxes)
        height = height_over_ground(points, pose)
        sweep = Sweep(agent, time_us, points, pose, NOMINAL_HEIGHT_M if height is None else height)
        seen = np.flatnonzero(count_returns(pose, points, boxes))
        return AgentFrame(sweep, pose, boxes[seen], seen.astype(np.int64), labels[seen])


def dair_scenes(path: Path) -> tuple[DairScene, ...]:
    """The scenes of the set's root folder, or of a split: a JSON list of vehicle frame ids that lies in the root."""
    root = path.parent if path.suffix == ".json" else path
    wanted = {str(name) for name in _items(path)} if path.suffix == ".json" else None
    times = {side: _times(root / f"{side}-side" / "data_info.json") for side in ("vehicle", "infrastructure")}
    pairs = [_pair(root / INFO, number, info, times) for number, info in enumerate(_items(root / INFO))]
    known = {Path(pair.vehicle_cloud).stem for pair in pairs}
    if wanted is not None and not wanted <= known:
        raise DatasetError(f"{path}: frame {min(wanted - known)} is not in {INFO}; take the split of the same release")
    chosen = [pair for pair in pairs if wanted is None or Path(pair.vehicle_cloud).stem in wanted]
    if not chosen:
        raise DatasetError(f"{path}: holds no frame")
    return tuple(DairScene(root, run[0].label.split("/")[-1][:-5], run) for run in _runs(chosen))


def _runs(pairs: Sequence[Pair]) -> list[tuple[Pair, ...]]:
    """Frames in the order of time, cut where there is a pause."""
    runs: list[list[Pair]] = []
    for pair in sorted(pairs, key=lambda pair: (pair.vehicle_us, pair.vehicle_cloud)):
        if not runs or pair.vehicle_us - runs[-1][-1].vehicle_us > PAUSE_US:
            runs.append([])
        runs[-1].append(pair)
    return [tuple(run) for run in runs]


def _pair(path: Path, number: int, info: Any, times: Mapping[str, Mapping[str, int]]) -> Pair:
    vehicle, unit = (str(_key(path, info, f"{side}_pointcloud_path")) for side in ("vehicle", "infrastructure"))
    offset = info.get("system_error_offset") or {}  # the set has "" where there is none
    try:
        shift = (float(offset.get("delta_x", 0.0)), float(offset.get("delta_y", 0.0)))
    except (AttributeError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: entry {number}: system_error_offset {offset!r}", "broken json") from error
    when = times["vehicle"].get(Path(vehicle).stem, number * STEP_US)
    unit_when = times["infrastructure"].get(Path(unit).stem, when)
    return Pair(vehicle, unit, str(_key(path, info, "cooperative_label_path")), shift, when, unit_when)


def _times(path: Path) -> dict[str, int]:
    """Capture times by the name of the cloud; empty where the side has no list of its frames."""
    if not path.exists():
        return {}
    stamps = [(_key(path, info, "pointcloud_path"), _key(path, info, "pointcloud_timestamp")) for info in _items(path)]
    try:
        return {Path(str(cloud)).stem: int(stamp) for cloud, stamp in stamps}
    except (TypeError, ValueError) as error:
        raise DatasetError(f"{path}: a pointcloud_timestamp is no number ({error})", "broken json") from error


def _row(corners: FloatArray) -> list[float]:
    """A box of its corners (8, 3): front left, front right, rear right, rear left at the bottom, then at the top."""
    if corners.shape != (8, 3) or not (np.abs(corners) < FARTHEST_M).all():
        raise ValueError(f"shape {corners.shape}, or a number that is not finite or huge")
    ahead = corners[[0, 1, 4, 5]].mean(axis=0) - corners[[2, 3, 6, 7]].mean(axis=0)
    aside = corners[[0, 3, 4, 7]].mean(axis=0) - corners[[1, 2, 5, 6]].mean(axis=0)
    up = corners[4:].mean(axis=0) - corners[:4].mean(axis=0)
    size = [float(np.linalg.norm(edge)) for edge in (ahead, aside, up)]
    return [*corners.mean(axis=0).tolist(), *size, math.atan2(ahead[1], ahead[0])]


def _left_handed(
    world_from_lidar: FloatArray, points: PointArray, boxes: FloatArray
) -> tuple[Pose, PointArray, FloatArray]:
    """Pose, points in the sensor's frame and boxes in the world's, with y to the right in both frames."""
    matrix = world_from_lidar.copy()
    matrix[:3, :3] *= np.outer(MIRROR, MIRROR)
    matrix[:3, 3] *= MIRROR
    turned = boxes.copy()
    turned[:, 1] *= -1.0
    turned[:, 6] *= -1.0
    flipped = points.copy()
    flipped[:, 1] *= -1.0
    return pose_from_matrix(matrix), flipped, turned


def _matrix(path: Path) -> FloatArray:
    """The 4 x 4 matrix of a calibration file; `lidar_to_novatel` has it under `transform`."""
    data = _json(path)
    inner = data.get("transform", data) if isinstance(data, dict) else {}
    try:
        matrix = np.eye(4)
        matrix[:3, :3] = inner["rotation"]
        matrix[:3, 3] = np.array(inner["translation"], np.float64).reshape(3)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path}: no rotation and translation ({error!r})", "broken calibration") from error
    turn = matrix[:3, :3]
    if (
        not (np.abs(matrix) < FARTHEST_M).all()
        or np.abs(turn @ turn.T - np.eye(3)).max() > RIGID
        or np.linalg.det(turn) < 0
    ):
        raise DatasetError(f"{path}: the rotation does not rotate", "broken calibration")
    return matrix


def _items(path: Path) -> list[Any]:
    data = _json(path)
    if not isinstance(data, list):
        raise DatasetError(f"{path}: no JSON list; copy it again", "broken json")
    return data


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}; copy it again", "missing json") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: no JSON ({error}); copy it again", "broken json") from error


def _key(path: Path, info: Any, name: str) -> Any:
    if not isinstance(info, dict) or name not in info:
        raise DatasetError(f"{path}: an entry lacks {name}; take the file of the data set's release", "broken json")
    return info[name]
