"""The time that is left: from the episodes most like those that are to come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from carla_cp.codecs import parse_choice
from carla_cp.forecast import TICK_S, Forecast
from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.scenario import load_scenario
from carla_cp.session import Task
from tests.metrics.summaries import crossed

INTERSECTION = load_scenario(Path(__file__).resolve().parent.parent / "scenarios" / "intersection.xml")


def task(codec: str, seed: int, scenario: str = "intersection") -> Task:
    return Task(replace(INTERSECTION, name=scenario), parse_choice(codec), seed)


def took(
    wall_s: float, codec: str = "revqom", budget: int | None = 2000, scenario: str = "intersection"
) -> EpisodeSummary:
    return replace(crossed(codec, budget, scenario=scenario), wall_s=wall_s)


def test_before_any_episode_each_tick_until_the_timeout_costs_the_same() -> None:
    forecast = Forecast([task("none", seed) for seed in range(3)], jobs=2)
    assert forecast.core_minutes() == pytest.approx(3 * 20 * INTERSECTION.timeout_s * TICK_S / 60)
    assert forecast.minutes() == pytest.approx(forecast.core_minutes() / 2)
    assert "3 episodes to play" in forecast.told() and "until each timeout" in forecast.told()


def test_each_task_takes_what_the_episodes_most_like_it_took() -> None:
    past = [took(60), took(120), took(30, "none", None), took(240, scenario="merge")]
    for codec, scenario, seconds in (
        ("revqom@2KB", "intersection", 90),  # its situation and codec
        ("revqom@2KB", "roundabout", 140),  # its codec
        ("raw", "intersection", 70),  # its situation
        ("raw", "roundabout", 112.5),  # any
    ):
        assert Forecast([task(codec, 5, scenario)], 1, past).core_minutes() == pytest.approx(seconds / 60)


def test_what_is_done_is_left_out_and_learnt_from() -> None:
    tasks = [task("none", 0), task("none", 1), task("none", 2)]
    forecast = Forecast(tasks, jobs=4)
    forecast.add(tasks[1], took(60, "none", None))
    assert forecast.core_minutes() == pytest.approx(2) and forecast.minutes() == pytest.approx(1)
    forecast.add(tasks[0], None)  # it failed
    assert forecast.core_minutes() == pytest.approx(1)
    forecast.add(tasks[2], took(60, "none", None))
    assert forecast.minutes() == 0 and forecast.left() == "0 s left"
