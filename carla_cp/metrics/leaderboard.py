"""CARLA's Leaderboard driving score by its three versions: route completion times an infraction penalty.

1.0 and 2.0 multiply a factor per infraction; 2.0 also asks for speed. 2.1 adds a coefficient per infraction in a
denominator (branch leaderboard-2.1 of its public code; `master` is still 2.0). In all three the share of the way
outside the route's lanes multiplies. Say whose a number is: one vehicle hit is 0.600 or 0.588, three 0.216 or 0.323.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from carla_cp.metrics.infractions import Infractions
from carla_cp.types import EpisodeEnd, TickRecord


@dataclass(frozen=True, slots=True)
class Penalty:
    """What one infraction costs."""

    factor: float  # Leaderboard 1.0 and 2.0, multiplies
    coefficient: float  # Leaderboard 2.1, adds in the denominator


PEDESTRIAN = Penalty(0.50, 1.00)
VEHICLE = Penalty(0.60, 0.70)
STATIC = Penalty(0.65, 0.60)
RED_LIGHT = Penalty(0.70, 0.40)
SLOW = Penalty(0.70, 0.40)  # of standing still for a quarter of the route; in proportion, and from 2.0 on


@dataclass(frozen=True, slots=True)
class DrivingScore:
    """Route completion in percent times the infraction penalty: [0, 100]."""

    lb1: float  # Leaderboard 1.0
    lb20: float  # Leaderboard 2.0
    lb21: float  # Leaderboard 2.1


def route_completion(records: Sequence[TickRecord], end: EpisodeEnd) -> float:
    """The share of the route behind the ego, in [0, 1]; 1 when the episode ended at its end, 0 without a route."""
    if end is EpisodeEnd.ROUTE:
        return 1.0
    return max((record.route_fraction or 0.0 for record in records), default=0.0)


def driving_score(completion: float, found: Infractions) -> DrivingScore:
    """The score of a route completed to `completion` in [0, 1] with these infractions."""
    penalties = (
        [PEDESTRIAN] * found.collisions_pedestrian
        + [VEHICLE] * found.collisions_vehicle
        + [STATIC] * found.collisions_static
        + [RED_LIGHT] * found.red_lights
    )
    slowness = [1.0 - percent / 100.0 for percent in found.slow_percents]
    product = math.prod(penalty.factor for penalty in penalties)
    slow_product = math.prod(1.0 - (1.0 - SLOW.factor) * missing for missing in slowness)
    total = 1.0 + sum(penalty.coefficient for penalty in penalties) + SLOW.coefficient * sum(slowness)
    base = 100.0 * completion * (1.0 - found.outside_lanes)
    return DrivingScore(lb1=base * product, lb20=base * product * slow_product, lb21=base / total)
