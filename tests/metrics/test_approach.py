"""Times to collision, exposure, needed braking and gaps, by hand. Cars are 4.6 m long and 1.9 m wide."""

from __future__ import annotations

import numpy as np
import pytest

from carla_cp.metrics import approach
from carla_cp.types import Collision, TickRecord

from .builders import record, state, thing


def meeting(*gaps: float, ego: float = 10.0, leader: float = 5.0) -> list[TickRecord]:
    """An ego behind a leader, with these gaps from bumper to bumper."""
    return [
        record(tick, state(0, speed=ego), [thing("leader", state(4.6 + gap, speed=leader))])
        for tick, gap in enumerate(gaps)
    ]


def test_a_head_on_approach_takes_the_gap_over_the_closing_speed() -> None:
    records = [record(0, state(0, speed=10), [thing("other", state(24.6, yaw=np.pi, speed=10))])]
    assert approach.min_time_to_collision(records) == pytest.approx(1.0)
    assert approach.min_time_to_leader(records) is None  # it does not lead


def test_a_car_that_passes_behind_is_never_approached() -> None:
    records = [record(0, state(0, speed=10), [thing("other", state(-10, -10, np.pi / 2, 3))])]
    assert approach.min_time_to_collision(records) is None
    assert approach.max_deceleration_to_avoid(records) is None


def test_a_leader_is_reached_after_its_gap_over_the_closing_speed() -> None:
    assert approach.min_time_to_leader(meeting(20.0, 15.0, 17.5)) == pytest.approx(3.0)  # 15 / (10 - 5)
    assert approach.min_time_to_collision(meeting(20.0, 15.0, 17.5)) == pytest.approx(3.0)
    assert approach.min_time_to_leader(meeting(20.0, leader=10.0)) is None


@pytest.mark.parametrize(("across", "leads"), [(1.89, True), (1.91, False)])
def test_a_leader_reaches_into_the_strip_that_the_ego_sweeps(across: float, leads: bool) -> None:
    records = [record(0, state(0, speed=10), [thing("other", state(24.6, across, speed=0))])]
    assert (approach.min_time_to_leader(records) is not None) is leads


def test_what_is_behind_or_crosses_leads_nobody() -> None:
    behind = record(0, state(0, speed=10), [thing("other", state(-24.6))])
    crossing = record(0, state(0, speed=10), [thing("other", state(20, yaw=np.pi / 2))])
    assert approach.min_time_to_leader([behind, crossing]) is None
    assert approach.min_time_to_leader([]) is None


def test_exposure_counts_the_time_under_the_threshold_and_how_far_under() -> None:
    records = meeting(10.0, 7.5, 5.0, 10.0, 2.5)  # TTC 2, 1.5, 1, 2, 0.5 s
    assert approach.times_to_collision(records) == pytest.approx([2.0, 1.5, 1.0, 2.0, 0.5])
    assert approach.time_exposed(records) == pytest.approx(3 * 0.05)
    assert approach.time_integrated(records) == pytest.approx(0.05 * (0.0 + 0.5 + 1.0))
    assert approach.time_exposed(records, 0.9) == pytest.approx(0.05)


def test_exposure_ends_with_the_first_contact_and_overlap_is_none() -> None:
    records = meeting(5.0, 5.0, 5.0)
    contact = record(1, state(0, speed=10), records[1].truth.objects, [Collision("leader", 7, 10.0)])
    assert approach.time_exposed([records[0], contact, records[2]]) == 0.0
    assert approach.time_exposed(meeting(9.0, -1.0)) == 0.0
    assert approach.time_exposed([]) == approach.time_integrated([]) == 0.0


def test_a_leader_asks_for_half_the_squared_closing_speed_over_the_gap() -> None:
    assert approach.max_deceleration_to_avoid(meeting(20.0, 5.0, 10.0)) == pytest.approx(25.0 / 10.0)


def test_what_crosses_asks_for_half_the_squared_speed_over_the_way_to_it() -> None:
    other = thing("other", state(22.3 + 0.95, -20.0, np.pi / 2, 10.0))  # its path begins 20 m ahead of the front
    records = [record(0, state(0, speed=10), [other])]
    assert approach.max_deceleration_to_avoid(records) == pytest.approx(100.0 / 40.0)


def test_what_comes_towards_the_ego_is_counted_as_standing_where_they_would_meet() -> None:
    other = thing("other", state(24.6, yaw=np.pi, speed=10))  # they meet after 1 s and 10 m
    assert approach.max_deceleration_to_avoid([record(0, state(0, speed=10), [other])]) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("ego_m", "ego", "leader_m", "leader", "ttc", "drac"),
    [
        (10.0, 20.0, 80.0, 8.0, 5.450000, 1.100917),
        (70.264043, 20.312194, 115.895, 15.8, 9.093350, 0.248104),
        (235.33515, 18.97599, 269.254429, 16.747114, 13.154286, 0.084721),
        (276.229074, 8.774097, 298.90827, 3.247114, 3.271079, 0.844826),
        (283.481567, 5.940526, 300.0, 0.0, 2.006293, 1.480473),
        (288.142313, 3.592169, 300.0, 0.0, 2.020419, 0.888966),
    ],
)
def test_a_leader_s_ttc_and_drac_are_those_that_sumo_s_ssm_device_wrote(
    ego_m: float, ego: float, leader_m: float, leader: float, ttc: float, drac: float
) -> None:
    # SUMO 1.28: front bumpers and speeds of two cars of 4.6 m, one of which stops; six of 500 steps, which all agree.
    records = [record(0, state(ego_m, speed=ego), [thing("leader", state(leader_m, speed=leader))])]
    assert approach.min_time_to_leader(records) == pytest.approx(ttc, rel=1e-5)
    assert approach.min_time_to_collision(records) == pytest.approx(ttc, rel=1e-5)
    assert approach.max_deceleration_to_avoid(records) == pytest.approx(drac, rel=1e-4)


def test_without_objects_there_is_neither_a_gap_nor_a_time_to_collision() -> None:
    records = [record(0, state(0, speed=10))]
    assert approach.min_time_to_collision(records) is None
    assert approach.min_gap(records) is None
    assert approach.gaps_to_nearest(records) == (None,)
    assert approach.max_deceleration_to_avoid(records) is None


def test_the_least_gap_is_taken_over_all_ticks_and_objects() -> None:
    far, near = thing("far", state(30), 1), thing("near", state(14.6), 2)
    records = [record(0, state(0), [far, near]), record(1, state(5), [far, near])]
    assert approach.min_gap(records) == pytest.approx(5.0)
    assert approach.min_gap(records, "far") == pytest.approx(20.4)
    assert approach.min_gap(records, "nobody") is None
    assert approach.gaps_to_nearest([*records, record(2, state(0))]) == (pytest.approx(10.0), pytest.approx(5.0), None)
    assert approach.gaps_to_nearest(records, "far") == pytest.approx((25.4, 20.4))
    assert approach.gaps_to_nearest([]) == ()
