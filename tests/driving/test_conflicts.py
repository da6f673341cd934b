import math
from dataclasses import replace

import numpy as np
import pytest

from carla_cp.driving.conflicts import Conflict, Corridor, CorridorConfig
from carla_cp.driving.route import Route
from carla_cp.geometry import bev_corners
from carla_cp.types import FloatArray, ObjectClass, Track

CORRIDOR = Corridor(
    Route(np.array([(-50.0, 0.0), (100.0, 0.0)])), s_rear=45.0, s_front=50.0, half_width_m=1.0, config=CorridorConfig()
)


def track(
    x: float, y: float, vx: float = 0.0, vy: float = 0.0, yaw: float | None = None, label: ObjectClass | None = None
) -> Track:
    """A car of 4.6 x 2.0 m, or something half a metre wide."""
    size = (4.6, 2.0) if label is None else (0.5, 0.5)
    heading = math.atan2(vy, vx) if yaw is None else yaw
    return Track(1, label or ObjectClass.VEHICLE, x, y, 0.8, heading, vx, vy, *size, 1.6, 9, 0, 0.9)


def conflict_of(candidate: Track) -> Conflict | None:
    found = CORRIDOR.conflicts([candidate])
    return found[0] if found else None


def test_a_crossing_car_enters_and_leaves_at_the_computed_times() -> None:
    conflict = conflict_of(track(20.0, -30.0, vy=10.0))
    assert conflict is not None
    reach = 1.0 + 0.3 + 2.3  # half the ego, the margin, half the car's length
    assert conflict.enter_s == pytest.approx((30.0 - reach) / 10.0, abs=0.02)
    assert conflict.leave_s == pytest.approx((30.0 + reach) / 10.0, abs=0.11)
    assert (conflict.start_m, conflict.end_m) == pytest.approx((70.0 - 1.5, 70.0 + 1.5))


def test_a_slanted_crossing_equals_a_plain_loop_over_corners() -> None:
    candidate = track(15.0, -20.0, vx=4.0, vy=9.0)
    conflict = conflict_of(candidate)
    assert conflict is not None
    times = np.arange(0.0, 5.0, 0.01)
    inside = [t for t in times if touches_strip(corners_at(candidate, t), 1.3)]
    assert conflict.enter_s == pytest.approx(inside[0], abs=0.05)
    assert conflict.leave_s == pytest.approx(inside[-1], abs=0.12)


def corners_at(candidate: Track, time_s: float) -> FloatArray:
    x, y = candidate.x + candidate.vx * time_s, candidate.y + candidate.vy * time_s
    corners: FloatArray = bev_corners(np.array([[x, y, 0.0, candidate.length, candidate.width, 1.0, candidate.yaw]]))[0]
    return corners


def touches_strip(corners: FloatArray, half_width: float) -> bool:
    return bool(corners[:, 1].min() < half_width and corners[:, 1].max() > -half_width)


@pytest.mark.parametrize(
    "harmless",
    [
        track(20.0, -30.0),  # stands off the road
        track(20.0, -30.0, vy=-10.0),  # drives away
        track(20.0, -3.5, vx=-12.0, vy=0.4),  # oncoming in the next lane, noisily
        track(-30.0, -10.0, vy=8.0),  # crosses behind
        track(20.0, -60.0, vy=10.0),  # comes after the horizon
        track(20.0, 2.5, vy=-0.4, label=ObjectClass.PEDESTRIAN),  # waits at the kerb
    ],
)
def test_what_stays_outside_the_corridor_is_no_conflict(harmless: Track) -> None:
    assert conflict_of(harmless) is None


def test_a_walker_that_steps_out_is_a_conflict() -> None:
    conflict = conflict_of(track(15.0, 4.0, vy=-1.5, label=ObjectClass.PEDESTRIAN))
    assert conflict is not None
    assert conflict.enter_s == pytest.approx((4.0 - 1.3 - 0.25) / 1.5, abs=0.02)


def test_a_car_already_in_the_way_is_a_conflict_now() -> None:
    conflict = conflict_of(track(20.0, -1.0, vy=6.0))
    assert conflict is not None and conflict.enter_s == 0.0
    assert math.isfinite(conflict.leave_s)


def test_the_nearest_car_ahead_in_the_lane_leads() -> None:
    cars = [track(30.0, 0.5, vx=6.0), track(15.0, -0.4, vx=8.0), track(12.0, 3.5, vx=8.0), track(-9.0, 0.0, vx=8.0)]
    leader = CORRIDOR.leader(cars)
    assert leader is not None
    assert leader.gap_m == pytest.approx(15.0 - 2.3)
    assert leader.speed_mps == pytest.approx(8.0)


def test_a_standing_car_across_the_lane_leads_and_a_crossing_one_does_not() -> None:
    across = CORRIDOR.leader([track(15.0, 0.0, yaw=math.pi / 2)])
    assert across is not None and across.gap_m == pytest.approx(14.0) and across.speed_mps == 0.0
    assert CORRIDOR.leader([track(15.0, 0.0, vy=6.0)]) is None


def test_an_oncoming_car_in_the_lane_counts_as_standing() -> None:
    leader = CORRIDOR.leader([track(25.0, 0.0, vx=-5.0)])
    assert leader is not None and leader.speed_mps == 0.0


def test_a_box_that_only_grazes_the_corridor_must_be_well_known_to_lead() -> None:
    grazing = replace(track(20.0, 2.0), hits=4)  # reaches 0.3 m into the corridor
    assert CORRIDOR.leader([grazing]) is None
    assert CORRIDOR.leader([replace(grazing, hits=20)]) is not None
    assert CORRIDOR.leader([replace(grazing, hits=20, score=0.4)]) is None
    assert CORRIDOR.leader([replace(grazing, y=1.7)]) is not None


@pytest.mark.parametrize(("hits", "score", "counts"), [(2, 0.9, False), (3, 0.9, True), (9, 0.25, False)])
def test_a_track_hardly_seen_does_not_count(hits: int, score: float, counts: bool) -> None:
    standing = replace(track(20.0, 0.0), hits=hits, score=score)
    crossing = replace(track(20.0, -30.0, vy=10.0), hits=hits, score=score)
    assert (CORRIDOR.leader([standing]) is not None) is counts
    assert (conflict_of(crossing) is not None) is counts


def test_what_the_fusion_sees_at_the_ego_itself_does_not_lead() -> None:
    assert CORRIDOR.leader([track(-1.5, 0.0)]) is None  # world x of the route's s = 48.5, behind the front


def test_nothing_known_is_nothing_feared() -> None:
    assert CORRIDOR.conflicts([]) == () and CORRIDOR.leader([]) is None


AROUND = Corridor(
    Route(np.array([(-50, 0), (0, 0), (10, -3.5), (30, -3.5), (40, 0), (90, 0)]), against=[(55.0, 85.0)]),
    s_rear=20.0,
    s_front=25.0,
    half_width_m=1.0,
    config=CorridorConfig(),
)


def test_an_oncoming_car_in_whose_lane_the_route_leads_needs_that_stretch_to_its_end() -> None:
    (conflict,) = AROUND.conflicts([track(60.0, -3.5, vx=-10.0)])
    bend = math.hypot(10.0, 3.5)
    assert 48.0 < conflict.start_m < 50.0 + bend  # before it: half the other's length and a margin
    assert 50.0 + bend + 20.0 < conflict.end_m < 50.0 + 2 * bend + 20.0 + 3.0
    assert 1.8 < conflict.enter_s < 2.6 and 5.5 < conflict.leave_s < 6.2


def test_one_that_goes_the_same_way_there_or_stays_in_its_own_lane_is_no_conflict() -> None:
    assert AROUND.conflicts([track(15.0, -3.5, vx=10.0)]) == ()
    assert CORRIDOR.conflicts([track(60.0, -3.5, vx=-10.0)]) == ()


def test_an_oncoming_car_in_the_ego_s_own_lane_is_no_crossing() -> None:
    assert CORRIDOR.conflicts([track(60.0, 0.0, vx=-10.0)]) == ()
