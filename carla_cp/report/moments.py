"""The most telling episodes of a situation: what a message made of the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carla_cp.metrics.comparison import ALONE, EXPERT
from carla_cp.report.files import StoredEpisode


@dataclass(frozen=True, slots=True)
class Moment:
    """Two episodes of one situation and seed beside each other, or the only one there is."""

    scenario: str
    episodes: tuple[StoredEpisode, ...]
    reason: str


def most_telling(episodes: Sequence[StoredEpisode]) -> Moment:
    """The pair of one situation that says most.

    First choice: a seed at which the ego alone crashes and the codec with the fewest bytes a message that does not;
    then any two that differ so; then the nearest miss of the ego alone, or of whoever there is, beside another.
    """
    scenario = episodes[0].summary.scenario
    crashed = [item for item in episodes if item.summary.collisions]
    pairs = [(bad, good) for bad in crashed for good in episodes if _at_stake(bad, good)]
    alone = [pair for pair in pairs if pair[0].summary.codec == ALONE and pair[1].summary.codec != EXPERT]
    if alone or pairs:
        best = min(alone or pairs, key=lambda pair: (_bytes(pair[1]), pair[0].summary.seed))
        return Moment(scenario, best, f"seed {best[0].summary.seed}: one crashes, the other does not")
    first = min(episodes, key=lambda item: (item.summary.codec != ALONE, _gap(item)))
    same = [item for item in episodes if item.summary.seed == first.summary.seed and item is not first]
    second = min(same, key=lambda item: (item.summary.codec == EXPERT, _bytes(item)), default=None)
    kind = "all crash" if first.summary.collisions else "no crash; the nearest miss"
    return Moment(scenario, (first,) if second is None else (first, second), f"seed {first.summary.seed}: {kind}")


def _at_stake(bad: StoredEpisode, good: StoredEpisode) -> bool:
    return bad.summary.seed == good.summary.seed and not good.summary.collisions


def _bytes(item: StoredEpisode) -> float:
    return item.summary.bytes.per_message_mean or 0.0


def _gap(item: StoredEpisode) -> float:
    return float("inf") if item.summary.min_gap_m is None else item.summary.min_gap_m
