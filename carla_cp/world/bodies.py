"""Actors as bodies: their boxes, and how they move in a snapshot."""

from __future__ import annotations

import math
from dataclasses import dataclass

import carla
import numpy as np

from carla_cp.geometry import compose, matrix_from_pose, transform_points
from carla_cp.types import FloatArray, ObjectClass, Pose, TruthObject, VehicleState
from carla_cp.world.convert import pose_of
from carla_cp.world.errors import WorldError
from carla_cp.world.shapes import Shape, shape_of


@dataclass(frozen=True, slots=True)
class Body:
    """An actor and what never changes of it."""

    name: str
    actor: carla.Actor
    label: ObjectClass | None  # None: a prop
    shape: Shape


def body_of(actor: carla.Actor, name: str) -> Body:
    """The body of an actor that is in the world."""
    return Body(name, actor, _label(actor), shape_of(actor))


def _label(actor: carla.Actor) -> ObjectClass | None:
    if actor.type_id.startswith("walker."):
        return ObjectClass.PEDESTRIAN
    if not actor.type_id.startswith("vehicle."):
        return None
    return ObjectClass.CYCLIST if actor.attributes.get("number_of_wheels") == "2" else ObjectClass.VEHICLE


def state_of(body: Body, snapshot: carla.WorldSnapshot) -> VehicleState:
    """How the body moves in a snapshot. Raises WorldError where it is not there."""
    now = snapshot.find(body.actor.id)
    if now is None:
        raise WorldError(f"actor '{body.name}' vanished from the world")
    world_from_box = compose(pose_of(now.get_transform()), body.shape.body_from_box)
    length, width, height = body.shape.size
    foot = transform_points(matrix_from_pose(world_from_box), np.array([[0.0, 0.0, -height / 2]]))[0]
    velocity, acceleration = now.get_velocity(), now.get_acceleration()
    x, y, z = (float(value) for value in foot)
    return VehicleState(
        Pose(x, y, z, world_from_box.roll, world_from_box.pitch, world_from_box.yaw),
        (velocity.x, velocity.y, velocity.z),
        (acceleration.x, acceleration.y, acceleration.z),
        math.radians(now.get_angular_velocity().z),
        length,
        width,
        height,
    )


def object_of(body: Body, snapshot: carla.WorldSnapshot) -> TruthObject:
    """The body as the truth lists it; `returns` is 0. Raises WorldError as `state_of` does."""
    state = state_of(body, snapshot)
    pose = state.pose
    box = (pose.x, pose.y, pose.z + body.shape.size[2] / 2, *body.shape.size, pose.yaw)
    return TruthObject(body.actor.id, body.name, body.actor.type_id, body.label, state, box, 0)


def buildings_of(world: carla.World) -> FloatArray:
    """Boxes (N, 7) of the map's buildings; roof edges and what is not upright are as a box around them."""
    boxes = world.get_level_bbs(carla.CityObjectLabel.Buildings)
    rows = [
        (
            *(box.location.x, box.location.y, box.location.z),
            *(2 * box.extent.x, 2 * box.extent.y, 2 * box.extent.z),
            math.radians(box.rotation.yaw),
        )
        for box in boxes
    ]
    return np.array(rows).reshape(-1, 7)
