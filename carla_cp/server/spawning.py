"""From a description to an actor."""

from __future__ import annotations

import math

from carla_cp.server import blueprints
from carla_cp.server.actors import (
    Actor,
    CollisionSensor,
    LightActor,
    Matrix,
    SensorActor,
    SignActor,
    Solid,
    Vehicle,
    Walker,
)
from carla_cp.server.lights import Light
from carla_cp.server.physics import Body, model_of
from carla_cp.server.sensors import READERS, period_us
from carla_cp.server.signs import Sign
from carla_cp.server.snapshot import Motion
from carla_cp.server.wire import Description, Transform, WireError


class SpawnError(Exception):
    """Why an actor cannot be spawned, in the words that CARLA uses."""


def build_actor(
    actor_id: int, description: Description, pose: Transform, parent: Actor | None, mount: Matrix | None, frame: int
) -> Actor:
    """The actor, not yet in the world; raises SpawnError for what cannot be built."""
    try:
        blueprint = blueprints.find(description.id)
    except KeyError as error:
        raise SpawnError(f"Actor '{description.id}' is not in the blueprint library") from error
    if blueprint.kind != "sensor":
        body = _body(blueprint, pose)
        if blueprint.is_vehicle:
            model = model_of(blueprint.kind, blueprint.length)
            return Vehicle(actor_id, blueprint, description, Motion(pose), parent, mount, body=body, model=model)
        kind = Walker if blueprint.kind == "pedestrian" else Solid
        return kind(actor_id, blueprint, description, Motion(pose), parent, mount, body=body)
    try:
        return _sensor(actor_id, blueprint, description, pose, parent, mount, frame)
    except WireError as error:
        raise SpawnError(str(error)) from error


def _body(blueprint: blueprints.Blueprint, pose: Transform) -> Body:
    size = (blueprint.length, blueprint.width, blueprint.height)
    body = Body(pose.x, pose.y, pose.z, math.radians(pose.yaw), *size, 1.0 / blueprint.mass)
    body.pitch, body.roll = math.radians(pose.pitch), math.radians(pose.roll)
    return body


def _sensor(
    actor_id: int,
    blueprint: blueprints.Blueprint,
    description: Description,
    pose: Transform,
    parent: Actor | None,
    mount: Matrix | None,
    frame: int,
) -> Actor:
    start = Motion(pose, parent.motion.velocity) if parent else Motion(pose)
    if description.id in READERS:
        reader = READERS[description.id](description, actor_id)
        period = period_us(description)
        return SensorActor(
            actor_id, blueprint, description, start, parent, mount, reader=reader, born=frame, period_us=period
        )
    kind = CollisionSensor if description.id == "sensor.other.collision" else Actor
    return kind(actor_id, blueprint, description, start, parent, mount)


def build_light(actor_id: int, light: Light) -> Actor:
    """A traffic light of the map."""
    blueprint = blueprints.TRAFFIC_LIGHT
    description = Description(blueprint.uid, blueprint.id)
    return LightActor(actor_id, blueprint, description, Motion(light.place.pose), light=light)


def build_sign(actor_id: int, sign: Sign) -> Actor:
    """A stop, yield or speed sign of the map."""
    blueprint = blueprints.sign_blueprint(sign.name)
    return SignActor(actor_id, blueprint, Description(blueprint.uid, blueprint.id), Motion(sign.place.pose), sign=sign)


def build_spectator(actor_id: int) -> Actor:
    """The spectator, which only has a pose."""
    blueprint = blueprints.SPECTATOR
    return Actor(actor_id, blueprint, Description(blueprint.uid, blueprint.id), Motion())
