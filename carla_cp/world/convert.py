"""CARLA's degrees and our radians."""

from __future__ import annotations

import math

import carla

from carla_cp.types import Pose


def pose_of(transform: carla.Transform) -> Pose:
    """The pose of a CARLA transform."""
    rotation, location = transform.rotation, transform.location
    angles = (math.radians(rotation.roll), math.radians(rotation.pitch), math.radians(rotation.yaw))
    return Pose(location.x, location.y, location.z, *angles)


def carla_transform(pose: Pose) -> carla.Transform:
    """The CARLA transform of a pose."""
    rotation = carla.Rotation(pitch=math.degrees(pose.pitch), yaw=math.degrees(pose.yaw), roll=math.degrees(pose.roll))
    return carla.Transform(carla.Location(pose.x, pose.y, pose.z), rotation)
