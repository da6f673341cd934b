"""The Leaderboard's driving scores, by hand from its tables."""

from __future__ import annotations

import pytest

from carla_cp.metrics.infractions import Infractions
from carla_cp.metrics.leaderboard import driving_score, route_completion
from carla_cp.types import EpisodeEnd

from .builders import record, state


def found(
    pedestrian: int = 0,
    vehicle: int = 0,
    static: int = 0,
    red: int = 0,
    outside: float = 0.0,
    slow: tuple[float, ...] = (),
) -> Infractions:
    return Infractions(pedestrian, vehicle, static, red, outside, slow)


@pytest.mark.parametrize(
    ("wrongs", "lb1", "lb20", "lb21"),
    [
        (found(), 100.0, 100.0, 100.0),
        (found(pedestrian=1), 50.0, 50.0, 50.0),
        (found(vehicle=1), 60.0, 60.0, 100 / 1.7),
        (found(vehicle=3), 21.6, 21.6, 100 / 3.1),
        (found(static=1), 65.0, 65.0, 62.5),
        (found(red=2), 49.0, 49.0, 100 / 1.8),
        (found(outside=0.25), 75.0, 75.0, 75.0),
        (found(slow=(50.0,)), 100.0, 85.0, 100 / 1.2),
        (found(slow=(50.0, 0.0)), 100.0, 59.5, 100 / 1.6),
        (found(vehicle=1, red=1, outside=0.5), 21.0, 21.0, 50 / 2.1),
    ],
)
def test_each_infraction_costs_what_its_leaderboard_says(
    wrongs: Infractions, lb1: float, lb20: float, lb21: float
) -> None:
    score = driving_score(1.0, wrongs)
    assert [score.lb1, score.lb20, score.lb21] == pytest.approx([lb1, lb20, lb21])


def test_completion_scales_the_score() -> None:
    score = driving_score(0.5, found(red=1))
    assert [score.lb1, score.lb20, score.lb21] == pytest.approx([35.0, 35.0, 50 / 1.4])


def test_an_episode_that_ends_at_the_route_s_end_completed_it() -> None:
    records = [record(0, state(0), fraction=0.4), record(1, state(0), fraction=0.97)]
    assert route_completion(records, EpisodeEnd.TIMEOUT) == 0.97
    assert route_completion(records, EpisodeEnd.ROUTE) == 1.0
