"""Small records to score: an ego driving along x, and whatever a test puts around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from carla_cp.types import (
    AgentName,
    CodecChoice,
    Collision,
    Control,
    Detections,
    Episode,
    EpisodeEnd,
    LaneLight,
    ObjectClass,
    Outcome,
    Perceived,
    Plan,
    Pose,
    StageTimes,
    TickRecord,
    Track,
    Transmission,
    Truth,
    TruthObject,
    VehicleState,
)

STEP_US = 50_000


def state(x: float, y: float = 0.0, yaw: float = 0.0, speed: float = 0.0) -> VehicleState:
    """A car of 4.6 x 1.9 x 1.5 m."""
    velocity = (speed * float(np.cos(yaw)), speed * float(np.sin(yaw)), 0.0)
    return VehicleState(Pose(x=x, y=y, yaw=yaw), velocity, (0.0, 0.0, 0.0), 0.0, 4.6, 1.9, 1.5)


def thing(
    rolename: str,
    body: VehicleState,
    id: int = 7,
    label: ObjectClass | None = ObjectClass.VEHICLE,
    returns: int = 50,
) -> TruthObject:
    """A car-sized object."""
    pose = body.pose
    box = (pose.x, pose.y, body.height / 2, body.length, body.width, body.height, pose.yaw)
    return TruthObject(id, rolename, "vehicle.audi.tt", label, body, box, returns)


def track(
    x: float, y: float, label: ObjectClass = ObjectClass.VEHICLE, vx: float = 0.0, vy: float = 0.0, seen_us: int = 0
) -> Track:
    """A confirmed track of a car, last seen in a sweep of `seen_us`."""
    return Track(1, label, x, y, 0.8, float(np.arctan2(vy, vx)), vx, vy, 4.5, 1.9, 1.5, 3, seen_us, 0.8)


def perceived(time_us: int, found: Sequence[Sequence[float]], truth: Sequence[Sequence[float]]) -> Perceived:
    """Vehicles found, by falling score, and vehicles there."""
    boxes = np.array(found, float).reshape(-1, 7)
    detections = Detections(boxes, np.linspace(0.9, 0.5, len(boxes)), np.zeros(len(boxes), np.int64))
    real = np.array(truth, float).reshape(-1, 7)
    return Perceived(time_us, Pose(), detections, real, np.zeros(len(real), np.int64))


def transmission(
    sender: str, time_us: int, payload: int, outcome: Outcome = Outcome.DELIVERED, receiver: str = "ego"
) -> Transmission:
    """A message of one packet, 20 ms on its way."""
    arrived = None if outcome in (Outcome.LOST, Outcome.EMPTY) else time_us + 20_000
    packets = -(-payload // 1400)
    return Transmission(
        AgentName(sender), AgentName(receiver), 0, time_us, arrived, payload, packets, payload + 36 * packets, outcome
    )


def record(
    tick: int,
    ego: VehicleState,
    objects: Sequence[TruthObject] = (),
    collisions: Sequence[Collision] = (),
    tracks: Sequence[Track] = (),
    light: LaneLight | None = None,
    perceived: Perceived | None = None,
    transmissions: Sequence[Transmission] = (),
    fraction: float = 0.0,
    offset: float = 0.0,
    hazard_active: bool = False,
    control: Control = Control(),  # noqa: B008 - frozen
    times: StageTimes = StageTimes(),  # noqa: B008 - frozen
    reason: str = "free",
    path: Sequence[tuple[float, float]] = (),
) -> TickRecord:
    """One world tick at 20 Hz; the first is at 3 s, because simulators do not start at 0."""
    return TickRecord(
        tick=tick,
        time_us=3_000_000 + tick * STEP_US,
        ego=ego,
        light=light,
        plan=Plan(control, 0.0, reason, None, tuple(path)),
        tracks=tuple(tracks),
        perceived=perceived,
        transmissions=tuple(transmissions),
        route_fraction=fraction,
        route_offset_m=offset,
        truth=Truth(tuple(objects), tuple(collisions), hazard_active),
        times=times,
    )


def episode(
    records: Sequence[TickRecord],
    codec: str = "revqom",
    budget: int | None = 2000,
    seed: int = 0,
    end: EpisodeEnd = EpisodeEnd.ROUTE,
) -> Episode:
    """A finished episode of the crossing."""
    return Episode("intersection", CodecChoice(codec, budget), seed, end, tuple(records), 1.5, AgentName("ego"))


def crossing(codec: str = "revqom", budget: int | None = 2000, seed: int = 0, aware: bool = True) -> Episode:
    """An ego at 12 m/s and a car at 13 m/s from its left; an aware ego brakes and lets it pass, another one is hit."""
    rng = np.random.default_rng(seed)
    x, speed, records = -40.0, 12.0, []
    for tick in range(260):
        time_us = 3_000_000 + tick * STEP_US
        other = state(2.0, -45.0 + 0.65 * tick + rng.uniform(-0.2, 0.2), np.pi / 2, 13.0)
        truck = thing("truck", state(-12.0, -5.0), 8)
        parked = [thing(f"parked_{n}", state(20.0 + 8 * n, 5.0), 20 + n) for n in range(3)]
        braking = aware and tick > 12 and x < 0 and other.pose.y < 4.0
        speed = max(0.0, speed - 0.2) if braking else min(12.0, speed + 0.1)
        x += speed * 0.05
        hit = abs(x - 2.0) < 3.2 and abs(other.pose.y) < 3.2
        shared = tick % 2 == 0 and codec not in ("none", "oracle")
        size = 60_000 if budget is None else budget
        sent = [transmission(name, time_us, size - int(rng.integers(0, 150))) for name in ("partner", "rsu")]
        truth = [thing("violator", other, 7).box, truck.box]
        found = np.array(truth)[: 1 + aware] + rng.normal(0, 0.08, (1 + aware, 7))
        records.append(
            record(
                tick,
                state(x, 0.0, 0.0, speed),
                [thing("violator", other, 7), truck, *parked],
                [Collision("violator", 7, speed)] if hit else [],
                [track(2.0, other.pose.y, vy=13.0)] if aware and tick > 10 else [],
                perceived=perceived(time_us, found.tolist(), truth) if tick % 2 == 0 else None,
                transmissions=sent if shared else (),
                fraction=min(1.0, (x + 40) / 80),
                hazard_active=tick >= 8,
                control=Control(brake=0.5 if braking else 0.0),
                times=StageTimes(9.0, 4.0, 3.0, 25.0, 0.4, 60.0),
                reason="conflict" if braking else "free",
            )
        )
        if hit or x > 40:
            return episode(records, codec, budget, seed, EpisodeEnd.COLLISION if hit else EpisodeEnd.ROUTE)
    return episode(records, codec, budget, seed, EpisodeEnd.TIMEOUT)
