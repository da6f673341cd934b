"""How scripted actors move: along their paths, from truth. They are not the ego and may know everything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from carla_cp.driving.control import ControlConfig, LongitudinalControl, pure_pursuit
from carla_cp.driving.idm import IdmConfig, following_acceleration
from carla_cp.driving.lights import lane_light
from carla_cp.driving.route import Route
from carla_cp.types import (
    ActorSpec,
    Command,
    Control,
    FloatArray,
    LightState,
    SignalSpec,
    StopLine,
    TruthObject,
    VehicleState,
)


@dataclass(frozen=True, slots=True)
class TrafficConfig:
    """How scripted vehicles drive."""

    idm: IdmConfig = field(default_factory=lambda: IdmConfig(acceleration_mps2=2.0))
    control: ControlConfig = field(default_factory=ControlConfig)
    stop_mps2: float = 2.5  # deceleration to a red light and to the path's end
    stop_before_m: float = 1.0  # of the bumper before a stop line
    hardest_brake_mps2: float = 8.0
    view_m: float = 15.0  # that others are looked for ahead, and
    view_s: float = 3.0  # so many seconds of the own speed
    side_margin_m: float = 0.2
    speed_gain_per_s: float = 1.0
    walker_lookahead_m: float = 1.0


class Traffic:
    """All scripted actors of an episode."""

    def __init__(
        self,
        actors: Sequence[ActorSpec],
        stop_lines: Mapping[str, Sequence[StopLine]],
        config: TrafficConfig | None = None,
    ) -> None:
        """`stop_lines` gives, by rolename, where a path meets signals; an actor without an entry meets none."""
        used = config or TrafficConfig()
        self._departs = {spec.rolename: spec.departs_s for spec in actors if spec.departs_s > 0.0}
        self._step_s, self._ticks = used.control.step_s, 0
        self._parked = [spec.rolename for spec in actors if not spec.path and spec.blueprint.startswith("vehicle.")]
        moving = [spec for spec in actors if spec.path]
        self._walkers = {spec.rolename: _Walker(spec, used) for spec in moving if spec.blueprint.startswith("walker.")}
        self._drivers = {
            spec.rolename: _Driver(spec, tuple(stop_lines.get(spec.rolename, ())), used)
            for spec in moving
            if spec.blueprint.startswith("vehicle.")
        }

    def commands(
        self, objects: Sequence[TruthObject], ego: VehicleState | None, states: Sequence[SignalSpec]
    ) -> tuple[Command, ...]:
        """What every moving actor among `objects` does this tick; the first call also brakes the parked ones.

        Called once per tick from the first on: so it knows when those that wait depart.

        `ego` is one more body to keep clear of; None where it is scripted too and among the objects.
        """
        result = [Command(rolename, control=Control(brake=1.0)) for rolename in self._parked]
        self._parked = []
        bodies = _bodies([*(item.state for item in objects), *([] if ego is None else [ego])])
        now_s, self._ticks = self._ticks * self._step_s, self._ticks + 1
        for row, item in enumerate(objects):
            if now_s < self._departs.get(item.rolename, 0.0):
                result.append(_standing(item))
            elif item.rolename in self._drivers:
                control = self._drivers[item.rolename].control(item.state, np.delete(bodies, row, axis=0), states)
                result.append(Command(item.rolename, control=control))
            elif item.rolename in self._walkers:
                result.append(Command(item.rolename, walk=self._walkers[item.rolename].walk(item.state)))
        return tuple(result)


def _standing(item: TruthObject) -> Command:
    if item.blueprint.startswith("walker."):
        return Command(item.rolename, walk=(math.cos(item.state.pose.yaw), math.sin(item.state.pose.yaw), 0.0))
    return Command(item.rolename, control=Control(brake=1.0))


def _bodies(states: Sequence[VehicleState]) -> FloatArray:
    """Rows of x, y, vx, vy, yaw, half length, half width."""
    return np.array(
        [(s.pose.x, s.pose.y, s.velocity[0], s.velocity[1], s.pose.yaw, s.length / 2, s.width / 2) for s in states]
    )


def _route(spec: ActorSpec) -> Route:
    """The actor's path, entered from where it starts."""
    return Route(np.array([(spec.start.x, spec.start.y), *spec.path]))


class _Walker:
    def __init__(self, spec: ActorSpec, config: TrafficConfig) -> None:
        self._route = Route(np.array(spec.path)) if len(spec.path) > 1 else _route(spec)
        self._speed = spec.speed_mps
        self._lookahead_m = config.walker_lookahead_m
        self._s: float | None = None

    def walk(self, state: VehicleState) -> tuple[float, float, float]:
        self._s, _ = self._route.project(state.pose.x, state.pose.y, self._s)
        x, y, yaw = self._route.pose(self._s + self._lookahead_m)
        if self._s >= self._route.length - 0.1:
            return math.cos(yaw), math.sin(yaw), 0.0
        distance = max(math.hypot(x - state.pose.x, y - state.pose.y), 1e-6)
        return (x - state.pose.x) / distance, (y - state.pose.y) / distance, self._speed


class _Driver:
    def __init__(self, spec: ActorSpec, stop_lines: tuple[StopLine, ...], config: TrafficConfig) -> None:
        self._spec = spec
        self._route = Route(np.array(spec.path)) if len(spec.path) > 1 else _route(spec)
        self._stop_lines = stop_lines
        self._config = config
        self._longitudinal = LongitudinalControl(config.control)
        self._s: float | None = None

    def control(self, state: VehicleState, others: FloatArray, states: Sequence[SignalSpec]) -> Control:
        self._s, _ = self._route.project(state.pose.x, state.pose.y, self._s)
        wanted = min(
            self._cruise(state, others),
            _stopping(self._route.length - self._s, state.speed, self._config.stop_mps2),
            self._for_light(state, states),
        )
        wanted = max(wanted, -self._config.hardest_brake_mps2)
        throttle, brake = self._longitudinal.command(wanted, state)
        return Control(throttle, brake, pure_pursuit(state, self._route, self._s, self._config.control))

    def _cruise(self, state: VehicleState, others: FloatArray) -> float:
        speed, desired = state.speed, self._spec.speed_mps
        error = self._config.speed_gain_per_s * (desired - speed)
        hold = min(max(error, -self._config.idm.deceleration_mps2), self._config.idm.acceleration_mps2)
        leader = self._leader(state, others) if self._spec.yields else None
        if leader is None:
            return hold
        return min(hold, following_acceleration(speed, desired, *leader, self._config.idm))

    def _leader(self, state: VehicleState, others: FloatArray) -> tuple[float, float] | None:
        """Gap to and speed along the path of the nearest body ahead on the path."""
        s_self = self._s or 0.0
        view = self._config.view_m + self._config.view_s * state.speed + state.length
        near = np.abs(others[:, :2] - (state.pose.x, state.pose.y)).max(axis=1) < view
        others = others[near]
        if not len(others):
            return None
        s, lateral = self._route.project_many(others[:, :2], s_self - state.length, s_self + view)
        headings = self._route.headings(s)
        angle = others[:, 4] - headings
        sin, cos = np.abs(np.sin(angle)), np.abs(np.cos(angle))
        half_width = others[:, 5] * sin + others[:, 6] * cos + state.width / 2 + self._config.side_margin_m
        blocking = (np.abs(lateral) < half_width) & (s > s_self)
        if not blocking.any():
            return None
        gaps = s - (others[:, 5] * cos + others[:, 6] * sin) - s_self - state.length / 2
        nearest = int(np.argmin(np.where(blocking, gaps, np.inf)))
        heading = float(headings[nearest])
        along = others[nearest, 2] * math.cos(heading) + others[nearest, 3] * math.sin(heading)
        return float(gaps[nearest]), max(0.0, float(along))

    def _for_light(self, state: VehicleState, states: Sequence[SignalSpec]) -> float:
        if not self._spec.obeys_lights or not self._stop_lines:
            return math.inf
        light = lane_light(self._route, (self._s or 0.0) + state.length / 2, self._stop_lines, states)
        if light is None or light.state not in (LightState.RED, LightState.YELLOW):
            return math.inf
        return _stopping(light.distance_m - self._config.stop_before_m, state.speed, self._config.stop_mps2)


def _stopping(distance_m: float, speed: float, deceleration: float) -> float:
    """Acceleration that keeps the deceleration constant to a stop at a distance; infinite while it is too early."""
    if distance_m <= 0.1:
        return -deceleration
    needed = speed**2 / (2.0 * distance_m)
    if needed >= deceleration:
        return -needed
    # Near the point a rest of speed would never reach the deceleration above: creep up and stand.
    return math.inf if distance_m > 0.5 else -speed
