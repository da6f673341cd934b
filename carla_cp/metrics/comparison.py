"""Codecs and budgets beside each other: the table that a run ends with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.types import CodecChoice

Z_95 = 1.959963984540054  # the normal's 97.5 % point


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """All episodes of one codec at one budget, over every scenario and seed of the run."""

    codec: str
    budget_bytes: int | None
    episodes: int
    collision_rate: float  # share of the episodes with any collision, at fault or not
    collision_rate_ci95: tuple[float, float]  # Wilson
    ap50: float | None  # mean over the episodes in which it is defined, vehicles
    ap70: float | None
    bytes_per_message: float | None  # over all messages of all episodes; None: nothing was sent
    driving_score_lb21: float  # mean

    @property
    def label(self) -> str:
        """The codec and its budget, as `CodecChoice.label`."""
        return CodecChoice(self.codec, self.budget_bytes).label


def comparison(summaries: Sequence[EpisodeSummary]) -> tuple[ComparisonRow, ...]:
    """One row per codec and budget, in the order of their first episode."""
    groups: dict[str, list[EpisodeSummary]] = {}
    for item in summaries:
        groups.setdefault(item.label, []).append(item)
    return tuple(_row(group) for group in groups.values())


def wilson_interval(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson, JASA 1927); (0, 1) without trials."""
    if not trials:
        return 0.0, 1.0
    rate, weight = hits / trials, Z_95**2 / trials
    centre = (rate + weight / 2) / (1 + weight)
    half = Z_95 * math.sqrt(rate * (1 - rate) / trials + weight / (4 * trials)) / (1 + weight)
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    high = 1.0 if hits == trials else min(1.0, centre + half)
    return low, high


def _row(group: Sequence[EpisodeSummary]) -> ComparisonRow:
    crashed = sum(bool(item.collisions) for item in group)
    messages = sum(item.messages.sent for item in group)
    payload = sum(item.messages.sent * (item.bytes.per_message_mean or 0.0) for item in group)
    return ComparisonRow(
        codec=group[0].codec,
        budget_bytes=group[0].budget_bytes,
        episodes=len(group),
        collision_rate=crashed / len(group),
        collision_rate_ci95=wilson_interval(crashed, len(group)),
        ap50=_mean(item.ap.iou50 for item in group),
        ap70=_mean(item.ap.iou70 for item in group),
        bytes_per_message=payload / messages if messages else None,
        driving_score_lb21=fmean(item.driving_score.lb21 for item in group),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined else None
