"""Awareness and ages, by hand. The first record is at 3 s, and one follows every 0.05 s."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carla_cp.metrics.awareness import Age, age_of_information, age_of_targets, time_to_awareness, whom
from carla_cp.types import AgentName, ObjectClass, Outcome, TickRecord

from .builders import record, state, thing, track, transmission

EGO = AgentName("ego")
START_US = 3_000_000


def test_awareness_counts_from_the_trigger_to_the_first_track_of_the_right_class_nearby() -> None:
    hazard = thing("walker", state(20), 3, ObjectClass.PEDESTRIAN)
    wrong, far = track(20, 0, ObjectClass.VEHICLE), track(23.1, 0, ObjectClass.PEDESTRIAN)
    right = track(22.9, 0, ObjectClass.PEDESTRIAN)
    seen = [(), (wrong,), (far,), (), (right,)]
    records = [record(i, state(0), [hazard], tracks=seen[i], hazard_active=i >= 1) for i in range(5)]
    assert time_to_awareness(records, "walker") == pytest.approx(0.15)
    assert time_to_awareness(records[:4], "walker") is None
    assert time_to_awareness(records, "someone_else") is None
    assert time_to_awareness(records, None) is None


def test_a_track_is_on_the_body_that_it_lies_on_and_not_on_whom_it_is_nearer_to() -> None:
    lorry, passing = thing("lorry", replace(state(20, 3.2), length=12.0), 4), thing("hazard", state(24, 0), 3)
    objects = [passing, lorry]
    assert whom(track(25, 2.6), objects) is None  # on the lorry's front, far from its middle
    assert whom(track(21, 2.6), objects) is lorry
    assert whom(track(24.5, 0.9), objects) is passing
    assert whom(track(24.5, 1.4), objects) is passing  # between the two, nearer to the car
    assert whom(track(24.5, 0.9, ObjectClass.CYCLIST), objects) is None
    records = [record(0, state(0), objects, tracks=[track(25, 2.6)], hazard_active=True)]
    assert time_to_awareness(records, "hazard") is None


def test_awareness_before_the_trigger_is_negative_and_without_a_trigger_undefined() -> None:
    hazard = thing("car", state(20), 3)
    records = [record(i, state(0), [hazard], tracks=[track(20, 0)], hazard_active=i >= 4) for i in range(6)]
    assert time_to_awareness(records, "car") == pytest.approx(-0.2)
    assert time_to_awareness(records[:4], "car") is None


def test_information_ages_until_a_newer_message_is_fused() -> None:
    sent = {1: [START_US], 3: [START_US + 100_000]}
    records = [
        record(tick, state(0), transmissions=[transmission("a", time_us, 100) for time_us in sent.get(tick, [])])
        for tick in range(5)
    ]
    # nothing, 0.05, 0.10, then 0.15 - 0.10, 0.20 - 0.10
    age = age_of_information(records, EGO)
    assert age.mean_s == pytest.approx((0.05 + 0.10 + 0.05 + 0.10) / 4)
    assert age.max_s == pytest.approx(0.10)


def test_every_sender_has_its_own_age_and_an_older_message_renews_none() -> None:
    first = [transmission("a", START_US, 100), transmission("b", START_US - 50_000, 100)]
    late = [transmission("a", START_US - 100_000, 100)]
    age = age_of_information([record(0, state(0), transmissions=first), record(1, state(0), transmissions=late)], EGO)
    assert age.mean_s == pytest.approx((0.0 + 0.05 + 0.05 + 0.10) / 4)
    assert age.max_s == pytest.approx(0.10)


def test_what_was_not_fused_or_was_for_another_tells_the_ego_nothing() -> None:
    lost = [transmission("a", START_US, 100, outcome) for outcome in Outcome if outcome is not Outcome.DELIVERED]
    asked = transmission("ego", START_US, 20, receiver="a")
    assert age_of_information([record(0, state(0), transmissions=[*lost, asked])], EGO) == Age(None, None)


def hazard_drive(seen_us: dict[int, int], ticks: int = 8) -> list[TickRecord]:
    """A standing ego and a hazard that comes to it and goes again, nearest at tick 5, active from tick 2."""
    return [
        record(
            tick,
            state(0),
            [thing("hazard", state(20.0 + abs(tick - 5)))],
            tracks=[track(20.0 + abs(tick - 5), 0.0, seen_us=START_US + seen_us[tick])] if tick in seen_us else [],
            hazard_active=tick >= 2,
        )
        for tick in range(ticks)
    ]


def test_an_unseen_hazard_ages_from_its_trigger_until_it_is_nearest() -> None:
    age = age_of_targets(hazard_drive({}), "hazard")
    assert age.mean_s == pytest.approx((0.0 + 0.05 + 0.10 + 0.15) / 4)
    assert age.max_s == pytest.approx(0.15)


def test_a_seen_hazard_is_as_old_as_its_newest_observation_also_when_its_track_is_lost() -> None:
    age = age_of_targets(hazard_drive({1: 50_000, 3: 100_000}), "hazard")
    # ticks 2 to 5: 0.10 - 0.05, 0.15 - 0.10, 0.20 - 0.10, 0.25 - 0.10
    assert age.mean_s == pytest.approx((0.05 + 0.05 + 0.10 + 0.15) / 4)


def test_whom_the_ego_is_about_to_hit_is_relevant_and_nobody_else() -> None:
    def drive(gap: float) -> list[TickRecord]:
        return [record(tick, state(0, speed=10), [thing("car", state(gap + 4.6))]) for tick in range(3)]

    assert age_of_targets(drive(29.0), None).max_s == pytest.approx(0.10)
    assert age_of_targets(drive(31.0), None) == Age(None, None)
    prop = record(0, state(0, speed=10), [thing("cone", state(20), label=None)])
    assert age_of_targets([prop], None) == Age(None, None)
    assert age_of_targets([], "hazard") == Age(None, None)
