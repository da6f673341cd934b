"""One small scene, written in the layout of every data set that is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from carla_cp.geometry import inverse, matrix_from_pose, transform_boxes, transform_points
from carla_cp.opv2v import write_pcd
from carla_cp.types import FloatArray, PointArray, Pose

GROUND_Z = 0.25
BOXES = np.array(
    [
        [112.0, -34.0, GROUND_Z + 0.8, 4.6, 1.9, 1.6, 0.4],
        [95.0, -50.0, GROUND_Z + 0.7, 4.2, 1.8, 1.4, -2.0],
        [118.0, -45.0, GROUND_Z + 1.5, 9.0, 2.5, 3.0, 1.3],
    ]
)
PER_BOX = 40
VEHICLE = Pose(100.0, -40.0, GROUND_Z + 1.8, 0.02, -0.03, 0.5)
SECOND = Pose(125.0, -30.0, GROUND_Z + 1.8, -0.03, 0.02, -2.6)
UNIT = Pose(120.0, -25.0, GROUND_Z + 5.0, 0.01, -0.15, 2.5)
SEEN = {VEHICLE: (0, 1), SECOND: (0, 2), UNIT: (0, 2)}  # which boxes hold returns of whom
MIRROR = np.diag([1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Seen:
    """One agent's cloud in its LiDAR frame, and the numbers of the boxes on it."""

    pose: Pose
    points: PointArray
    boxes: tuple[int, ...]


def scan(pose: Pose, tick: int = 0) -> Seen:
    """Returns on the boxes that the agent sees, and on the road around it."""
    rng = np.random.default_rng([tick, int(pose.x)])
    world = [_on_box(BOXES[index], rng) for index in SEEN[pose]]
    road = rng.uniform(-25, 25, (600, 2)) + [pose.x, pose.y]
    world.append(np.column_stack([road, np.full(600, GROUND_Z) + rng.normal(0, 0.005, 600)]))
    local = transform_points(matrix_from_pose(inverse(pose)), np.concatenate(world))
    cloud = np.column_stack([local, rng.integers(0, 256, len(local)) / 255]).astype(np.float32)
    return Seen(pose, cloud, SEEN[pose])


def _on_box(box: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Points on the long sides, well over the road."""
    x, y, z, length, width, height, yaw = box
    local = rng.uniform(-0.45, 0.45, (PER_BOX, 3)) * [length, width, height * 0.8]
    local[:, 1] = np.sign(local[:, 1]) * (width / 2 - 0.01)
    return transform_points(matrix_from_pose(Pose(x, y, z, yaw=yaw)), local)


def six(pose: Pose) -> list[float]:
    """x, y, z, roll, yaw, pitch in degrees."""
    return [pose.x, pose.y, pose.z, *np.degrees([pose.roll, pose.yaw, pose.pitch]).tolist()]


def body(box: FloatArray) -> dict[str, object]:
    """An OPV2V object entry."""
    x, y, z, length, width, height, yaw = (float(value) for value in box)
    return {
        "angle": [0.0, float(np.degrees(yaw)), 0.0],
        "center": [0.0, 0.0, height / 2],
        "extent": [length / 2, width / 2, height / 2],
        "location": [x, y, z - height / 2],
        "speed": 0.0,
    }


def write_opv2v(
    scene: Path, agents: dict[str, Pose], ticks: Sequence[int] = (70, 72), ground: dict[str, float] | None = None
) -> Path:
    """OPV2V's and V2XSet's layout; `ground` overrides the height of `true_ego_pos`."""
    for name, pose in agents.items():
        for tick in ticks:
            seen = scan(pose, tick)
            low = six(Pose(pose.x, pose.y, (ground or {}).get(name, GROUND_Z), 0.0, 0.0, pose.yaw))
            objects = {100 + index: body(BOXES[index]) for index in seen.boxes}
            _write(scene / name, tick, {"lidar_pose": six(pose), "true_ego_pos": low, "vehicles": objects}, seen.points)
    return scene


def write_v2v4real(scene: Path, ticks: Sequence[int] = (0, 1)) -> Path:
    """V2V4Real's: a matrix for a pose, objects in the agent's own LiDAR frame, no height of the sensor."""
    for name, pose in {"0": VEHICLE, "1": SECOND}.items():
        for tick in ticks:
            seen = scan(pose, tick)
            objects = {}
            for number, index in enumerate(seen.boxes, 5):
                local = transform_boxes(matrix_from_pose(inverse(pose)), BOXES[[index]])[0]
                shared = 500 if index == 0 else -1
                objects[number] = {**body(local), "obj_type": "Car", "ass_id": shared}
            matrix = matrix_from_pose(pose).tolist()
            _write(scene / name, tick, {"ego_speed": 0.0, "lidar_pose": matrix, "vehicles": objects}, seen.points)
    return scene


def _write(folder: Path, tick: int, data: dict[str, object], points: PointArray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{tick:06d}.yaml").write_text(yaml.safe_dump(data))
    write_pcd(folder / f"{tick:06d}.pcd", points, binary=True)


def write_dair(root: Path, frames: Sequence[str] = ("000010", "000011"), stamps: Sequence[int] = (0, 100_000)) -> Path:
    """DAIR-V2X-C's: right-handed, JSON, intensity to 255, the unit named 5000 higher than the vehicle."""
    infos = []
    for frame, stamp in zip(frames, stamps, strict=True):
        unit = f"{int(frame) + 5000:06d}"
        _dair_side(root / "vehicle-side", frame, scan(VEHICLE, stamp))
        _dair_side(root / "infrastructure-side", unit, scan(UNIT, stamp))
        _json(root / "cooperative" / "label_world" / f"{frame}.json", [_label(box) for box in BOXES] + [_cone()])
        infos.append(
            {
                "vehicle_pointcloud_path": f"vehicle-side/velodyne/{frame}.pcd",
                "infrastructure_pointcloud_path": f"infrastructure-side/velodyne/{unit}.pcd",
                "cooperative_label_path": f"cooperative/label_world/{frame}.json",
                "system_error_offset": {"delta_x": 0.5, "delta_y": -0.25},
            }
        )
    _json(root / "cooperative" / "data_info.json", infos)
    times = [
        {"pointcloud_path": f"velodyne/{f}.pcd", "pointcloud_timestamp": str(t)}
        for f, t in zip(frames, stamps, strict=True)
    ]
    _json(root / "vehicle-side" / "data_info.json", times)
    return root


def _dair_side(side: Path, name: str, seen: Seen) -> None:
    points = seen.points * [1, -1, 1, 255]
    folder = side / "velodyne"
    folder.mkdir(parents=True, exist_ok=True)
    head = "VERSION 0.7\nFIELDS x y z intensity\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\nPOINTS {}\nDATA binary\n"
    (folder / f"{name}.pcd").write_bytes(head.format(len(points)).encode() + points.astype("<f4").tobytes())
    world = MIRROR @ matrix_from_pose(seen.pose) @ MIRROR
    if side.name == "infrastructure-side":
        world[:2, 3] -= [0.5, -0.25]
        _json(side / "calib" / "virtuallidar_to_world" / f"{name}.json", _parts(world))
    else:
        mount = matrix_from_pose(Pose(0.3, 0.1, 1.4, 0.01, 0.02, 1.5))
        _json(side / "calib" / "lidar_to_novatel" / f"{name}.json", {"transform": _parts(mount)})
        _json(side / "calib" / "novatel_to_world" / f"{name}.json", _parts(world @ np.linalg.inv(mount)))


def _parts(matrix: FloatArray) -> dict[str, object]:
    return {"rotation": matrix[:3, :3].tolist(), "translation": matrix[:3, 3:].tolist()}


def _label(box: FloatArray) -> dict[str, object]:
    """The corners in the set's order, written out for its right-handed axes: left is positive y."""
    x, y, z, length, width, height, yaw = (float(value) for value in box)
    signs = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) / 2 * [length, width]
    turn = np.array([[np.cos(-yaw), -np.sin(-yaw)], [np.sin(-yaw), np.cos(-yaw)]])
    flat = signs @ turn.T + [x, -y]
    corners = [[*flat[i % 4].tolist(), z + (-height / 2 if i < 4 else height / 2)] for i in range(8)]
    return {"type": "Truck" if length > 6 else "car", "world_8_points": corners}


def _cone() -> dict[str, object]:
    return {"type": "TrafficCone", "world_8_points": [[0.0, 0.0, 0.0]] * 8}


def _json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
