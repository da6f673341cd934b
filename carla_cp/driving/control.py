"""Acceleration and a path -> throttle, brake and steering of a CARLA vehicle.

Steering is pure pursuit (Coulter 1992, CMU-RI-TR-92-01). Throttle and brake invert a longitudinal model fitted to
CARLA's cars, a = gain * throttle^power * exp(-v / fade) - drag and a = -brake_gain * brake - drag; a small integral of
the measured error takes up what the model gets wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from carla_cp.driving.route import Route
from carla_cp.types import VehicleState


@dataclass(frozen=True, slots=True)
class ControlConfig:
    """The vehicle model that is inverted, and the feedback."""

    throttle_gain_mps2: float = 7.61
    throttle_power: float = 2.45
    throttle_fade_mps: float = 22.0
    drag_mps2: float = 0.5
    brake_gain_mps2: float = 7.5
    integral_per_s: float = 0.4
    integral_limit_mps2: float = 1.0
    hold_speed_mps: float = 0.3  # below it, a wish not to move becomes a settling brake, at rest a firm one
    settle_brake: float = 0.2
    hold_brake: float = 0.6
    step_s: float = 0.05
    lookahead_m: float = 3.0
    lookahead_s: float = 0.8
    wheel_angle_rad: float = math.radians(40.0)  # of the wheels at steer = 1, as an effective bicycle
    wheelbase_fraction: float = 0.6  # of the vehicle's length


class LongitudinalControl:
    """Throttle and brake for a wanted acceleration."""

    def __init__(self, config: ControlConfig = ControlConfig()) -> None:
        self._config = config
        self._integral = 0.0

    def command(self, wanted_mps2: float, state: VehicleState) -> tuple[float, float]:
        """Throttle and brake, each in [0, 1], at most one of them above zero."""
        config, speed = self._config, state.speed
        if wanted_mps2 <= 0.0 and speed < config.hold_speed_mps:
            self._integral = 0.0
            return 0.0, config.hold_brake if speed < config.hold_speed_mps / 4 else config.settle_brake
        self._learn(wanted_mps2, state)
        drive = wanted_mps2 + self._integral + config.drag_mps2
        if drive < 0.0:
            return 0.0, min(1.0, -drive / config.brake_gain_mps2)
        full = config.throttle_gain_mps2 * math.exp(-speed / config.throttle_fade_mps)
        return min(1.0, (drive / full) ** (1.0 / config.throttle_power)), 0.0

    def _learn(self, wanted_mps2: float, state: VehicleState) -> None:
        yaw = state.pose.yaw
        measured = state.acceleration[0] * math.cos(yaw) + state.acceleration[1] * math.sin(yaw)
        error = min(max(wanted_mps2 - measured, -2.0), 2.0)
        limit = self._config.integral_limit_mps2
        changed = self._integral + self._config.integral_per_s * self._config.step_s * error
        self._integral = min(max(changed, -limit), limit)


def pure_pursuit(state: VehicleState, route: Route, s: float, config: ControlConfig) -> float:
    """Steering in [-1, 1], positive right, towards the route; `s` is the body's arc length on it."""
    wheelbase = config.wheelbase_fraction * state.length
    pose = state.pose
    rear_x = pose.x - 0.5 * wheelbase * math.cos(pose.yaw)
    rear_y = pose.y - 0.5 * wheelbase * math.sin(pose.yaw)
    ahead = max(config.lookahead_m, config.lookahead_s * state.speed)
    goal_x, goal_y, _ = route.pose(s - 0.5 * wheelbase + ahead)
    distance = max(math.hypot(goal_x - rear_x, goal_y - rear_y), 0.5)
    bearing = math.atan2(goal_y - rear_y, goal_x - rear_x) - pose.yaw
    angle = math.atan2(2.0 * wheelbase * math.sin(bearing), distance)
    return min(max(angle / config.wheel_angle_rad, -1.0), 1.0)
