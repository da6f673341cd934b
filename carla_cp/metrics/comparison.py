"""Codecs and budgets beside each other: the table that a run ends with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from carla_cp.metrics.intervals import mean_interval, wilson_interval
from carla_cp.metrics.pairs import McNemar, mcnemar
from carla_cp.metrics.success import Finish, normalised_gain, success_by_completion_time
from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.types import CodecChoice

ALONE, EXPERT = "none", "oracle"


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of the episodes, with its Wilson interval."""

    value: float
    ci95: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over the episodes in which a figure is defined, with its bootstrap interval."""

    value: float | None  # None: in no episode
    ci95: tuple[float, float] | None  # None: in fewer than two
    episodes: int


@dataclass(frozen=True, slots=True)
class Against:
    """Collisions of this codec (first) and another (second) over the situations and seeds that both have."""

    codec: str  # the other
    budget_bytes: int | None
    test: McNemar


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """All episodes of one codec at one budget, pooled over every scenario and seed of the run."""

    codec: str
    budget_bytes: int | None
    episodes: int
    collision: Rate  # any collision, at fault or not
    success: Rate
    false_braking: Rate
    ap50: Mean  # vehicles
    ap70: Mean
    bytes_per_message: float | None  # over all messages of all episodes; None: nothing was sent
    driving_score_lb1: Mean
    driving_score_lb20: Mean
    driving_score_lb21: Mean
    time_to_awareness_s: Mean
    impact_mps: Mean  # over the episodes with a collision, of their first
    age_of_information_s: Mean
    age_of_targets_s: Mean
    comfort: Mean  # share of 2 s pieces within all bounds
    sct: float | None  # of the situations and seeds that `oracle` has too
    collision_gain: float | None  # between `none` (0) and `oracle` (1), over what all three have
    score_gain: float | None  # the same of the Leaderboard 2.1 score
    against: tuple[Against, ...]  # every other row, in order

    @property
    def label(self) -> str:
        """The codec and its budget, as `CodecChoice.label`."""
        return CodecChoice(self.codec, self.budget_bytes).label

    def p_against(self, codec: str) -> float | None:
        """McNemar's p of the collisions against those of the first row of a codec; None without one, or pairs."""
        return next((item.test.p for item in self.against if item.codec == codec), None)


def comparison(summaries: Sequence[EpisodeSummary]) -> tuple[ComparisonRow, ...]:
    """One row per codec and budget, in the order of their first episode."""
    groups: dict[str, list[EpisodeSummary]] = {}
    for item in summaries:
        groups.setdefault(item.label, []).append(item)
    return tuple(_row(group, list(groups.values())) for group in groups.values())


def paired(*groups: Sequence[EpisodeSummary]) -> list[tuple[EpisodeSummary, ...]]:
    """The episodes that all groups have of one situation and seed, one of each, in the order of the first group."""
    tables = [{(item.scenario, item.seed): item for item in group} for group in groups]
    return [tuple(table[key] for table in tables) for key in tables[0] if all(key in table for table in tables)]


def _row(group: Sequence[EpisodeSummary], groups: Sequence[Sequence[EpisodeSummary]]) -> ComparisonRow:
    messages = sum(item.messages.sent for item in group)
    payload = sum(item.messages.sent * (item.bytes.per_message_mean or 0.0) for item in group)
    alone, expert = _named(ALONE, groups), _named(EXPERT, groups)
    return ComparisonRow(
        codec=group[0].codec,
        budget_bytes=group[0].budget_bytes,
        episodes=len(group),
        collision=_rate(bool(item.collisions) for item in group),
        success=_rate(item.success for item in group),
        false_braking=_rate(item.false_braking_s > 0 for item in group),
        ap50=_mean(item.ap.iou50 for item in group),
        ap70=_mean(item.ap.iou70 for item in group),
        bytes_per_message=payload / messages if messages else None,
        driving_score_lb1=_mean(item.driving_score.lb1 for item in group),
        driving_score_lb20=_mean(item.driving_score.lb20 for item in group),
        driving_score_lb21=_mean(item.driving_score.lb21 for item in group),
        time_to_awareness_s=_mean(item.time_to_awareness_s for item in group),
        impact_mps=_mean(item.collisions[0].impact_mps for item in group if item.collisions),
        age_of_information_s=_mean(item.age_of_information.mean_s for item in group),
        age_of_targets_s=_mean(item.age_of_targets.mean_s for item in group),
        comfort=_mean(item.comfort.share for item in group),
        sct=success_by_completion_time((_finish(own), _finish(best)) for own, best in paired(group, expert)),
        collision_gain=_gain(
            [[float(bool(item.collisions)) for item in trio] for trio in paired(group, alone, expert)]
        ),
        score_gain=_gain([[item.driving_score.lb21 for item in trio] for trio in paired(group, alone, expert)]),
        against=tuple(_against(group, other) for other in groups if other is not group),
    )


def _named(codec: str, groups: Sequence[Sequence[EpisodeSummary]]) -> Sequence[EpisodeSummary]:
    return next((group for group in groups if group[0].codec == codec), ())


def _rate(outcomes: Iterable[bool]) -> Rate:
    counted = list(outcomes)
    return Rate(sum(counted) / len(counted), wilson_interval(sum(counted), len(counted)))


def _mean(values: Iterable[float | None]) -> Mean:
    defined = [value for value in values if value is not None]
    return Mean(fmean(defined) if defined else None, mean_interval(defined), len(defined))


def _finish(item: EpisodeSummary) -> Finish:
    return Finish(item.success, item.sim_s)


def _gain(trios: Sequence[Sequence[float]]) -> float | None:
    """Of the means of a codec, of the ego alone and of the expert over the same episodes."""
    return normalised_gain(*(fmean(column) for column in zip(*trios, strict=True))) if trios else None


def _against(group: Sequence[EpisodeSummary], other: Sequence[EpisodeSummary]) -> Against:
    test = mcnemar((bool(one.collisions), bool(two.collisions)) for one, two in paired(group, other))
    return Against(other[0].codec, other[0].budget_bytes, test)
