"""Comfort by nuPlan's six bounds, as Bench2Drive counts them: the share of 2 s pieces in which all of them hold.

The ego's speed, course and heading are smoothed and differentiated by a Savitzky-Golay filter of order 2 over 0.6 s:
Bench2Drive's 7 frames at 10 Hz, as so long a time at our step. Only what happened before any contact counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from scipy.signal import savgol_filter

from carla_cp.metrics.collisions import before_contact
from carla_cp.types import FloatArray, TickRecord

JERK_MPS3 = 8.37  # of the acceleration's magnitude; nuPlan's `ego_is_comfortable`, here and below
LATERAL_MPS2 = 4.89
FORWARD_MPS2 = (-4.05, 2.40)
FORWARD_JERK_MPS3 = 4.13
YAW_RATE_RADPS = 0.95
YAW_ACCELERATION_RADPS2 = 1.93
WINDOW_S = 0.6
PIECE_S = 2.0  # Bench2Drive: 20 frames at 10 Hz


@dataclass(frozen=True, slots=True)
class Comfort:
    """The extremes of the six quantities, and the share of the pieces in which all were in bounds; None: too short."""

    share: float | None  # [0, 1], of whole 2 s pieces
    jerk_mps3: float | None  # magnitudes, the largest
    lateral_mps2: float | None
    hardest_brake_mps2: float | None  # the least forward acceleration
    hardest_push_mps2: float | None  # the largest
    forward_jerk_mps3: float | None
    yaw_rate_radps: float | None
    yaw_acceleration_radps2: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """What comfort is judged by, at each of K records: (K,) each."""

    forward: FloatArray  # acceleration along the heading [m/s^2]
    lateral: FloatArray  # and to the right of it
    jerk: FloatArray  # of the acceleration's magnitude [m/s^3]
    forward_jerk: FloatArray
    yaw_rate: FloatArray  # [rad/s]
    yaw_acceleration: FloatArray  # [rad/s^2]

    def in_bounds(self) -> FloatArray:
        """1 at each record at which all six hold, else 0: (K,)."""
        low, high = FORWARD_MPS2
        return np.asarray(
            (self.forward >= low)
            & (self.forward <= high)
            & (np.abs(self.lateral) <= LATERAL_MPS2)
            & (np.abs(self.jerk) <= JERK_MPS3)
            & (np.abs(self.forward_jerk) <= FORWARD_JERK_MPS3)
            & (np.abs(self.yaw_rate) <= YAW_RATE_RADPS)
            & (np.abs(self.yaw_acceleration) <= YAW_ACCELERATION_RADPS2),
            np.float64,
        )


def comfort(records: Sequence[TickRecord]) -> Comfort:
    """The ego's comfort; all None where the drive before any contact is shorter than the filter."""
    moved = motion(records)
    if moved is None:
        return Comfort(None, None, None, None, None, None, None, None)
    return Comfort(
        share=_share(moved.in_bounds(), _step_s(records)),
        jerk_mps3=_largest(moved.jerk),
        lateral_mps2=_largest(moved.lateral),
        hardest_brake_mps2=float(moved.forward.min(initial=inf)),
        hardest_push_mps2=float(moved.forward.max(initial=-inf)),
        forward_jerk_mps3=_largest(moved.forward_jerk),
        yaw_rate_radps=_largest(moved.yaw_rate),
        yaw_acceleration_radps2=_largest(moved.yaw_acceleration),
    )


def motion(records: Sequence[TickRecord]) -> Motion | None:
    """The smoothed motion before any contact, or None where that is shorter than the filter."""
    free = before_contact(records)
    window = _window(records)
    if len(free) < window:
        return None
    step = _step_s(records)
    yaw = np.unwrap([record.ego.pose.yaw for record in free])
    velocity = np.array([record.ego.velocity[:2] for record in free])
    acceleration = _filtered(velocity, window, step, 1)
    cos, sin = np.cos(yaw), np.sin(yaw)
    forward = acceleration[:, 0] * cos + acceleration[:, 1] * sin
    return Motion(
        forward=forward,
        lateral=acceleration[:, 1] * cos - acceleration[:, 0] * sin,
        jerk=_filtered(np.hypot(acceleration[:, 0], acceleration[:, 1]), window, step, 1),
        forward_jerk=_filtered(forward, window, step, 1),
        yaw_rate=_filtered(yaw, window, step, 1),
        yaw_acceleration=_filtered(yaw, window, step, 2),
    )


def _filtered(values: FloatArray, window: int, step_s: float, derivative: int) -> FloatArray:
    return np.asarray(savgol_filter(values, window, 2, derivative, step_s, axis=0), np.float64)


def _window(records: Sequence[TickRecord]) -> int:
    """The filter's length in records: odd, as it must be, and at least 3."""
    step = _step_s(records)
    return 3 if step == 0 else max(3, 2 * round(WINDOW_S / step / 2) + 1)


def _step_s(records: Sequence[TickRecord]) -> float:
    return (records[1].time_us - records[0].time_us) / 1e6 if len(records) > 1 else 0.0


def _share(in_bounds: FloatArray, step_s: float) -> float | None:
    """The share of whole pieces without a record out of bounds; what is left over at the end counts in none."""
    length = round(PIECE_S / step_s)
    pieces = in_bounds[: len(in_bounds) // length * length].reshape(-1, length)
    return float(pieces.all(axis=1).mean()) if len(pieces) else None


def _largest(values: FloatArray) -> float:
    return float(np.abs(values).max())
