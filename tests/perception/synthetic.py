"""Frames without a simulator: boxes on a flat road, seen by sensors that hit ground and nearest surfaces."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from carla_cp.geometry import inverse, matrix_from_pose, transform_boxes, transform_points
from carla_cp.opv2v import Scan, write_scene
from carla_cp.types import (
    AgentFrame,
    AgentName,
    FloatArray,
    Frame,
    IntArray,
    ObjectClass,
    PointArray,
    Pose,
    Sweep,
    TruthObject,
    VehicleState,
)

HEIGHT_M = 1.9


def cast(
    boxes: FloatArray, rng: np.random.Generator, channels: int = 32, columns: int = 256
) -> tuple[FloatArray, IntArray]:
    """Hit points (N, 3) of a sensor at the origin, and per point the box (row) it fell on, -1 for the ground.

    A ray ends at the ground or where it enters, seen from above, the first box that is as high as the ray there.
    """
    elevation = np.repeat(np.deg2rad(np.linspace(-25, 2, channels)), columns)
    azimuth = np.tile(np.linspace(-np.pi, np.pi, columns, endpoint=False), channels)
    ground = np.where(elevation < -0.02, HEIGHT_M / np.maximum(np.tan(-elevation), 1e-3), np.inf)
    distance, owner = np.where(ground < 75, ground, np.inf), np.full(len(azimuth), -1)
    for index, (x, y, z, length, width, height, yaw) in enumerate(boxes):
        dx, dy = np.cos(azimuth - yaw), np.sin(azimuth - yaw)
        ox, oy = -x * np.cos(yaw) - y * np.sin(yaw), x * np.sin(yaw) - y * np.cos(yaw)
        with np.errstate(divide="ignore"):
            along = np.sort(np.stack([(-length / 2 - ox) / dx, (length / 2 - ox) / dx]), axis=0)
            across = np.sort(np.stack([(-width / 2 - oy) / dy, (width / 2 - oy) / dy]), axis=0)
        enter, leave = np.maximum(along[0], across[0]), np.minimum(along[1], across[1])
        level = enter * np.tan(elevation)
        hit = (enter < leave) & (enter > 0) & (enter < distance) & (np.abs(level - z) <= height / 2)
        distance, owner = np.where(hit, enter, distance), np.where(hit, index, owner)
    seen = np.isfinite(distance)
    r, a, e = distance[seen], azimuth[seen], elevation[seen]
    points = np.stack([r * np.cos(a), r * np.sin(a), r * np.tan(e)], axis=1)
    return points + rng.normal(0, 0.01, points.shape), owner[seen]


def make_sweep(name: str, world: FloatArray, pose: Pose, seed: int) -> tuple[Sweep, IntArray]:
    """The sweep of an agent at a lidar pose among boxes (world frame), and the returns on each box."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    lidar_from_world = matrix_from_pose(inverse(pose))
    points, owner = cast(transform_boxes(lidar_from_world, world), rng)
    intensity = np.exp(-0.004 * np.linalg.norm(points, axis=1, keepdims=True))
    cloud: PointArray = np.concatenate([points, intensity], axis=1).astype(np.float32)
    returns = np.bincount(owner[owner >= 0], minlength=len(world))
    return Sweep(AgentName(name), 0, cloud, pose, HEIGHT_M), returns


def make_frame(seed: int, agents: int = 2, cars: int = 8) -> Frame:
    """A frame of connected cars among others, all within some forty metres; every agent is an object to the others."""
    rng = np.random.default_rng([seed, zlib.crc32(b"frame")])
    total = agents + cars
    cells = rng.permutation(64)[:total]
    x, y = (cells % 8 - 3.5) * 10.0 + rng.uniform(-2, 2, total), (cells // 8 - 3.5) * 7.0 + rng.uniform(-1, 1, total)
    size = np.tile([4.4, 1.9, 1.6], (total, 1)) * rng.uniform(0.9, 1.1, (total, 3))
    yaw = rng.integers(0, 4, total) * np.pi / 2 + rng.uniform(-0.3, 0.3, total)
    world = np.column_stack([x, y, size[:, 2] / 2, size, yaw])
    result = []
    for index in range(agents):
        others = np.arange(total) != index
        pose = Pose(x=float(x[index]), y=float(y[index]), z=HEIGHT_M, yaw=float(yaw[index]))
        sweep, returns = make_sweep(f"agent_{index}", world[others], pose, seed)
        seen = np.flatnonzero(others)[returns > 0]
        result.append(AgentFrame(sweep, pose, world[seen], seen.astype(np.int64), np.zeros(len(seen), np.int64)))
    return Frame(0, tuple(result))


def world_points(sweep: Sweep) -> FloatArray:
    """The sweep's points (N, 3) in the world frame."""
    return transform_points(matrix_from_pose(sweep.world_from_lidar), sweep.points[:, :3].astype(np.float64))


def write(folder: Path, frames: int, seed: int) -> None:
    """A scene folder of unrelated synthetic frames."""
    scans = []
    for number in range(frames):
        frame, still = make_frame(seed + number), (0.0, 0.0, 0.0)
        of_frame = []
        for index, agent in enumerate(frame.agents):
            things = tuple(
                TruthObject(
                    int(identity),
                    f"car_{identity}",
                    "vehicle.tesla.model3",
                    ObjectClass.VEHICLE,
                    VehicleState(
                        Pose(box[0], box[1], 0.0, yaw=box[6]), still, still, 0.0, *(float(v) for v in box[3:6])
                    ),
                    tuple(float(value) for value in box),
                    5,
                )
                for identity, box in zip(agent.ids, agent.boxes, strict=True)
            )
            pose = agent.sweep.world_from_lidar
            body = VehicleState(Pose(pose.x, pose.y, 0.0, yaw=pose.yaw), still, still, 0.0, 4.4, 1.9, 1.6)
            sweep = replace(agent.sweep, time_us=100_000 * number)
            of_frame.append(Scan(index, sweep, pose, body, things))
        scans.append(of_frame)
    write_scene(folder, {}, scans, binary=True)
