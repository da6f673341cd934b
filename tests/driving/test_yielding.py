import math

import pytest

from carla_cp.driving.conflicts import Conflict
from carla_cp.driving.yielding import EgoMotion, YieldConfig, Yielding, stop_demand, travel_time
from carla_cp.types import ObjectClass, Track

CONFIG = YieldConfig()
GREEN = EgoMotion(s_front=0.0, length=4.9, speed=12.0, desired=12.0, priority_yaw=0.0)
NO_LIGHT = EgoMotion(s_front=0.0, length=4.9, speed=12.0, desired=12.0, priority_yaw=None)


def crossing(
    speed: float,
    enter_s: float,
    update: int,
    start_m: float = 24.0,
    heading: float = math.pi / 2,
    label: ObjectClass = ObjectClass.VEHICLE,
    hits: int = 9,
) -> Conflict:
    vx, vy = speed * math.cos(heading), speed * math.sin(heading)
    track = Track(1, label, 0.0, 0.0, 0.8, heading, vx, vy, 4.5, 1.9, 1.5, hits, update * 100_000, 0.9)
    return Conflict(track, enter_s, enter_s + 0.6, start_m, start_m + 3.0)


def decide(yielding: Yielding, conflict: Conflict, ego: EgoMotion = GREEN) -> bool:
    return yielding.choose([conflict], ego, [conflict.track]) is not None


def test_a_car_that_can_still_stop_at_its_red_light_is_trusted() -> None:
    yielding = Yielding(CONFIG)
    assert not any(decide(yielding, crossing(13.0, 2.6, update)) for update in range(5))


def test_a_car_that_can_no_longer_stop_is_yielded_to_after_two_updates() -> None:
    yielding = Yielding(CONFIG)
    assert not decide(yielding, crossing(13.0, 2.1, 1))
    assert not decide(yielding, crossing(13.0, 2.1, 1)), "the same update twice is no confirmation"
    assert decide(yielding, crossing(13.0, 2.0, 2))


def test_an_imminent_violator_is_yielded_to_at_once() -> None:
    assert decide(Yielding(CONFIG), crossing(13.0, 1.4, 1, start_m=20.0))


def test_without_a_green_light_nobody_is_trusted() -> None:
    yielding = Yielding(CONFIG)
    decide(yielding, crossing(8.0, 2.4, 1), NO_LIGHT)
    assert decide(yielding, crossing(8.0, 2.3, 2), NO_LIGHT)


@pytest.mark.parametrize(("heading", "label"), [(math.pi - 0.3, ObjectClass.VEHICLE), (1.5, ObjectClass.PEDESTRIAN)])
def test_oncoming_cars_and_walkers_are_not_trusted(heading: float, label: ObjectClass) -> None:
    yielding = Yielding(CONFIG)
    decide(yielding, crossing(1.5, 2.4, 1, heading=heading, label=label))
    assert decide(yielding, crossing(1.5, 2.3, 2, heading=heading, label=label))


def test_who_passes_well_before_or_after_is_no_conflict() -> None:
    yielding = Yielding(CONFIG)
    for update in range(4):
        assert not decide(yielding, crossing(8.0, 0.3, update, start_m=40.0), NO_LIGHT)
    for update in range(4, 8):
        assert not decide(yielding, crossing(8.0, 4.0, update, start_m=15.0), NO_LIGHT)


def test_a_speed_from_few_hits_accuses_nobody() -> None:
    yielding = Yielding(CONFIG)
    assert not any(decide(yielding, crossing(15.0, 1.6, update, hits=update + 1)) for update in range(3))


def test_a_visible_braking_earns_trust() -> None:
    steady, braking = Yielding(CONFIG), Yielding(CONFIG)
    for update in range(12):
        decide(steady, crossing(11.0, 4.0, update))
        decide(braking, crossing(14.0 - 0.25 * update, 4.0, update))
    for update in (12, 13):
        accused = decide(steady, crossing(11.0, 1.8, update))
        trusted = not decide(braking, crossing(11.0, 1.8, update))
    assert accused and trusted


def test_a_decision_to_yield_outlives_one_doubtful_update() -> None:
    yielding = Yielding(CONFIG)
    for update in (1, 2):
        decide(yielding, crossing(13.0, 2.0, update))
    assert decide(yielding, crossing(7.0, 2.9, 3)), "one update of doubt"
    assert not decide(yielding, crossing(7.0, 2.9, 4)), "two"


def test_an_ego_in_the_area_drives_out_of_it() -> None:
    inside = EgoMotion(s_front=26.0, length=4.9, speed=8.0, desired=12.0, priority_yaw=None)
    assert not decide(Yielding(CONFIG), crossing(13.0, 0.4, 1, start_m=24.0), inside)


def test_a_slow_ego_with_its_nose_in_the_margin_waits() -> None:
    waiting = EgoMotion(s_front=24.3, length=4.9, speed=0.2, desired=12.0, priority_yaw=None)
    assert decide(Yielding(CONFIG), crossing(13.0, 0.4, 1, start_m=24.0), waiting)


def test_stop_demand_is_the_physics_of_the_stop_line() -> None:
    assert stop_demand(crossing(13.0, 2.5, 1), CONFIG) == pytest.approx(13.0**2 / 2 / (32.5 - 4.5))
    assert stop_demand(crossing(13.0, 0.3, 1), CONFIG) == math.inf


def test_travel_time_speeds_up_to_the_desired_speed_only() -> None:
    assert travel_time(24.0, 12.0, 1.0, 12.0) == pytest.approx(2.0)
    assert travel_time(0.5, 0.0, 1.0, 12.0) == pytest.approx(1.0)
    assert travel_time(72.0 + 24.0, 0.0, 1.0, 12.0) == pytest.approx(12.0 + 2.0)
    assert travel_time(-1.0, 5.0, 1.0, 12.0) == 0.0
