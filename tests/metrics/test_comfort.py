"""Comfort, on motions whose derivatives are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from carla_cp.metrics.comfort import Comfort, Motion, comfort
from carla_cp.types import Collision, Pose, TickRecord

from .builders import record, state

STEP_S = 0.05


def drive(speed: Callable[[float], float], yaw: Callable[[float], float], ticks: int = 120) -> list[TickRecord]:
    """An ego with a speed and a heading over time, 0 at the first record."""
    times = [STEP_S * tick for tick in range(ticks)]
    return [record(tick, state(0, yaw=yaw(t), speed=speed(t))) for tick, t in enumerate(times)]


def straight(time: float) -> float:
    return 0.3


def test_steady_braking_is_its_deceleration_and_nothing_else() -> None:
    found = comfort(drive(lambda t: 20.0 - 3.0 * t, straight))
    assert found.hardest_brake_mps2 == pytest.approx(-3.0)
    assert found.hardest_push_mps2 == pytest.approx(-3.0)
    for value in (found.lateral_mps2, found.jerk_mps3, found.forward_jerk_mps3, found.yaw_rate_radps):
        assert value == pytest.approx(0.0, abs=1e-9)
    assert found.share == 1.0


def test_a_growing_acceleration_has_its_jerk() -> None:
    found = comfort(drive(lambda t: 5.0 + 0.2 * t**2, straight, 100))
    assert found.forward_jerk_mps3 == pytest.approx(0.4)
    assert found.jerk_mps3 == pytest.approx(0.4)


def test_a_circle_has_its_yaw_rate_and_speed_times_that_to_the_side() -> None:
    found = comfort(drive(lambda t: 8.0, lambda t: 3.0 + 0.4 * t))  # over the seam at pi
    assert found.yaw_rate_radps == pytest.approx(0.4)
    assert found.yaw_acceleration_radps2 == pytest.approx(0.0, abs=1e-9)
    assert found.lateral_mps2 == pytest.approx(3.2, rel=0.02)


def test_headings_that_jump_by_a_turn_are_no_rotation() -> None:
    circle = drive(lambda t: 8.0, lambda t: 0.4 * t)
    wrapped = [
        replace(item, ego=replace(item.ego, pose=Pose(yaw=item.ego.pose.yaw + 2 * math.pi * (item.tick % 2))))
        for item in circle
    ]
    assert comfort(wrapped).yaw_rate_radps == pytest.approx(0.4)


def test_a_growing_yaw_rate_has_its_acceleration() -> None:
    assert comfort(drive(lambda t: 1.0, lambda t: 0.5 * 0.6 * t**2, 60)).yaw_acceleration_radps2 == pytest.approx(0.6)


def test_the_share_is_of_whole_pieces_of_two_seconds() -> None:
    def speed(time: float) -> float:
        return 30.0 - 5.0 * max(0.0, time - 4.5)  # braked too hard in the third piece of three

    assert comfort(drive(speed, straight, 120)).share == pytest.approx(2 / 3)
    assert comfort(drive(speed, straight, 119)).share == 1.0  # the third is not whole
    assert comfort(drive(speed, straight, 39)).share is None


@pytest.mark.parametrize(
    ("speed", "yaw", "good"),
    [
        (lambda t: 30.0 - 4.0 * t, straight, True),
        (lambda t: 30.0 - 4.1 * t, straight, False),
        (lambda t: 1.0 + 2.5 * t, straight, False),
        (lambda t: 10.0, lambda t: 0.48 * t, True),
        (lambda t: 10.0, lambda t: 0.50 * t, False),  # 5.0 to the side
    ],
)
def test_a_drive_within_the_bounds_is_comfortable(
    speed: Callable[[float], float], yaw: Callable[[float], float], good: bool
) -> None:
    assert comfort(drive(speed, yaw, 40)).share == (1.0 if good else 0.0)


def still(
    forward: float = 0.0,
    lateral: float = 0.0,
    jerk: float = 0.0,
    forward_jerk: float = 0.0,
    yaw_rate: float = 0.0,
    yaw_acceleration: float = 0.0,
) -> Motion:
    """One record of this motion."""
    return Motion(*(np.array([value]) for value in (forward, lateral, jerk, forward_jerk, yaw_rate, yaw_acceleration)))


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        (still(forward=-4.05), still(forward=-4.06)),
        (still(forward=2.40), still(forward=2.41)),
        (still(lateral=-4.89), still(lateral=-4.90)),
        (still(jerk=8.37), still(jerk=8.38)),
        (still(forward_jerk=-4.13), still(forward_jerk=-4.14)),
        (still(yaw_rate=0.95), still(yaw_rate=0.96)),
        (still(yaw_acceleration=-1.93), still(yaw_acceleration=-1.94)),
    ],
)
def test_each_of_the_six_bounds_is_nuplan_s_on_both_sides(inside: Motion, outside: Motion) -> None:
    assert inside.in_bounds().tolist() == [1.0]
    assert outside.in_bounds().tolist() == [0.0]


def test_it_ends_at_a_contact_and_is_undefined_for_less_than_the_filter() -> None:
    gentle = drive(lambda t: 10.0, straight, 60)
    crashed = replace(
        gentle[45],
        ego=state(0, yaw=0.3, speed=0.0),
        truth=replace(gentle[45].truth, collisions=(Collision("x", 7, 9.0),)),
    )
    assert comfort([*gentle[:45], crashed, *gentle[46:]]).jerk_mps3 == pytest.approx(0.0, abs=1e-9)
    nothing = Comfort(None, None, None, None, None, None, None, None)
    assert comfort(gentle[:12]) == nothing != comfort(gentle[:13])
    assert comfort([]) == comfort(gentle[:1]) == nothing
