"""The fixed planner: IDM along the route, stops for lights and path conflicts, pure pursuit.

It sees odometry, route, its own lane's light and tracks, nothing else, and is deterministic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from carla_cp.driving.base import PlannerModel
from carla_cp.driving.conflicts import Conflict, Corridor, CorridorConfig, Leader
from carla_cp.driving.control import ControlConfig, LongitudinalControl, pure_pursuit
from carla_cp.driving.idm import IdmConfig, following_acceleration, free_acceleration
from carla_cp.driving.route import Route
from carla_cp.driving.yielding import EgoMotion, YieldConfig, Yielding
from carla_cp.types import Control, LaneLight, LightState, Plan, Track, VehicleState


@dataclass(frozen=True, slots=True)
class PlannerConfig:
    """All parameters of the ego's driving."""

    cruise_mps: float = 12.0
    idm: IdmConfig = field(default_factory=IdmConfig)
    corridor: CorridorConfig = field(default_factory=CorridorConfig)
    yielding: YieldConfig = field(default_factory=YieldConfig)
    control: ControlConfig = field(default_factory=ControlConfig)
    hardest_brake_mps2: float = 8.0
    emergency_mps2: float = 5.0  # braking harder than this is called an emergency
    yellow_brake_mps2: float = 3.5  # yellow is run if stopping would take more
    side_mps2: float = 3.0  # lateral acceleration in bends
    speed_gain_per_s: float = 2.0  # towards the speed for a bend
    priority_m: float = 40.0  # a green light gives right of way up to so far behind its stop line
    stop_before_m: float = 1.0  # the bumper stays so far before a stop line
    path_m: float = 40.0  # of the route ahead that a plan shows
    creep_mps: float = 1.0  # so slow, the ego goes on past a standing vehicle that only grazes its corridor

    def __post_init__(self) -> None:
        if self.cruise_mps <= 0:
            raise ValueError(f"cruise_mps {self.cruise_mps} must be positive")


@dataclass(frozen=True, slots=True)
class Wish:
    acceleration: float
    reason: str
    track: int | None = None


class Planner(PlannerModel):
    """Turns what the ego knows at a tick into its controls."""

    name = "fixed"

    def __init__(self, config: PlannerConfig, route: Route) -> None:
        self._config = config
        self._route = route
        self._yielding = Yielding(config.yielding)
        self._longitudinal = LongitudinalControl(config.control)
        self._hint_s: float | None = None
        self._priority: tuple[float, float] | None = None  # up to which s, and the heading of the approach
        self._beside: set[int] = set()  # ids of standing tracks beside which there is room

    @classmethod
    def start(cls, route: Route, cruise_mps: float) -> Planner:
        """One at the start of a route."""
        return cls(PlannerConfig(cruise_mps=cruise_mps), route)

    def plan(self, odometry: VehicleState, light: LaneLight | None, tracks: Sequence[Track], now_us: int) -> Plan:
        """The controls for this tick, and why; `tracks` are propagated to `now_us`."""
        s, _ = self._route.project(odometry.pose.x, odometry.pose.y, self._hint_s)
        self._hint_s = s
        corridor = Corridor(
            self._route,
            s - odometry.length / 2,
            s + odometry.length / 2,
            odometry.width / 2,
            self._config.corridor,
            frozenset(self._beside),
        )
        desired = self._desired_speed(s, odometry.speed)
        self._note_priority(light, corridor.s_front)
        wish = self._wish(odometry, corridor, desired, light, tracks)
        if s >= self._route.length - 0.5:
            wish = min(wish, Wish(-4.0, "arrived"), key=lambda item: item.acceleration)
        acceleration = max(wish.acceleration, -self._config.hardest_brake_mps2)
        throttle, brake = self._longitudinal.command(acceleration, odometry)
        steer = pure_pursuit(odometry, self._route, s, self._config.control)
        urgent = acceleration < -self._config.emergency_mps2
        return Plan(
            control=Control(throttle, brake, steer),
            acceleration_mps2=acceleration,
            reason="emergency" if urgent else wish.reason,
            conflict_track=wish.track,
            path=tuple((float(x), float(y)) for x, y in self._route.points(s, s + self._config.path_m)),
        )

    def _wish(
        self,
        odometry: VehicleState,
        corridor: Corridor,
        desired: float,
        light: LaneLight | None,
        tracks: Sequence[Track],
    ) -> Wish:
        """The most careful of all wishes."""
        speed = odometry.speed
        ego = EgoMotion(corridor.s_front, odometry.length, speed, desired, self._priority_yaw(corridor.s_front))
        conflict = self._yielding.choose(corridor.conflicts(tracks), ego, tracks)
        wishes = [Wish(self._free(speed, desired), "free")]
        wishes += self._for_light(light, speed, desired)
        leader = corridor.leader(tracks)
        wishes += self._for_leader(leader, speed, desired)
        if leader is not None and leader.grazes and speed < self._config.creep_mps:
            self._beside.add(leader.track.id)  # near and slow, the ego finds that there is room
        wishes += self._for_conflict(conflict, corridor.s_front, speed, desired)
        return min(wishes, key=lambda wish: wish.acceleration)

    def _free(self, speed: float, desired: float) -> float:
        """The model alone would lag behind a desired speed that falls towards a bend."""
        towards = max(self._config.speed_gain_per_s * (desired - speed), -self._config.idm.deceleration_mps2)
        return min(free_acceleration(speed, self._config.cruise_mps, self._config.idm), towards)

    def _for_light(self, light: LaneLight | None, speed: float, desired: float) -> list[Wish]:
        if light is None or light.state not in (LightState.RED, LightState.YELLOW):
            return []
        needed = speed**2 / (2.0 * max(light.distance_m, 0.1))
        if light.state is LightState.YELLOW and needed > self._config.yellow_brake_mps2:
            return []
        # The model stops its standstill gap before an obstacle, which therefore stands behind the line.
        gap = light.distance_m + self._config.idm.standstill_m - self._config.stop_before_m
        return [Wish(following_acceleration(speed, desired, gap, 0.0, self._config.idm), "light")]

    def _for_leader(self, leader: Leader | None, speed: float, desired: float) -> list[Wish]:
        if leader is None:
            return []
        wanted = following_acceleration(speed, desired, leader.gap_m, leader.speed_mps, self._config.idm)
        return [Wish(wanted, "follow", leader.track.id)]

    def _for_conflict(self, conflict: Conflict | None, s_front: float, speed: float, desired: float) -> list[Wish]:
        if conflict is None:
            return []
        room = conflict.start_m - s_front
        needed = speed**2 / (2.0 * max(room, 0.1))
        wanted = following_acceleration(speed, desired, room + 1.0, 0.0, self._config.idm)
        return [Wish(min(wanted, -needed), "conflict", conflict.track.id)]

    def _desired_speed(self, s: float, speed: float) -> float:
        """The cruising speed, or less where a bend ahead must be reached slowly enough."""
        config = self._config
        brake = config.idm.deceleration_mps2 / 2
        ahead, bends = self._route.curvatures(s, s + speed**2 / (2 * brake) + 5.0)
        if not len(ahead):
            return config.cruise_mps
        squares = config.side_mps2 / np.maximum(np.abs(bends), 1e-4) + 2 * brake * (ahead - s)
        return min(config.cruise_mps, math.sqrt(float(squares.min())))

    def _note_priority(self, light: LaneLight | None, s_front: float) -> None:
        if light is None:
            return
        if light.state is LightState.GREEN:
            line = s_front + light.distance_m
            self._priority = (line + self._config.priority_m, self._route.pose(line)[2])
        elif self._priority is not None and light.distance_m < self._config.priority_m:
            self._priority = None

    def _priority_yaw(self, s_front: float) -> float | None:
        return self._priority[1] if self._priority is not None and s_front <= self._priority[0] else None
