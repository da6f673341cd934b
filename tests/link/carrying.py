"""What the tests of link models share: messages, surroundings, and a link that carries one message after another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from carla_cp.link.base import Flight, LinkModel, Sent
from carla_cp.types import AgentName, FloatArray, Message, Pose, Surroundings

EGO, RSU, CAR = AgentName("ego"), AgentName("rsu"), AgentName("car")
PACKET = 1000  # bytes on the air
PERIOD_US = 100_000


def message(
    sender: AgentName = RSU, sequence: int = 0, time_us: int = 0, receiver: AgentName = EGO, parts: int = 1
) -> Message:
    return Message(sender, receiver, sequence, time_us, tuple(f"{sender} {part}".encode() for part in range(parts)))


def sent(said: Message, packets: int = 1, size: int = PACKET) -> Sent:
    return Sent(said, (size,) * packets)


def around(
    *antennas: tuple[AgentName, Pose],
    bodies: Sequence[Sequence[float]] = (),
    owners: Sequence[str] = (),
    buildings: Sequence[Sequence[float]] = (),
) -> Surroundings:
    """By default the ego, the rsu and the car within 20 m of each other, with nothing between."""
    places = antennas or ((EGO, Pose(z=1.6)), (RSU, Pose(x=20.0, z=5.0)), (CAR, Pose(y=20.0, z=1.6)))
    return Surroundings(tuple(places), _boxes(bodies), tuple(owners), _boxes(buildings))


def carry(model: LinkModel, count: int, packets: int, sender: AgentName = RSU) -> list[Flight]:
    """One message after another on one link, one a perception tick."""
    flights = []
    for number in range(count):
        flights += model.carry([sent(message(sender, number, number * PERIOD_US), packets)], around())
    return flights


def _boxes(rows: Sequence[Sequence[float]]) -> FloatArray:
    return np.array(rows, float).reshape(-1, 7)
