"""When a sight begins, how long stopping takes, and what is left of the time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sights import RETURNS, Look, Spread, lasting_sight, sights_of, stopping_time

from carla_cp.types import AgentName, ComputeSpec
from tests.tools.drives import CONTACT_US, drive, intersection, looks, since

EGO = (AgentName("hero"),)


def first_s(*returns: int) -> float | None:
    """Seconds before the contact at which the ego's lasting sight begins."""
    found: Look | None = lasting_sight(looks({"hero": returns}), lambda look: look.seen_by(EGO))
    return None if found is None else (CONTACT_US - found.time_us) / 1e6


def test_a_sight_begins_with_enough_returns() -> None:
    assert first_s(0, RETURNS - 1, RETURNS, RETURNS, 200) == pytest.approx(0.2)
    assert first_s(0, 0, 0, RETURNS - 1) is None


def test_a_glimpse_that_makes_no_track_is_no_sight() -> None:
    assert first_s(100, 0, 0, 0, 0, 100, 100) == pytest.approx(0.1)
    assert first_s(100, 0, 100, 0, 0, 0, 100, 100) == pytest.approx(0.7)
    assert first_s(0, 0, 0, 100) is None


def test_a_sight_is_forgotten_when_a_track_has_died() -> None:
    assert first_s(100, 100, *[0] * 9, 100, 100) == pytest.approx(1.2)
    assert first_s(100, 100, *[0] * 10, 100, 100) == pytest.approx(0.1)
    assert first_s(100, 100, *[0] * 11) is None


def test_stopping_takes_the_braking_and_the_reaction() -> None:
    assert stopping_time(12.0) == pytest.approx(12.0 / (2 * 8.0) + 0.4 + 0.1)


def test_margins_are_what_is_left_of_the_first_sights() -> None:
    seen = sights_of(drive({"hero": since(8), "cav": since(31), "rsu_1": since(5)}))
    assert seen is not None
    assert (seen.ttc_solo_s, seen.ttc_team_s) == (pytest.approx(0.7), pytest.approx(3.0))
    assert seen.early == ("cav",)
    assert seen.t_stop_s == pytest.approx(1.125)
    assert seen.short_s == pytest.approx(0.425)
    assert seen.margin_s == pytest.approx(3.0 - (0.020 + 0.005 + 0.1) - 1.125)


def test_who_saw_it_early_and_lost_it_has_told_the_ego_all_the_same() -> None:
    passed = [100] * 5 + [0] * 45
    seen = sights_of(drive({"hero": since(8), "cav": passed, "rsu_1": [100] + [0] * 49}))
    assert seen is not None and seen.early == ("cav",)
    assert seen.ttc_team_s == pytest.approx(0.7)


def test_times_count_back_from_when_the_ego_is_in_the_hazards_way() -> None:
    plain = drive({"hero": since(8), "cav": since(31)})
    assert plain.contact is not None
    early = replace(plain, contact=replace(plain.contact, way_us=CONTACT_US - 900_000, way_speed_mps=4.0))
    seen = sights_of(early)
    assert seen is not None
    assert (seen.ttc_solo_s, seen.ttc_team_s) == (pytest.approx(-0.2), pytest.approx(2.1))
    assert seen.t_stop_s == pytest.approx(0.75)


def test_what_agents_compute_takes_time_of_the_team_and_of_the_ego() -> None:
    slow = replace(intersection(), compute=ComputeSpec(encode_ms=30.0, detect_ms=60.0))
    plain, seen = (sights_of(drive({"hero": since(8), "cav": since(31)}, item)) for item in (None, slow))
    assert plain is not None and seen is not None
    assert plain.margin_s - seen.margin_s == pytest.approx(0.09)
    assert seen.short_s - plain.short_s == pytest.approx(0.06)


def test_there_are_no_sights_without_a_contact_with_the_hazard() -> None:
    assert sights_of(drive({"hero": since(8)}, touched=None)) is None
    assert sights_of(drive({"hero": since(8)}, touched="occluder")) is None


def test_a_spread_is_least_median_and_greatest() -> None:
    assert str(Spread.of([3.0, 1.0, 1.5])) == "1.00/1.50/3.00"
