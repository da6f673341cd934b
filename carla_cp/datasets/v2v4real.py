"""V2V4Real (Xu et al., CVPR 2023): OPV2V's folders with another content of the yaml files.

As its published loader reads them: `lidar_pose` is a 4 x 4 matrix, world from lidar; `vehicles` lie in the frame of the
LiDAR of the agent that lists them, and have an `obj_type`; `ass_id` is what two cars' entries of one object share, and
-1 where there is no such other entry; where it is absent, an entry's own number is shared. Axes are OPV2V's (x forward,
y right). Nothing tells the sensor's height, which is taken from each cloud. Left out: the maps, and the loader's choice
of a random ego.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from carla_cp.geometry import matrix_from_pose, pose_from_matrix, transform_boxes
from carla_cp.opv2v.reader import FARTHEST_M, Annotation, box_row, pose_of
from carla_cp.types import AgentName, ObjectClass, Pose

RIGID = 0.01  # how far a rotation may be from orthonormal, per entry
ALONE = 100  # the published loader's offset between the ids of two cars
_TWO_WHEELED = ("cyclist", "bicycle", "motor", "scooter")
_ON_FOOT = ("pedestrian",)


def parse_v2v4real(agent: AgentName, data: Mapping[str, Any]) -> Annotation:
    """What a V2V4Real file says, boxes moved to the world frame."""
    pose = pose_of_matrix(data["lidar_pose"])
    bodies = data["vehicles"] or {}
    local = np.array([box_row(body) for body in bodies.values()], np.float64).reshape(-1, 7)
    ids = [_shared_id(agent, int(name), body) for name, body in bodies.items()]
    labels = [class_of(str(body.get("obj_type", "Car"))) for body in bodies.values()]
    boxes = transform_boxes(matrix_from_pose(pose), local)
    return Annotation(pose, None, boxes, np.array(ids, np.int64), np.array(labels, np.int64))


def pose_of_matrix(values: Any) -> Pose:
    """The pose of a 4 x 4 rigid matrix, or of OPV2V's six numbers; raises ValueError for anything else."""
    if np.shape(values) == (6,):
        return pose_of(values)
    matrix = np.array(values, np.float64)
    if matrix.shape != (4, 4) or not (np.abs(matrix) < FARTHEST_M).all():
        raise ValueError(f"lidar_pose is no 4 x 4 matrix: {values}")
    turn = matrix[:3, :3]
    if np.abs(turn @ turn.T - np.eye(3)).max() > RIGID or np.linalg.det(turn) < 0:
        raise ValueError(f"lidar_pose does not rotate: {turn.tolist()}")
    return pose_from_matrix(matrix)


def class_of(name: str) -> ObjectClass:
    """The class of an `obj_type`; whatever is neither on foot nor on two wheels is a vehicle."""
    lower = name.lower()
    if any(word in lower for word in _ON_FOOT):
        return ObjectClass.PEDESTRIAN
    return ObjectClass.CYCLIST if any(word in lower for word in _TWO_WHEELED) else ObjectClass.VEHICLE


def _shared_id(agent: AgentName, name: int, body: Mapping[str, Any]) -> int:
    shared = int(body.get("ass_id", name))
    return shared if shared != -1 else name + ALONE * int(agent)
