"""When a body gets in another's way: crossing, oncoming, and behind one another."""

from __future__ import annotations

import math

import numpy as np
from conflict_area import in_the_way_since

from carla_cp.types import FloatArray

STEP_S = 0.1


def course(x: float, y: float, vx: float, vy: float, count: int = 31) -> FloatArray:
    """A car of 4 x 2 m at so many times."""
    times = STEP_S * np.arange(count)
    boxes = np.tile(np.array([x, y, 0.8, 4.0, 2.0, 1.6, math.atan2(vy, vx)]), (count, 1))
    boxes[:, 0] += vx * times
    boxes[:, 1] += vy * times
    return boxes


def test_one_that_crosses_is_met_where_its_corridor_begins() -> None:
    own, other = course(-30.0, 0.0, 10.0, 0.0), course(0.0, -33.0, 0.0, 10.0)
    # The corridor is 1 m to either side of x = 0, the own front 2 m ahead of its middle: at 2.7 s.
    assert in_the_way_since(own, other, (0.0, 10.0), STEP_S) == 28


def test_a_lane_against_an_oncoming_car_is_its_way_long_before_they_meet() -> None:
    own, other = course(-20.0, 0.0, 5.0, 0.0), course(34.0, 0.0, -10.0, 0.0)
    own[:15, 1] = 3.5  # beside it until 1.5 s
    assert in_the_way_since(own, other, (-10.0, 0.0), STEP_S) == 15


def test_one_behind_another_or_before_one_that_stands_is_in_nobodys_way_until_they_touch() -> None:
    own = course(0.0, 0.0, 10.0, 0.0)
    assert in_the_way_since(own, course(18.2, 0.0, 5.0, 0.0), (5.0, 0.0), STEP_S) == 29
    assert in_the_way_since(own, course(33.5, 0.0, 0.0, 0.0), (0.0, 0.0), STEP_S) == 30


def test_one_that_is_never_in_the_way_counts_from_the_end() -> None:
    own, other = course(0.0, 0.0, 10.0, 0.0), course(0.0, 50.0, 10.0, 0.0)
    assert in_the_way_since(own, other, (10.0, 0.0), STEP_S) == 30
