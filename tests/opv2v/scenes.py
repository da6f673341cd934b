"""A small world to write: two cars that see each other, a cyclist, a walker, a roadside unit."""

import math

import numpy as np

from carla_cp.geometry import inverse, matrix_from_pose, transform_points
from carla_cp.opv2v import Scan, agent_ids, scans_from_sweeps
from carla_cp.types import AgentName, ObjectClass, Pose, Sweep, TruthObject, VehicleState

BLUEPRINTS = {
    ObjectClass.VEHICLE: "vehicle.tesla.model3",
    ObjectClass.CYCLIST: "vehicle.yamaha.yzf",
    ObjectClass.PEDESTRIAN: "walker.pedestrian.0001",
}


def thing(number: int, x: float, y: float, yaw: float, label: ObjectClass | None = ObjectClass.VEHICLE) -> TruthObject:
    size = (4.6, 2.0, 1.6) if label is ObjectClass.VEHICLE else (0.8, 0.7, 1.7)
    pose = Pose(x, y, 0.25, 0.01, 0.02, yaw)
    state = VehicleState(pose, (3.0, 4.0, 0.0), (0.0, 0.0, 0.0), 0.0, *size)
    blueprint = "static.prop.box" if label is None else BLUEPRINTS[label]
    return TruthObject(number, f"actor{number}", blueprint, label, state, (x, y, 0.25 + size[2] / 2, *size, yaw), 0)


WORLD = (
    thing(9, 100.0, -40.0, 0.3),
    thing(12, 112.0, -41.0, -2.0),
    thing(13, 104.0, -44.0, 1.0, ObjectClass.CYCLIST),
    thing(14, 96.0, -37.0, 3.0, ObjectClass.PEDESTRIAN),
    thing(15, 99.0, -49.0, 0.0, None),
    thing(16, 300.0, 10.0, 0.0),
)
UNIT = AgentName("corner")


def sweep(agent: AgentName, world_from_lidar: Pose, height: float, hits: list[TruthObject], time_us: int) -> Sweep:
    """Three returns on each of `hits`, and one on the road."""
    rows = [[x + 0.1 * k, y, z] for hit in hits for k, (x, y, z) in enumerate([hit.box[:3]] * 3)]
    world = np.array([*rows, [world_from_lidar.x + 5, world_from_lidar.y, 0.25]])
    local = transform_points(matrix_from_pose(inverse(world_from_lidar)), world)
    points = np.concatenate([local, np.full((len(local), 1), 0.5)], axis=1).astype(np.float32)
    return Sweep(agent, time_us, points, world_from_lidar, height)


def sweeps(time_us: int) -> tuple[Sweep, ...]:
    first, second, cyclist, walker, prop, _ = WORLD
    poses = [Pose(100.0, -40.0, 2.15, 0.01, 0.02, 0.3), Pose(112.0, -41.0, 2.15, 0.0, 0.0, -2.0)]
    return (
        sweep(AgentName("actor9"), poses[0], 1.9, [first, second, walker, prop], time_us),
        sweep(AgentName("actor12"), poses[1], 1.9, [first, cyclist], time_us),
        sweep(UNIT, Pose(90.0, -30.0, 5.25, 0.0, math.radians(-10), 0.5), 5.0, [first, second, cyclist], time_us),
    )


def scans(time_us: int) -> tuple[Scan, ...]:
    taken = sweeps(time_us)
    return scans_from_sweeps(taken, WORLD, agent_ids(taken, WORLD))
