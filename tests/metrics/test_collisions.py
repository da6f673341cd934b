"""Collisions, merged and judged as CARLA's Leaderboard does."""

from __future__ import annotations

import math

import pytest

from carla_cp.metrics.collisions import before_contact, collisions
from carla_cp.types import Collision, ObjectClass, TickRecord

from .builders import record, state, thing


def drive(hits: dict[int, tuple[int, float]], metres_per_tick: float = 0.0, ticks: int = 260) -> list[TickRecord]:
    """An ego that at some ticks is in contact: tick to the other's id and the ego's speed."""
    return [
        record(tick, state(tick * metres_per_tick), (), [Collision("x", *hits[tick])] if tick in hits else [])
        for tick in range(ticks)
    ]


def times(records: list[TickRecord]) -> list[float]:
    return [item.t_s for item in collisions(records)]


def test_contacts_with_the_actor_hit_last_are_one_collision_for_five_seconds_from_its_start() -> None:
    moving = 0.3  # so that the ego has left the 5 m around the place long before
    assert times(drive({0: (7, 4.0), 60: (7, 4.0), 100: (7, 4.0)}, moving)) == [0.0]
    assert times(drive({0: (7, 4.0), 60: (7, 4.0), 101: (7, 4.0)}, moving)) == [0.0, 5.05]


def test_another_actor_hit_in_between_makes_the_first_count_again() -> None:
    assert times(drive({0: (7, 4.0), 30: (8, 4.0), 60: (7, 4.0)}, 0.3)) == [0.0, 1.5, 3.0]


def test_whatever_is_hit_within_five_metres_of_the_last_place_is_the_same_collision() -> None:
    assert times(drive({0: (7, 4.0), 20: (8, 4.0), 50: (9, 4.0)}, 0.1)) == [0.0]
    assert times(drive({0: (7, 4.0), 20: (8, 4.0), 51: (9, 4.0)}, 0.1)) == [0.0, 2.55]


def test_the_map_goes_by_no_number_and_is_told_apart_by_place_alone() -> None:
    assert times(drive({0: (0, 4.0), 60: (0, 4.0)}, 0.3)) == [0.0, 3.0]


@pytest.mark.parametrize(("speed", "fault"), [(0.09, False), (0.1, True), (9.0, True)])
def test_a_standing_ego_is_not_at_fault(speed: float, fault: bool) -> None:
    (found,) = collisions(drive({0: (7, speed)}))
    assert found.at_fault is fault


def test_a_contact_of_the_standing_ego_hides_no_later_one_of_its_fault_but_is_part_of_an_earlier_one() -> None:
    assert [item.at_fault for item in collisions(drive({0: (7, 0.0), 10: (7, 3.0), 20: (7, 0.0)}))] == [False, True]


def test_the_impact_is_the_speed_relative_to_the_other_just_before() -> None:
    other = thing("a", state(3.0, -3.0, math.pi / 2, 9.0), 7, ObjectClass.CYCLIST)
    stopped = thing("a", state(3.0, -1.0, math.pi / 2, 0.0), 7, ObjectClass.CYCLIST)
    records = [
        record(0, state(0, speed=12.0), [other]),
        record(1, state(0.6, speed=2.0), [stopped], [Collision("a", 7, 12.0)]),
    ]
    (found,) = collisions(records)
    assert (found.speed_mps, found.label) == (12.0, ObjectClass.CYCLIST)
    assert found.impact_mps == pytest.approx(15.0)  # 9, 12, 15
    (wall,) = collisions([record(0, state(0), [], [Collision("static.wall", 0, 4.0)])])
    assert (wall.impact_mps, wall.label) == (4.0, None)


def test_driving_ends_at_the_first_contact() -> None:
    records = drive({3: (7, 4.0)}, ticks=6)
    assert list(before_contact(records)) == records[:3]
    assert list(before_contact(records[:3])) == records[:3]
    assert collisions([]) == ()
