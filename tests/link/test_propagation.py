"""Against the formulas of TR 37.885, Table 6.2.1-1, with numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from carla_cp.link.base import Luck
from carla_cp.link.propagation import Propagation, decorrelation_m, obstruction, path_loss_db, vehicle_loss_db
from carla_cp.link.reception import NOISE_DBM
from carla_cp.types import Pose
from tests.link.carrying import CAR, EGO, RSU, around

TRUCK = (50.0, 0.0, 1.5, 8.0, 2.5, 3.0, 0.0)
HOUSE = (50.0, 0.0, 5.0, 10.0, 10.0, 10.0, 0.0)


@pytest.mark.parametrize(
    ("distance", "ghz", "environment", "corner", "expected"),
    [
        (100.0, 5.9, "urban", False, 38.77 + 33.4 + 14.0295),
        (10.0, 1.0, "urban", False, 55.47),
        (100.0, 5.9, "highway", False, 32.4 + 40.0 + 15.4170),
        (1000.0, 10.0, "highway", False, 112.4),
        (100.0, 5.9, "urban", True, 36.85 + 60.0 + 14.5691),
        (10.0, 1.0, "highway", True, 66.85),
        (0.2, 1.0, "urban", False, 38.77),  # no nearer than 1 m
    ],
)
def test_the_path_loss_is_the_table_s(
    distance: float, ghz: float, environment: str, corner: bool, expected: float
) -> None:
    assert path_loss_db(distance, ghz, environment, corner) == pytest.approx(expected, abs=1e-3)


def test_23_dbm_arrive_as_strong_as_the_numbers_that_others_print() -> None:
    for distance, corner, snr in ((50, False, 36.8), (200, False, 26.8), (50, True, 15.6), (150, True, 1.3)):
        assert 23.0 - path_loss_db(distance, 5.9, "urban", corner) - NOISE_DBM == pytest.approx(snr, abs=0.06)


def test_a_vehicle_costs_by_its_height_between_the_antennas() -> None:
    assert vehicle_loss_db(100.0, (1.9, 5.0), 1.6, 3.0) == 0.0, "lower than both"
    assert vehicle_loss_db(100.0, (1.6, 1.9), 3.0, 0.0) == 9.0, "higher than both"
    assert vehicle_loss_db(100.0, (1.9, 5.0), 3.0, 0.0) == 5.0, "between"
    assert vehicle_loss_db(100.0, (5.0, 1.9), 3.0, 1.0) == 9.0
    assert vehicle_loss_db(100.0, (1.6, 1.6), 3.0, -3.0) == 0.0, "never a gain"
    assert vehicle_loss_db(1000.0, (1.6, 1.6), 3.0, 0.0) == pytest.approx(9.0 + 45.0 - 41.0)


def test_what_stands_between_is_the_tallest_body_and_never_the_ends_own() -> None:
    places = ((EGO, Pose(z=1.6)), (RSU, Pose(x=100.0, z=1.6)))
    own, car = (0.0, 0.0, 0.8, 4.5, 1.9, 1.7, 0.0), (30.0, 0.0, 0.85, 4.5, 1.9, 1.7, 0.0)
    here = around(*places, bodies=[own, car, TRUCK], owners=["ego", "taxi", "truck"])
    assert (obstruction(here, 0, 1).owner, obstruction(here, 0, 1).top_m) == ("truck", 3.0)
    alone = obstruction(around(*places, bodies=[own], owners=["ego"]), 0, 1)
    assert alone.free and alone.owner is None
    behind = obstruction(around(*places, buildings=[HOUSE]), 0, 1)
    assert behind.corner and not behind.free


def losses(x: float, bodies: Sequence[Sequence[float]] = (), houses: Sequence[Sequence[float]] = ()) -> list[float]:
    """Between two antennas 1.6 m high and x metres apart, over seeds."""
    there = around(
        (EGO, Pose(z=1.6)), (RSU, Pose(x=x, z=1.6)), bodies=bodies, owners=["truck"] * len(bodies), buildings=houses
    )
    return [float(Propagation("urban", Luck(seed)).losses_db(there, 0)[0, 1]) for seed in range(300)]


def test_over_seeds_the_loss_has_the_table_s_mean_and_deviation() -> None:
    free, behind, corner = losses(100.0), losses(100.0, [TRUCK]), losses(100.0, houses=[HOUSE])
    assert np.mean(free) == pytest.approx(path_loss_db(100.0, 5.9, "urban", False), abs=0.6)
    assert np.std(free) == pytest.approx(3.0, rel=0.12)
    assert np.mean(behind) - np.mean(free) == pytest.approx(9.0, abs=0.9)
    assert np.std(behind) == pytest.approx(math.hypot(3.0, 4.5), rel=0.12)
    assert np.mean(corner) == pytest.approx(path_loss_db(100.0, 5.9, "urban", True), abs=0.8)
    assert np.std(corner) == pytest.approx(4.0, rel=0.12)


def test_shadowing_stays_where_nobody_moves_and_fades_over_the_way_of_both() -> None:
    def after(moved: float) -> tuple[list[float], list[float]]:
        before, later = [], []
        for seed in range(300):
            waves = Propagation("urban", Luck(seed))
            for time_us, x, found in ((0, 0.0, before), (100_000, moved / 2, later)):
                there = around((EGO, Pose(x=-x, z=1.6)), (RSU, Pose(x=40.0 + x, z=1.6)))
                loss = float(waves.losses_db(there, time_us)[0, 1])
                found.append(loss - path_loss_db(40.0 + 2 * x, 5.9, "urban", False))
        return before, later

    assert after(0.0)[0] == pytest.approx(after(0.0)[1])
    assert np.corrcoef(*after(10.0))[0, 1] == pytest.approx(math.exp(-1.0), abs=0.1)
    assert [decorrelation_m(*state) for state in (("urban", True), ("urban", False), ("highway", True))] == [10, 13, 25]


def test_both_directions_lose_the_same_and_another_agent_changes_nothing() -> None:
    two = ((EGO, Pose(z=1.6)), (RSU, Pose(x=60.0, z=5.0)))
    pair = Propagation("urban", Luck(3)).losses_db(around(*two), 7)
    turned = Propagation("urban", Luck(3)).losses_db(around((CAR, Pose(y=30.0, z=1.6)), two[1], two[0]), 7)
    assert pair[0, 1] == pair[1, 0] == turned[1, 2]
