"""Route completion and CARLA's Leaderboard driving score, from the records of one episode.

Leaderboard 1.0 and 2.0 multiply a factor per infraction; 2.1 adds a coefficient per infraction in a denominator
(branch leaderboard-2.1 of its public code). Of its infractions this covers collisions and red lights: stop signs,
lane departures, yielding to emergency vehicles and minimum speed are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from carla_cp.metrics.safety import Crash, decelerations
from carla_cp.types import EpisodeEnd, LightState, ObjectClass, TickRecord


@dataclass(frozen=True, slots=True)
class Penalty:
    """What one infraction costs."""

    factor: float  # Leaderboard 1.0 and 2.0, multiplies
    coefficient: float  # Leaderboard 2.1, adds in the denominator


PEDESTRIAN = Penalty(0.50, 1.00)
VEHICLE = Penalty(0.60, 0.70)
STATIC = Penalty(0.65, 0.60)
RED_LIGHT = Penalty(0.70, 0.40)


@dataclass(frozen=True, slots=True)
class DrivingScore:
    """Route completion in percent times the infraction penalty: [0, 100]."""

    lb1: float  # Leaderboard 1.0 and 2.0
    lb21: float  # Leaderboard 2.1


def route_completion(records: Sequence[TickRecord], end: EpisodeEnd) -> float:
    """The share of the route behind the ego, in [0, 1]; 1 when the episode ended at its end."""
    if end is EpisodeEnd.ROUTE:
        return 1.0
    return max((record.route_fraction for record in records), default=0.0)


def driving_score(completion: float, crashes: Sequence[Crash], red_lights: int) -> DrivingScore:
    """The score of a route completed to `completion` in [0, 1]; only collisions at fault count."""
    penalties = [_of_crash(item) for item in crashes if item.at_fault] + [RED_LIGHT] * red_lights
    product, total = 1.0, 1.0
    for penalty in penalties:
        product *= penalty.factor
        total += penalty.coefficient
    return DrivingScore(lb1=100.0 * completion * product, lb21=100.0 * completion / total)


def red_lights_run(records: Sequence[TickRecord]) -> int:
    """How often the ego's front passed its lane's stop line while the light was red."""
    return sum(_ran_red(before, after) for before, after in itertools.pairwise(records))


def longest_braking_s(records: Sequence[TickRecord], harder_mps2: float) -> float:
    """The longest unbroken time [s] of slowing down harder than `harder_mps2`, before any contact."""
    longest = current = 0.0
    for deceleration, (before, after) in zip(decelerations(records), itertools.pairwise(records), strict=False):
        current = current + (after.time_us - before.time_us) / 1e6 if deceleration > harder_mps2 else 0.0
        longest = max(longest, current)
    return longest


def _of_crash(crash: Crash) -> Penalty:
    if crash.label is ObjectClass.PEDESTRIAN:
        return PEDESTRIAN
    return STATIC if crash.label is None else VEHICLE  # CARLA's bicycles are vehicles


def _ran_red(before: TickRecord, after: TickRecord) -> bool:
    if before.light is None or before.light.state is not LightState.RED or before.light.distance_m < 0:
        return False
    if after.light is not None and 0 <= after.light.distance_m <= before.light.distance_m:
        return False
    travelled = before.ego.speed * (after.time_us - before.time_us) / 1e6
    return before.light.distance_m <= 1.5 * travelled + 0.1  # else the light changed, not the place
