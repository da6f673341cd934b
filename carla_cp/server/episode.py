"""One episode: the actors of a map, and one step of their world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carla_cp.server.actors import (
    Actor,
    CollisionSensor,
    LightActor,
    SensorActor,
    SignActor,
    Solid,
    Vehicle,
    Walker,
    matrix_of,
    transform_of,
)
from carla_cp.server.collisions import Contact, collide, overlap
from carla_cp.server.lights import GREEN, RED, Group, Light, build_groups
from carla_cp.server.maps import LoadedMap
from carla_cp.server.scenery import Scenery, fixed_info
from carla_cp.server.snapshot import LightView
from carla_cp.server.spawning import SpawnError, build_actor, build_light, build_sign, build_spectator
from carla_cp.server.stream import Streams
from carla_cp.server.street_lights import Lamp
from carla_cp.server.wire import ActorInfo, Description, Transform, Vector
from carla_cp.server.zones import FREE, YIELD

_MAX_ACTORS = 2000
_FIRST_SIGN = 1 << 24  # id
_COLLIDED = "Spawn failed because of collision at spawn position"


@dataclass(frozen=True, slots=True)
class Hit:
    """What the sensors of one actor have to tell of a contact."""

    own: int
    other: ActorInfo
    impulse: Vector


class Episode:
    """The actors since the map was loaded. Ids count from 1 in every episode: first the spectator, then the lights.

    The other signs have numbers of their own, so that those of all that is spawned do not depend on them.
    """

    def __init__(self, number: int, loaded: LoadedMap, streams: Streams) -> None:
        self.number, self.map = number, loaded
        self._streams = streams
        self.time_us = 0  # simulated since the episode began
        self.actors: dict[int, Actor] = {}
        self._last_id = 0
        self.lights, self.groups = build_groups(loaded.field.lights, loaded.opendrive)
        self.spectator = build_spectator(self._next_id())
        self.actors[self.spectator.id] = self.spectator
        self._light_ids: list[int] = []
        for light in self.lights:
            actor = build_light(self._next_id(), light)
            self._light_ids.append(actor.id)
            self.actors[actor.id] = actor
        self._own = self._last_id
        for number, sign in enumerate(loaded.field.signs, _FIRST_SIGN):
            self.actors[number] = build_sign(number, sign)
        self._fixed = len(self.actors)
        self.scenery = Scenery(loaded)
        self.lamps: dict[int, Lamp] = {}  # of the street lights that clients have changed, by id
        self.hits: list[Hit] = []  # of the last step

    @property
    def populated(self) -> bool:
        """Whether anything was spawned."""
        return self._last_id > self._own

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    # ------------------------------------------------------------------------------------------- coming and going

    def spawn(self, description: Description, pose: Transform, parent_id: int, frame: int) -> Actor:
        """A new actor; `pose` is in the world, or in the frame of the parent (0: none). Raises SpawnError."""
        if len(self.actors) - self._fixed >= _MAX_ACTORS:
            raise SpawnError(f"there are {_MAX_ACTORS} actors already; destroy some")
        parent = self.actors.get(parent_id)
        if parent_id and parent is None:
            raise SpawnError(f"the parent actor {parent_id} does not exist")
        mount = matrix_of(pose) if parent else None
        world = transform_of(matrix_of(parent.motion.pose) @ mount) if parent and mount is not None else pose
        actor = build_actor(self._last_id + 1, description, world, parent, mount, frame)
        if isinstance(actor, Solid) and parent is None:
            self.stand(actor)
            self._check_free(actor)
            self._limit(actor)
        self._admit(actor)
        return actor

    def _check_free(self, actor: Solid) -> None:
        for other in self.solids():
            if overlap(actor.body, other.body) is not None:
                raise SpawnError(_COLLIDED)

    def _admit(self, actor: Actor) -> None:
        self.actors[self._next_id()] = actor
        if isinstance(actor, (SensorActor, CollisionSensor)):
            actor.stream_id = self._streams.open()

    def stand(self, actor: Solid) -> None:
        """Vehicles and pedestrians stand on the road."""
        if isinstance(actor, (Vehicle, Walker)):
            self.map.ground.stand(actor.body)
            actor.settle_on_ground()

    def _limit(self, actor: Solid) -> None:
        if isinstance(actor, Vehicle):
            actor.limit_kmh = self.map.limits.at(actor.body.x, actor.body.y, actor.body.z)

    def destroy(self, actor_id: int) -> bool:
        """Whether there was such an actor that can go; what was attached to it stays where it is."""
        actor = self.actors.get(actor_id)
        if actor is None or actor is self.spectator or isinstance(actor, (LightActor, SignActor)):
            return False
        del self.actors[actor_id]
        if actor.stream_id:
            self._streams.close(actor.stream_id)
        for other in self.actors.values():
            if other.parent is actor:
                other.release()
        return True

    def close(self) -> None:
        """Everything vanishes."""
        for actor_id in list(self.actors):
            self.destroy(actor_id)
        self.scenery.close()

    # --------------------------------------------------------------------------------------------------- one step

    def solids(self) -> list[Solid]:
        """The actors with a body, in the order of their ids."""
        return [actor for actor in self.actors.values() if isinstance(actor, Solid)]

    def advance(self, dt: float) -> None:
        """The world `dt` seconds later."""
        self.time_us += round(dt * 1e6)
        for group in self.groups:
            group.step(dt)
        moved = [actor for actor in self.solids() if actor.parent is None and actor.physical]
        for actor in moved:
            actor.drive(dt)
        self._collide()
        for actor in moved:
            if actor.body.moving:
                self.stand(actor)
            actor.settle(dt)
        for other in self.actors.values():
            other.follow()
        vehicles = [actor for actor in self.solids() if isinstance(actor, Vehicle)]
        self._look_at_lights(vehicles)
        self._look_at_signs(vehicles)

    def _collide(self) -> None:
        solids = [actor for actor in self.solids() if actor.collides and actor.parent is None]
        contacts = collide([actor.body for actor in solids], self.scenery.obstacles, self.scenery.places)
        self.hits = []
        for contact in contacts:
            self._note(contact, solids)

    def _note(self, contact: Contact, solids: list[Solid]) -> None:
        first, impulse = solids[contact.first], contact.impulse
        if contact.fixed:
            body = self.scenery.obstacles[contact.second]
            self.hits.append(Hit(first.id, fixed_info(body), impulse))
            return
        second = solids[contact.second]
        opposite = (-impulse[0], -impulse[1], -impulse[2])
        self.hits.append(Hit(first.id, self.info(second), impulse))
        self.hits.append(Hit(second.id, self.info(first), opposite))

    def _look_at_lights(self, vehicles: list[Vehicle]) -> None:
        rows = [(v.body.x, v.body.y, v.body.yaw, v.body.speed, v.body.length) for v in vehicles]
        places = np.array(rows).reshape(-1, 5)
        for vehicle, zone in zip(vehicles, self.map.field.zones(places), strict=True):
            if zone == FREE:
                vehicle.view = LightView(GREEN)
            elif zone == YIELD:
                vehicle.view = LightView(RED)
            else:
                vehicle.view = LightView(self.lights[zone].state, True, self._light_ids[zone])

    def _look_at_signs(self, vehicles: list[Vehicle]) -> None:
        places = np.array([(v.body.x, v.body.y, v.body.yaw) for v in vehicles]).reshape(-1, 3)
        limits = self.map.limits.after(places, [vehicle.limit_kmh for vehicle in vehicles])
        for vehicle, limit in zip(vehicles, limits, strict=True):
            vehicle.limit_kmh = limit

    # --------------------------------------------------------------------------------------------- what others see

    def info(self, actor: Actor) -> ActorInfo:
        """What a client is told of an actor."""
        return actor.info(self._streams.token(actor.stream_id) if actor.stream_id else b"")

    def records(self) -> list[bytes]:
        """Every actor's part of the snapshot."""
        return [actor.record() for actor in self.actors.values()]

    # ------------------------------------------------------------------------------------------------------ lights

    def group_of(self, light: Light) -> Group:
        """The group that a light belongs to."""
        return next(group for group in self.groups if light in group.lights)

    def light_ids(self, group: Group) -> list[int]:
        """The actors of a group's lights."""
        return [self._light_ids[light.pole] for light in group.lights]
