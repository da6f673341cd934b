"""Whether an episode succeeded, and how a codec's successes compare with those of one that knows everything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from carla_cp.metrics.infractions import Infractions
from carla_cp.types import EpisodeEnd


@dataclass(frozen=True, slots=True)
class Finish:
    """What SCT asks of one episode."""

    success: bool
    time_s: float  # simulated, to its end


def succeeded(end: EpisodeEnd, found: Infractions) -> bool:
    """Bench2Drive's success: the route's end was reached without any infraction, slowness aside."""
    return end is EpisodeEnd.ROUTE and found.none


def success_by_completion_time(pairs: Iterable[tuple[Finish, Finish]]) -> float | None:
    """SCT (Coopernaut, Cui et al. 2022): the mean of success times T_expert / max(T, T_expert), in [0, 1].

    Each pair is an episode and its expert's, here `oracle`'s of the same situation and seed; pairs whose expert failed
    do not count. None without a pair that does.
    """
    parts = [own.success * expert.time_s / max(own.time_s, expert.time_s) for own, expert in pairs if expert.success]
    return fmean(parts) if parts else None


def normalised_gain(value: float, alone: float, expert: float) -> float | None:
    """How much of what lies between the ego alone (0) and one that knows everything (1) a codec gains; may be beyond.

    None where the two do not differ: there is nothing to gain.
    """
    return None if expert == alone else (value - alone) / (expert - alone) + 0.0  # no negative zero
