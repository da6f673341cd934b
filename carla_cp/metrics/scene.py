"""Where everyone near the ego was, coarse enough to keep of every episode and fine enough to watch it again."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from carla_cp.metrics.awareness import triggered_us, whom
from carla_cp.types import AgentName, ObjectClass, Outcome, TickRecord, TruthObject, VehicleState

STEP_US = 200_000  # 5 Hz: between two frames a car at 15 m/s goes 3 m, in a straight line
NEAR_M = 70.0  # who is never so near the ego is left out
KINDS = {ObjectClass.VEHICLE: "vehicle", ObjectClass.CYCLIST: "cyclist", ObjectClass.PEDESTRIAN: "pedestrian"}
EGO, PROP = "ego", "prop"


@dataclass(frozen=True, slots=True)
class Body:
    """One actor over the frames of a scene, world frame; of its length F, or 1 where the value never changes."""

    name: str  # rolename, or blueprint where there is none
    kind: str  # "ego" | "vehicle" | "cyclist" | "pedestrian" | "prop"
    sends: bool  # a message of it reached the ego
    length_cm: int
    width_cm: int
    x_cm: tuple[int, ...]  # of the box's centre
    y_cm: tuple[int, ...]
    yaw_ddeg: tuple[int, ...]  # tenths of a degree, without jumps at 180 degrees
    turns: tuple[int, ...]  # frames from which the ego has a track on it, has none, has one again, ...


@dataclass(frozen=True, slots=True)
class Scene:
    """An episode as F frames of what was near the ego."""

    time_ms: tuple[int, ...]  # (F,) since the first record; the last one's is among them
    bodies: tuple[Body, ...]  # the ego first
    hazard: str | None  # name of its body
    triggered_ms: int | None  # when the hazard started to matter


def scene(records: Sequence[TickRecord], hazard: str | None) -> Scene:
    """The scene of an episode's records, of which there is at least one."""
    frames = _frames(records)
    start, trigger = records[0].time_us, triggered_us(records)
    senders = {item.sender for record in records for item in record.transmissions if item.outcome is Outcome.DELIVERED}
    keys = sorted({item.id for record in frames for item in record.truth.objects})
    known = [_known(record) for record in frames]
    near = [body for key in keys if (body := _other(frames, key, known, senders)) is not None]
    return Scene(
        time_ms=tuple((record.time_us - start) // 1000 for record in frames),
        bodies=(_ego(frames), *near),
        hazard=hazard if any(body.name == hazard for body in near) else None,
        triggered_ms=None if trigger is None else (trigger - start) // 1000,
    )


def _frames(records: Sequence[TickRecord]) -> list[TickRecord]:
    """The first record, one in every step after it, and the last."""
    kept = [records[0]]
    for record in records[1:-1]:
        if record.time_us - kept[-1].time_us >= STEP_US:
            kept.append(record)
    return [*kept, records[-1]] if len(records) > 1 else kept


def _ego(frames: Sequence[TickRecord]) -> Body:
    return _body(EGO, EGO, False, [record.ego for record in frames], ())


def _known(record: TickRecord) -> frozenset[int]:
    """Ids of the objects that the ego has a track on."""
    found = (whom(track, record.truth.objects) for track in record.tracks)
    return frozenset(item.id for item in found if item is not None)


def _other(
    frames: Sequence[TickRecord], key: int, known: Sequence[frozenset[int]], senders: set[AgentName]
) -> Body | None:
    """The body of an object that is near the ego at some frame; where it is missing it stays where it was last."""
    found = [next((item for item in record.truth.objects if item.id == key), None) for record in frames]
    first = next(item for item in found if item is not None)
    seen: list[TruthObject] = list(itertools.accumulate(found, lambda last, item: item or last, initial=first))[1:]
    states = [item.state for item in seen]
    if min(_distance(record.ego, state) for record, state in zip(frames, states, strict=True)) > NEAR_M:
        return None
    kind = PROP if first.label is None else KINDS[first.label]
    name = first.rolename or first.blueprint
    return _body(name, kind, AgentName(name) in senders, states, _turns([key in ids for ids in known]))


def _body(name: str, kind: str, sends: bool, states: Sequence[VehicleState], turns: tuple[int, ...]) -> Body:
    yaws = np.degrees(np.unwrap([state.pose.yaw for state in states]))
    return Body(
        name=name,
        kind=kind,
        sends=sends,
        length_cm=round(100 * states[0].length),
        width_cm=round(100 * states[0].width),
        x_cm=_column(100 * state.pose.x for state in states),
        y_cm=_column(100 * state.pose.y for state in states),
        yaw_ddeg=_column((10 * yaws).tolist()),
        turns=turns,
    )


def _column(values: Iterable[float]) -> tuple[int, ...]:
    rounded = tuple(round(value) for value in values)
    return rounded[:1] if len(set(rounded)) == 1 else rounded


def _turns(known: Sequence[bool]) -> tuple[int, ...]:
    return tuple(index for index, (was, now) in enumerate(itertools.pairwise((False, *known))) if was != now)


def _distance(one: VehicleState, two: VehicleState) -> float:
    return math.hypot(one.pose.x - two.pose.x, one.pose.y - two.pose.y)
