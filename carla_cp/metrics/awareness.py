"""When the ego came to know of what matters, and how old its knowledge was."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from carla_cp.metrics.approach import gaps_to_nearest
from carla_cp.metrics.boxes import box_of, time_to_collision
from carla_cp.types import AgentName, Outcome, TickRecord, Track, TruthObject

AWARE_WITHIN_M = 3.0  # of an object's centre
REACH_M = 15.0  # of a track's centre to that of a body as long as a lorry that lies within 3 m of it
RELEVANT_S = 3.0  # SUMO's SSM device: a time to collision below this is an encounter


@dataclass(frozen=True, slots=True)
class Age:
    """An age over all ticks and all whom it is kept of; None where it was never defined."""

    mean_s: float | None
    max_s: float | None

    @staticmethod
    def of(ages_s: Sequence[float]) -> Age:
        """Mean and largest of all ages."""
        return Age(fmean(ages_s), max(ages_s)) if ages_s else Age(None, None)


def time_to_awareness(records: Sequence[TickRecord], hazard: str | None) -> float | None:
    """From the hazard's trigger to the first confirmed track on it [s]; None if either never happened.

    Negative: the ego knew of it before it started to matter.
    """
    trigger = triggered_us(records)
    aware = next((record.time_us for record in records if _knows(record, hazard)), None)
    return None if trigger is None or aware is None else (aware - trigger) / 1e6


def triggered_us(records: Sequence[TickRecord]) -> int | None:
    """When a hazard's trigger fired; None if it never did."""
    return next((record.time_us for record in records if record.truth.hazard_active), None)


def age_of_information(records: Sequence[TickRecord], ego: AgentName) -> Age:
    """AoI (Kaul, Yates and Gruteser 2012): at each tick, now less the time at which the newest message fused was sent.

    Of every sender to the ego, from its first message fused on; senders hand a message over as they capture.
    """
    newest: dict[AgentName, int] = {}
    ages: list[float] = []
    for record in records:
        for sent in record.transmissions:
            if sent.receiver == ego and sent.outcome is Outcome.DELIVERED:
                newest[sent.sender] = max(newest.get(sent.sender, sent.sent_us), sent.sent_us)
        ages.extend((record.time_us - time_us) / 1e6 for time_us in newest.values())
    return Age.of(ages)


def age_of_targets(records: Sequence[TickRecord], hazard: str | None) -> Age:
    """How old the ego's newest observation of every relevant road user is, at each tick at which it is relevant.

    Now less the capture time of the newest fused sweep with a detection on a track on it; if there was none yet, now
    less the time at which it first became relevant. Relevant is whom the ego would hit within 3 s at constant
    velocities, and the hazard from its trigger until the two are nearest. After R-ACP's age of perceived targets
    (arXiv 2410.04168), whose equation we do not have: this definition is ours.
    """
    first_us: dict[int, int] = {}
    observed_us: dict[int, int] = {}
    ages: list[float] = []
    for record, relevant in _relevant(records, hazard):
        for track in record.tracks:
            if (item := whom(track, record.truth.objects)) is not None:
                observed_us[item.id] = max(track.last_seen_us, observed_us.get(item.id, track.last_seen_us))
        for item in relevant:
            since = first_us.setdefault(item.id, record.time_us)
            ages.append((record.time_us - observed_us.get(item.id, since)) / 1e6)
    return Age.of(ages)


def _relevant(records: Sequence[TickRecord], hazard: str | None) -> Iterator[tuple[TickRecord, list[TruthObject]]]:
    gaps = [math.inf if gap is None else gap for gap in gaps_to_nearest(records, hazard or "")]
    nearest = int(np.argmin(gaps)) if gaps else 0
    for index, record in enumerate(records):
        users = [item for item in record.truth.objects if item.label is not None]
        soon = _soon(record, users)
        matters = record.truth.hazard_active and index <= nearest
        yield record, [u for u, near in zip(users, soon, strict=True) if near or (matters and u.rolename == hazard)]


def _soon(record: TickRecord, users: Sequence[TruthObject]) -> list[bool]:
    boxes = np.array([item.box for item in users]).reshape(-1, 7)
    velocity = np.array([item.state.velocity[:2] for item in users]).reshape(-1, 2) - record.ego.velocity[:2]
    ego = np.repeat(box_of(record.ego)[None], len(boxes), axis=0)
    return [bool(near) for near in time_to_collision(ego, boxes, velocity) <= RELEVANT_S]


def _knows(record: TickRecord, hazard: str | None) -> bool:
    found = (whom(track, record.truth.objects) for track in record.tracks)
    return hazard is not None and any(item is not None and item.rolename == hazard for item in found)


def whom(track: Track, objects: Sequence[TruthObject]) -> TruthObject | None:
    """The object that a track is on: of its class, with the body nearest to its centre, and within 3 m of that body's.

    A track that lies on somebody else's body is not on whoever passes beside it, however near.
    """
    same = [item for item in objects if item.label == track.label and _apart(track, item) <= REACH_M]
    nearest = min(same, key=lambda item: (_beside(track, item), _apart(track, item)), default=None)
    return nearest if nearest is not None and _apart(track, nearest) <= AWARE_WITHIN_M else None


def _apart(track: Track, item: TruthObject) -> float:
    """Between the two centres, in the plane [m]."""
    return math.hypot(track.x - item.box[0], track.y - item.box[1])


def _beside(track: Track, item: TruthObject) -> float:
    """From a track's centre to an object's body, in the plane [m]; 0 on it."""
    x, y, _, length, width, _, yaw = item.box
    dx, dy, cos, sin = track.x - x, track.y - y, math.cos(yaw), math.sin(yaw)
    along, across = abs(cos * dx + sin * dy) - length / 2, abs(cos * dy - sin * dx) - width / 2
    return math.hypot(max(along, 0.0), max(across, 0.0))
