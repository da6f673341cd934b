"""Stored episodes of the drives of `metrics.builders`, as many as a test wants at the price of a few."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from carla_cp.metrics.summary import summarise, trace
from carla_cp.report import StoredEpisode
from tests.metrics.builders import crossing


def stored(
    codec: str = "revqom",
    budget: int | None = 2000,
    seed: int = 0,
    aware: bool = True,
    scenario: str = "intersection",
    settings: tuple[str, ...] = (),
) -> StoredEpisode:
    """The episode of `crossing`'s first seed, under another seed, scenario and settings."""
    first = _first(codec, budget, aware)
    return replace(first, summary=replace(first.summary, seed=seed, scenario=scenario, settings=settings))


@cache
def _first(codec: str, budget: int | None, aware: bool) -> StoredEpisode:
    drive = crossing(codec, budget, 0, aware)
    return StoredEpisode(summarise(drive, "violator"), trace(drive.records, "violator"))
