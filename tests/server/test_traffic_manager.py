"""CARLA's own TrafficManager, which runs in the official client, drives cars on our maps."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.server.conftest import MAPS

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from check_traffic import LANE_M, Outcome, limit_s, run
from traffic_run import TrafficPlan


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """Eight cars for 30 s on a map with a signalised and an unsignalised junction, in a process of its own."""
    return run(TrafficPlan(MAPS / "train_two.xodr", cars=8, ticks=600, seed=3))


def test_the_client_lives_and_no_car_is_lost(outcome: Outcome) -> None:
    assert outcome.deaths == ()
    assert outcome.result is not None
    assert outcome.result.findings.ticks == 600
    assert outcome.result.findings.least_cars >= 7
    assert outcome.result.findings.removed == 0


def test_cars_cross_junctions_and_none_stands_longer_than_its_light(outcome: Outcome) -> None:
    assert outcome.result is not None
    assert outcome.result.findings.crossings >= 5
    assert outcome.result.findings.mean_speed_mps > 2.0
    assert outcome.result.findings.longest_stop_s < limit_s(outcome.result)


def test_cars_keep_to_the_middle_of_their_lanes_and_to_themselves(outcome: Outcome) -> None:
    assert outcome.result is not None
    found = outcome.result.findings
    assert found.straight_m[1] < LANE_M
    assert found.touches == ()
