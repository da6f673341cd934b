"""The radio link: what becomes of each message, packet by packet, in integer microseconds of simulated time."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

import networkx as nx

from carla_cp.link import open_model
from carla_cp.link.base import Flight, Sent
from carla_cp.link.packets import reassemble, split
from carla_cp.types import ChannelSpec, Loss, Message, Outcome, Surroundings, Transmission


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that arrived, with what arrived of its payload, or one that never will, without."""

    message_payload: bytes | None
    transmission: Transmission


class Link:
    """Carries messages between agents and sees nothing but their bytes; `LINKS[channel.model]` says what is lost."""

    def __init__(self, channel: ChannelSpec, seed: int, encode_us: int = 0) -> None:
        """`encode_us` pass before a message comes to the radio. Raises LinkError for a channel that cannot be."""
        if seed < 0:
            raise ValueError(f"seed {seed} must not be negative")
        self._mtu_bytes = channel.mtu_bytes
        self._encode_us = encode_us
        self._model = open_model(channel, seed)
        self._queue: list[tuple[int, int, Delivery]] = []  # by the time it settles, then by the order of sending
        self._sent = 0

    def send(self, messages: Sequence[Message], graph: nx.Graph, around: Surroundings) -> None:
        """Hand messages over, each encoded from its `time_us` on; an empty one: its sender had nothing that fits.

        Where `graph` has no edge between sender and receiver, every packet is lost.
        """
        packets = [split(item.parts, self._mtu_bytes, item.sender, item.sequence) for item in messages]
        said = [
            Sent(replace(item, time_us=item.time_us + self._encode_us), tuple(map(len, parts)))
            for item, parts in zip(messages, packets, strict=True)
            if parts
        ]
        flights = iter(self._model.carry(said, around))
        for message, parts in zip(messages, packets, strict=True):
            if not parts:
                self._push(message.time_us, Delivery(None, _log(message, [], None, Outcome.EMPTY)))
                continue
            flight = next(flights)
            if not graph.has_edge(message.sender, message.receiver):
                flight = Flight(flight.settled_us, (Loss.RANGE,) * len(parts))
            self._settle(message, parts, flight)

    def receive(self, now_us: int) -> tuple[Delivery, ...]:
        """Everything that settled up to now and was not yet reported, in order of time; a loss settles when the
        message would have arrived."""
        settled = []
        while self._queue and self._queue[0][0] <= now_us:
            settled.append(heapq.heappop(self._queue)[2])
        return tuple(settled)

    @property
    def pending(self) -> tuple[Delivery, ...]:
        """What has not settled yet, in order of time."""
        return tuple(delivery for _, _, delivery in sorted(self._queue, key=lambda entry: entry[:2]))

    def _settle(self, message: Message, packets: list[bytes], flight: Flight) -> None:
        arrived = [packet for packet, loss in zip(packets, flight.losses, strict=True) if loss is None]
        payload = reassemble(arrived)
        outcome = Outcome.LOST if payload is None else Outcome.DELIVERED
        arrived_us = None if payload is None else flight.settled_us
        self._push(flight.settled_us, Delivery(payload, _log(message, packets, arrived_us, outcome, flight.losses)))

    def _push(self, settled_us: int, delivery: Delivery) -> None:
        heapq.heappush(self._queue, (settled_us, self._sent, delivery))
        self._sent += 1


def _log(
    message: Message,
    packets: Sequence[bytes],
    arrived_us: int | None,
    outcome: Outcome,
    losses: Sequence[Loss | None] = (),
) -> Transmission:
    causes = [loss for loss in losses if loss is not None]
    return Transmission(
        sender=message.sender,
        receiver=message.receiver,
        sequence=message.sequence,
        sent_us=message.time_us,
        arrived_us=arrived_us,
        payload_bytes=len(message.payload),
        packets=len(packets),
        bytes_on_air=sum(map(len, packets)),
        outcome=outcome,
        packets_lost=len(causes),
        loss=causes[0] if causes else None,
    )
