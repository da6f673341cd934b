"""The ego's collisions, merged and judged as CARLA's Leaderboard does (`CollisionTest` of ScenarioRunner 0.9.13+)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from carla_cp.types import Collision, ObjectClass, TickRecord

SAME_ACTOR_S = 5.0  # MAX_ID_TIME: so long the actor hit last is not counted again
SAME_PLACE_M = 5.0  # COLLISION_RADIUS: nor is anything, until the ego has been so far from where it was hit last
STANDING_MPS = 0.1  # EPSILON: slower than this, the ego is not at fault


@dataclass(frozen=True, slots=True)
class Crash:
    """One collision of the ego, however many contacts it was made of."""

    t_s: float  # since the episode's first record
    other: str
    speed_mps: float  # of the ego, just before the first contact
    impact_mps: float  # of the ego relative to the other, just before; to what is no actor, the ego's own
    at_fault: bool  # the ego was moving
    label: ObjectClass | None  # of the other; None: a prop or the map


def collisions(records: Sequence[TickRecord]) -> tuple[Crash, ...]:
    """The ego's collisions in order of time.

    A contact is part of the collision before it when it is with the same actor within 5 s, or when the ego has not yet
    been further than 5 m from there. As in the Leaderboard, a contact of the standing ego hides no later one of its
    fault; unlike there it is listed, as not at fault.
    """
    counted, any_contact = _Memory(), _Memory()
    found: list[Crash] = []
    for before, record in itertools.pairwise((records[0], *records) if records else ()):
        counted, any_contact = counted.at(record), any_contact.at(record)
        for event in record.truth.collisions:
            at_fault = event.ego_speed_mps >= STANDING_MPS
            if (counted if at_fault else any_contact).knows(event.other_id):
                continue
            any_contact = _Memory.of(event, record)
            if at_fault:
                counted = any_contact
            found.append(_crash(event, before, record, records[0].time_us))
    return tuple(found)


def before_contact(records: Sequence[TickRecord]) -> Sequence[TickRecord]:
    """The records up to the last one before the ego's first contact: what follows is a crash, and no driving."""
    end = next((index for index, record in enumerate(records) if record.truth.collisions), len(records))
    return records[:end]


@dataclass(frozen=True, slots=True)
class _Memory:
    """The collision counted last: its actor, and its place."""

    actor: int | None = None
    time_us: int = 0
    place: tuple[float, float] | None = None

    @staticmethod
    def of(event: Collision, record: TickRecord) -> _Memory:
        return _Memory(event.other_id or None, record.time_us, (record.ego.pose.x, record.ego.pose.y))

    def at(self, record: TickRecord) -> _Memory:
        """What of it is still remembered at a later record."""
        pose, place = record.ego.pose, self.place
        if place is not None and math.hypot(pose.x - place[0], pose.y - place[1]) > SAME_PLACE_M:
            place = None
        actor = self.actor if record.time_us - self.time_us <= SAME_ACTOR_S * 1e6 else None
        return _Memory(actor, self.time_us, place)

    def knows(self, other_id: int) -> bool:
        """Whether a contact with this actor is part of it; the map has the number 0, which nothing goes by."""
        return self.place is not None or (self.actor is not None and self.actor == other_id)


def _crash(event: Collision, before: TickRecord, record: TickRecord, start_us: int) -> Crash:
    others = [item for item in (*before.truth.objects, *record.truth.objects) if item.id == event.other_id]
    heading = before.ego.pose.yaw
    vx, vy = event.ego_speed_mps * math.cos(heading), event.ego_speed_mps * math.sin(heading)
    other = others[0].state.velocity if others else (0.0, 0.0, 0.0)
    return Crash(
        t_s=(record.time_us - start_us) / 1e6,
        other=event.other,
        speed_mps=event.ego_speed_mps,
        impact_mps=math.hypot(vx - other[0], vy - other[1]),
        at_fault=event.ego_speed_mps >= STANDING_MPS,
        label=others[0].label if others else None,
    )
