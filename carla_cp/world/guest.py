"""Guests in a world that somebody else ticks: LiDARs on its actors, and what is known of it at each of its ticks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import carla

from carla_cp.types import AgentName, FloatArray, LidarSpec, Pose, Sweep, TruthObject, VehicleState
from carla_cp.world.bodies import Body, body_of, buildings_of, object_of, state_of
from carla_cp.world.convert import pose_of
from carla_cp.world.errors import WorldError
from carla_cp.world.lidar import STEP_US, Lidars

SomeWorld: TypeAlias = carla.World
Actor: TypeAlias = carla.Actor
Snapshot: TypeAlias = carla.WorldSnapshot
Partner: TypeAlias = carla.Actor | carla.Transform | tuple[str, carla.Transform]
BODIES = ("vehicle.", "walker.", "static.prop.")  # what counts as an object


@dataclass(frozen=True, slots=True)
class LidarKinds:
    """The LiDARs that guests hang up."""

    vehicle: LidarSpec = field(default_factory=lambda: LidarSpec(Pose(z=1.9)))
    rsu: LidarSpec = field(default_factory=lambda: LidarSpec(Pose(z=5.0), lower_fov_deg=-30.0))


@dataclass(frozen=True, slots=True)
class _Seat:
    """Where a LiDAR hangs: on an actor, or over a foot."""

    name: AgentName
    actor: carla.Actor | None
    foot: Pose


class Guest:
    """The LiDARs of an ego and its partners in somebody else's world; it never ticks it.

    `partners` are vehicles, or roadside units: a `carla.Transform` of the foot on the ground, or (name, transform).
    """

    def __init__(
        self, world: carla.World, ego: carla.Actor, partners: Sequence[Partner], lidars: LidarKinds, seed: int
    ) -> None:
        """Raises WorldError for a world that is not in synchronous mode at 20 Hz, and for what cannot carry a LiDAR."""
        _check_settings(world)
        self._world = world
        self._bodies: dict[int, Body | None] = {}  # by actor id; None: no object
        self._names: set[str] = set()
        self._seats = [self._seat(one, number) for number, one in enumerate((ego, *partners))]
        if self._seats[0].actor is None:
            raise WorldError("the ego must be a vehicle; a roadside unit can be a partner")
        self._ego = ego.id
        self._snapshot: carla.WorldSnapshot | None = None
        self._first_frame = 0
        self._first_capture: int | None = None  # None: the LiDARs' rhythm is not known yet
        self._lidars = Lidars()
        try:
            self._hang(lidars, seed)
        except RuntimeError as error:
            self.close()
            raise WorldError(f"a LiDAR cannot be spawned: {' '.join(str(error).split())}") from error

    @property
    def agents(self) -> tuple[AgentName, ...]:
        """Who carries a LiDAR, the ego first."""
        return tuple(seat.name for seat in self._seats)

    @property
    def rsus(self) -> tuple[AgentName, ...]:
        """Who of them is a roadside unit."""
        return tuple(seat.name for seat in self._seats if seat.actor is None)

    def _seat(self, one: Partner, number: int) -> _Seat:
        name, place = one if isinstance(one, tuple) and len(one) == 2 else (f"rsu_{number}", one)
        if isinstance(place, carla.Transform):
            if name in self._names:
                raise WorldError(f"two agents are called '{name}'; give each roadside unit a name of its own")
            self._names.add(str(name))
            return _Seat(AgentName(str(name)), None, pose_of(place))
        if not isinstance(one, carla.Actor) or not one.type_id.startswith("vehicle."):
            raise WorldError(f"{one} is no vehicle, carla.Transform or (name, carla.Transform)")
        if one.id in self._bodies:
            raise WorldError(f"vehicle {one.id} is given twice; each agent is another one")
        body = self._body(one)
        return _Seat(AgentName(body.name), one, Pose())

    def _body(self, actor: carla.Actor) -> Body:
        """The body of an actor under its role name, or where others have it, that and its id."""
        role = actor.attributes.get("role_name") or actor.type_id
        name = role if role not in self._names else f"{role}_{actor.id}"
        self._names.add(name)
        body = body_of(actor, name)
        self._bodies[actor.id] = body
        return body

    def _hang(self, lidars: LidarKinds, seed: int) -> None:
        library = self._world.get_blueprint_library()
        for seat in self._seats:
            blueprint = library.find("sensor.lidar.ray_cast")
            if blueprint.has_attribute("role_name"):
                blueprint.set_attribute("role_name", seat.name)
            kind = lidars.rsu if seat.actor is None else lidars.vehicle
            self._lidars.hang(self._world, blueprint, seat.name, kind, seed, seat.actor, seat.foot)

    # --------------------------------------------------------------------------------------------------- time

    def advance(self, snapshot: carla.WorldSnapshot) -> int:
        """Takes the world's next snapshot; returns the simulated time in microseconds, 0 at the first one.

        Raises WorldError where it is not the next one, and where an agent's vehicle is gone.
        """
        self._check(snapshot)
        if self._snapshot is None:
            self._first_frame = snapshot.frame
        self._snapshot = snapshot
        self._meet(snapshot)
        steps = int(snapshot.frame - self._first_frame)
        if self._first_capture is None and steps + 1 >= self._lidars.warm_up_frames:
            later = snapshot.frame + 1
            self._first_capture = later + (self._lidars.phase() - later) % self._lidars.period
        return steps * STEP_US

    def _check(self, snapshot: carla.WorldSnapshot) -> None:
        if not isinstance(snapshot, carla.WorldSnapshot):
            kind = type(snapshot).__name__
            raise WorldError(f"tick() takes a carla.WorldSnapshot, not {kind}; give it world.get_snapshot()")
        if not self._lidars.actors:
            raise WorldError("its LiDARs are removed; attach again")
        for seat in self._seats:
            if seat.actor is not None and (not seat.actor.is_alive or snapshot.find(seat.actor.id) is None):
                raise WorldError(
                    f"vehicle '{seat.name}' is gone: it was destroyed, or another map was loaded; "
                    "close this and attach to vehicles that are there"
                )
        step_s = snapshot.timestamp.delta_seconds
        if abs(step_s - STEP_US / 1e6) > 1e-6:
            raise WorldError(f"the world made a step of {step_s:g} s; keep fixed_delta_seconds at {STEP_US / 1e6:g}")
        if self._snapshot is None or snapshot.frame == self._snapshot.frame + 1:
            return
        if snapshot.frame == self._snapshot.frame:
            raise WorldError(f"frame {snapshot.frame} was given before; tick the world between two calls")
        raise WorldError(
            f"frame {snapshot.frame} does not follow {self._snapshot.frame}; give every snapshot, one per world.tick()"
        )

    def _meet(self, snapshot: carla.WorldSnapshot) -> None:
        """Looks at the actors that were not there before, once; forgets those that are gone."""
        present = {actor.id for actor in snapshot}
        self._bodies = {number: body for number, body in self._bodies.items() if number in present}
        fresh = sorted(present - self._bodies.keys())
        if not fresh:
            return
        self._bodies.update(dict.fromkeys(fresh))
        for actor in sorted(self._world.get_actors(fresh), key=lambda each: each.id):
            if actor.type_id.startswith(BODIES):
                self._body(actor)

    # ----------------------------------------------------------------------------------------------- readings

    def sweeps(self) -> Iterator[Sweep]:
        """Every agent's sweep that was captured at the newest tick, the ego's first, as they arrive; none between."""
        now = self._now.frame
        if self._first_capture is None or now < self._first_capture:
            return iter(())
        if (now - self._first_capture) % self._lidars.period:
            return iter(())
        return self._lidars.sweeps(now, (now - self._first_frame) * STEP_US)

    def odometry(self) -> VehicleState:
        """The ego's own motion."""
        ego = self._bodies[self._ego]
        assert ego is not None  # `_seat` met it, `_check` found it
        return state_of(ego, self._now)

    def objects(self) -> tuple[TruthObject, ...]:
        """Every vehicle, walker and prop but the ego, as the simulator knows it; `returns` is 0."""
        others = [body for number, body in sorted(self._bodies.items()) if number != self._ego]
        return tuple(object_of(body, self._now) for body in others if body is not None)

    def buildings(self) -> FloatArray:
        """Boxes (N, 7) of the map's buildings."""
        return buildings_of(self._world)

    @property
    def _now(self) -> carla.WorldSnapshot:
        assert self._snapshot is not None, "advance() comes first"
        return self._snapshot

    def close(self) -> None:
        """Removes the LiDARs, and nothing else; ids of a world that is gone are another's, so they are left alone."""
        lidars, self._lidars = self._lidars, Lidars()
        for sensor in lidars.actors:
            with contextlib.suppress(RuntimeError):  # a server that is gone needs nothing of that
                if sensor.is_alive:
                    sensor.stop()
                    sensor.destroy()


def _check_settings(world: carla.World) -> None:
    """Raises WorldError unless the world is ticked, at our step."""
    settings, step_s = world.get_settings(), STEP_US / 1e6
    if not settings.synchronous_mode or abs((settings.fixed_delta_seconds or 0.0) - step_s) > 1e-6:
        raise WorldError(
            f"the world is {'' if settings.synchronous_mode else 'not '}synchronous with fixed_delta_seconds "
            f"{settings.fixed_delta_seconds}; apply settings with synchronous_mode True and {step_s:g} first"
        )
