"""What the ego did wrong, counted as CARLA's Leaderboard does.

Of its infractions these are left out: stop signs and yielding to emergency vehicles, which our situations do not have,
and the timeout of a Leaderboard scenario, which is no route's. Route deviation, standstill and the route's timeout end
a route without a penalty, there as here (`EpisodeEnd`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carla_cp.metrics.collisions import Crash
from carla_cp.types import EpisodeEnd, LightState, ObjectClass, TickRecord

ROUTE_HALF_WIDTH_M = 1.75 + 0.5  # of a 3.5 m lane, and the Leaderboard's ALLOWED_OUT_DISTANCE
CHECKPOINTS = 4  # of the route, at which Leaderboard 2.0 compares the ego's speed with the traffic's
BACKGROUND = "background"  # how a rolename of the traffic begins that the ego's speed is compared with


@dataclass(frozen=True, slots=True)
class Infractions:
    """All that costs points; collisions are those at fault."""

    collisions_pedestrian: int
    collisions_vehicle: int  # cyclists too: CARLA's bicycles are vehicles
    collisions_static: int
    red_lights: int
    outside_lanes: float  # share of the distance driven, [0, 1]
    slow_percents: tuple[float, ...]  # of the traffic's speed at each checkpoint at which the ego was slower

    @property
    def none(self) -> bool:
        """Whether there is none, slowness aside: what Bench2Drive's success asks for."""
        hits = self.collisions_pedestrian + self.collisions_vehicle + self.collisions_static
        return hits + self.red_lights == 0 and self.outside_lanes == 0.0


def infractions(records: Sequence[TickRecord], crashes: Sequence[Crash], end: EpisodeEnd) -> Infractions:
    """The infractions of an episode with these collisions and this end."""
    labels = [item.label for item in crashes if item.at_fault]
    return Infractions(
        collisions_pedestrian=labels.count(ObjectClass.PEDESTRIAN),
        collisions_vehicle=labels.count(ObjectClass.VEHICLE) + labels.count(ObjectClass.CYCLIST),
        collisions_static=labels.count(None),
        red_lights=red_lights_run(records),
        outside_lanes=outside_lanes(records),
        slow_percents=slow_percents(records, end),
    )


def red_lights_run(records: Sequence[TickRecord]) -> int:
    """How often the ego's front passed its lane's stop line while the light was red."""
    return sum(_ran_red(before, after) for before, after in itertools.pairwise(records))


def outside_lanes(records: Sequence[TickRecord]) -> float:
    """The share of the progress along the route during which the ego's middle was off the route's lane, in [0, 1].

    Off is further than 2.25 m from its line. The Leaderboard asks the map, and lets the ego use any lane of its
    direction; our routes change no lanes.
    """
    fractions = np.maximum.accumulate([record.route_fraction or 0.0 for record in records])
    progress = np.diff(fractions)
    outside = np.abs([record.route_offset_m or 0.0 for record in records[1:]]) > ROUTE_HALF_WIDTH_M
    total = float(progress.sum())
    return float(progress[outside].sum()) / total if total > 0 else 0.0


def slow_percents(records: Sequence[TickRecord], end: EpisodeEnd) -> tuple[float, ...]:
    """The ego's mean speed in percent of the background traffic's, per quarter of the route in which it was slower.

    Leaderboard 2.0's MinimumSpeedRouteTest. Background are the vehicles whose rolename begins with `background`; a
    quarter without them, or that the ego did not finish, asks for nothing.
    """
    quarters = [min(int((record.route_fraction or 0.0) * CHECKPOINTS), CHECKPOINTS - 1) for record in records]
    finished = CHECKPOINTS if end is EpisodeEnd.ROUTE else max(quarters, default=0)
    found = []
    for quarter in range(finished):
        inside = [record for record, number in zip(records, quarters, strict=True) if number == quarter]
        speeds = [(record.ego.speed, traffic) for record in inside if (traffic := _traffic_mps(record)) is not None]
        own, others = (sum(column) for column in zip(*speeds, strict=True)) if speeds else (0.0, 0.0)
        if others > 0 and own < others:
            found.append(100.0 * own / others)
    return tuple(found)


def _traffic_mps(record: TickRecord) -> float | None:
    speeds = [item.state.speed for item in record.truth.objects if item.rolename.startswith(BACKGROUND)]
    return sum(speeds) / len(speeds) if speeds else None


def _ran_red(before: TickRecord, after: TickRecord) -> bool:
    if before.light is None or before.light.state is not LightState.RED or before.light.distance_m < 0:
        return False
    if after.light is not None and 0 <= after.light.distance_m <= before.light.distance_m:
        return False
    travelled = before.ego.speed * (after.time_us - before.time_us) / 1e6
    return before.light.distance_m <= 1.5 * travelled + 0.1  # else the light changed, not the place
