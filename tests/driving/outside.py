"""A worked example: the planner of another package, which crawls along its route and stops for whatever is near.

Its package registers it so:

    [project.entry-points."carla_cp.planners"]
    timid = "their_planners:TimidPlanner"
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from carla_cp.driving.base import PlannerModel
from carla_cp.driving.control import ControlConfig, LongitudinalControl, pure_pursuit
from carla_cp.driving.route import Route
from carla_cp.types import Control, LaneLight, LightState, Plan, Track, VehicleState

NEAR_M = 15.0
CRAWL_MPS = 3.0


class TimidPlanner(PlannerModel):
    """Three metres a second, none while anything is within 15 m or its light is not green."""

    name = "timid"

    def __init__(self, route: Route) -> None:
        self._route, self._config = route, ControlConfig()
        self._longitudinal = LongitudinalControl(self._config)

    @classmethod
    def start(cls, route: Route, cruise_mps: float) -> TimidPlanner:
        """However fast others would drive here."""
        return cls(route)

    def plan(self, odometry: VehicleState, light: LaneLight | None, tracks: Sequence[Track], now_us: int) -> Plan:
        """Stops or crawls."""
        pose = odometry.pose
        near = [track.id for track in tracks if math.hypot(track.x - pose.x, track.y - pose.y) < NEAR_M]
        held = light is not None and light.state is LightState.RED
        wanted = -3.0 if near or held else CRAWL_MPS - odometry.speed
        throttle, brake = self._longitudinal.command(wanted, odometry)
        s, _ = self._route.project(pose.x, pose.y, None)
        steer = pure_pursuit(odometry, self._route, s, self._config)
        reason = "conflict" if near else "light" if held else "free"
        return Plan(Control(throttle, brake, steer), wanted, reason, near[0] if near else None, ((pose.x, pose.y),))
