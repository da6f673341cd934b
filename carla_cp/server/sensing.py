"""What the sensors of an episode send after a tick."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from carla_cp.server.actors import CollisionSensor, SensorActor, Solid, matrix_of
from carla_cp.server.episode import Episode
from carla_cp.server.obstacle import Target
from carla_cp.server.physics import Body
from carla_cp.server.raycast import Mover, RayCaster
from carla_cp.server.scenery import fixed_info
from carla_cp.server.sensors import Reading
from carla_cp.server.shapes import actor_mesh
from carla_cp.server.snapshot import COLLISION, collision_payload, header
from carla_cp.server.stream import Streams
from carla_cp.server.wire import Transform


def sense(episode: Episode, streams: Streams, frame: int, dt: float, gravity: float) -> Iterator[tuple[int, bytes]]:
    """Stream ids and messages of the sensors that are due and listened to, one at a time as they are computed."""
    seconds = episode.time_us / 1e6
    yield from _tell_hits(episode, streams, frame, seconds)
    due = [a for a in episode.actors.values() if isinstance(a, SensorActor) and a.due(episode.time_us)]
    due = [actor for actor in due if streams.wanted(actor.stream_id)]
    if any(actor.reader.needs_rays for actor in due):
        place_movers(episode)
    velocities = {actor.id: actor.motion.velocity for actor in episode.solids()} if due else {}
    for actor in due:
        pose, parent = actor.motion.pose, actor.parent
        reading = Reading(
            age=frame - actor.born,
            dt=dt,
            motion=actor.motion,
            matrix=matrix_of(pose),
            carla_map=episode.map.carla_map,
            caster=episode.scenery.caster,
            gravity=gravity,
            velocities=velocities,
            own=None if parent is None else episode.info(parent),
            targets=partial(_targets, episode, 0 if parent is None else parent.id),
        )
        payload = actor.reader.read(reading)
        if payload is not None:
            yield actor.stream_id, header(actor.reader.kind, frame, seconds, pose) + payload


def place_movers(episode: Episode) -> RayCaster:
    """What casts rays into the world as it is now."""
    movers = []
    for actor in episode.solids():
        look = actor.blueprint
        mesh = actor_mesh(look.kind, look.length, look.width, look.height)
        movers.append(Mover(actor.id, mesh, matrix_of(actor.motion.pose)))
    episode.scenery.caster.place(movers)
    return episode.scenery.caster


def _tell_hits(episode: Episode, streams: Streams, frame: int, seconds: float) -> Iterator[tuple[int, bytes]]:
    if not episode.hits:
        return
    sensors = [actor for actor in episode.actors.values() if isinstance(actor, CollisionSensor)]
    for hit in episode.hits:
        for sensor in sensors:
            parent = sensor.parent
            if parent is not None and parent.id == hit.own and streams.wanted(sensor.stream_id):
                payload = collision_payload(episode.info(parent), hit.other, hit.impulse)
                yield sensor.stream_id, header(COLLISION, frame, seconds, sensor.motion.pose) + payload
    episode.hits = []


def _targets(episode: Episode, without: int) -> list[Target]:
    """The boxes of all actors but one, and of what stands beside the roads."""
    actors = [_of_actor(episode, actor) for actor in episode.solids() if actor.id != without]
    return actors + [_of_body(body) for body in episode.scenery.obstacles]


def _of_actor(episode: Episode, actor: Solid) -> Target:
    box, lift = actor.box, np.eye(4)
    lift[:3, 3] = box.location
    return Target(episode.info(actor), matrix_of(actor.motion.pose) @ lift, np.array(box.extent), True)


def _of_body(body: Body) -> Target:
    pose = Transform(body.x, body.y, body.z + body.height / 2, yaw=float(np.degrees(body.yaw)))
    extent = np.array((body.length, body.width, body.height)) / 2
    return Target(fixed_info(body), matrix_of(pose), extent, False)
