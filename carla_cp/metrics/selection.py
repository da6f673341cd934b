"""Which episodes belong together: nothing is pooled over different settings, nor a situation with its controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from carla_cp.metrics.summary import EpisodeSummary

CONTROLS = ("_clear", "_passive")  # without the hazard; with it, and nobody who sees it sends


def is_control(scenario: str) -> bool:
    """Whether a scenario is a variant that no message can decide, by its name."""
    return scenario.endswith(CONTROLS)


def alike(summaries: Sequence[EpisodeSummary]) -> tuple[EpisodeSummary, ...]:
    """The episodes under the `--set` values that most have; of as many, under those that come first."""
    counts = Counter(item.settings for item in summaries)
    return tuple(item for item in summaries if item.settings == counts.most_common(1)[0][0])


def situations(summaries: Sequence[EpisodeSummary]) -> tuple[EpisodeSummary, ...]:
    """The episodes of no control; where there are but controls, all."""
    return tuple(item for item in summaries if not is_control(item.scenario)) or tuple(summaries)
