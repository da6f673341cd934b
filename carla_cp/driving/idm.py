"""The Intelligent Driver Model (Treiber, Hennecke, Helbing 2000, Phys. Rev. E 62, 1805), its basic form."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IdmConfig:
    """The model's parameters, with the symbols of the paper."""

    headway_s: float = 1.5  # T
    standstill_m: float = 2.0  # s0
    acceleration_mps2: float = 1.5  # a
    deceleration_mps2: float = 3.0  # b
    exponent: float = 4.0  # delta

    def __post_init__(self) -> None:
        if min(self.headway_s, self.standstill_m, self.acceleration_mps2, self.deceleration_mps2, self.exponent) <= 0:
            raise ValueError(f"every parameter of the driver model must be positive: {self}")


def free_acceleration(speed: float, desired: float, config: IdmConfig) -> float:
    """Acceleration [m/s^2] on an empty road; above the desired speed it brakes no harder than comfortably."""
    ratio = max(speed, 0.0) / max(desired, 0.1)
    return max(config.acceleration_mps2 * (1.0 - math.pow(ratio, config.exponent)), -config.deceleration_mps2)


def following_acceleration(speed: float, desired: float, gap_m: float, leader_speed: float, config: IdmConfig) -> float:
    """Acceleration [m/s^2] behind a leader whose rear is `gap_m` ahead of the front; unbounded as the gap closes."""
    approach = speed * (speed - leader_speed)
    root = 2.0 * math.sqrt(config.acceleration_mps2 * config.deceleration_mps2)
    wanted_m = config.standstill_m + max(0.0, speed * config.headway_s + approach / root)
    interaction = config.acceleration_mps2 * (wanted_m / max(gap_m, 0.1)) ** 2
    return free_acceleration(speed, desired, config) - interaction
