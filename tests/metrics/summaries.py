"""Summaries of the drives of `builders`, as many as a test wants at the price of a few."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from carla_cp.metrics.summary import EpisodeSummary, summarise

from .builders import crossing


def crossed(
    codec: str = "revqom", budget: int | None = 2000, seed: int = 0, aware: bool = True, scenario: str = "intersection"
) -> EpisodeSummary:
    """The summary of `crossing`'s first seed, under another seed and scenario."""
    return replace(_first(codec, budget, aware), seed=seed, scenario=scenario)


@cache
def _first(codec: str, budget: int | None, aware: bool) -> EpisodeSummary:
    return summarise(crossing(codec, budget, 0, aware), "violator")
