"""The radio link: what becomes of each message, packet by packet, in integer microseconds of simulated time.

Model `fixed`: a latency and a uniform jitter per message, Bernoulli loss per packet, one queue per sender in front of
its radio. Every draw is keyed by (seed, what, sender, receiver, sequence), so that no agent changes another's luck.
Left out: interference, fading, bursts of losses and contention between senders.
"""

from __future__ import annotations

import heapq
import math
import zlib
from dataclasses import dataclass

import numpy as np

from carla_cp.link.packets import HEADER_BYTES, packet_count, reassemble, split
from carla_cp.types import AgentName, ChannelSpec, Message, Outcome, Transmission


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that arrived, with what arrived of its payload, or one that never will, without."""

    message_payload: bytes | None
    transmission: Transmission


class Link:
    """Carries messages between agents and sees nothing but their bytes."""

    def __init__(self, channel: ChannelSpec, seed: int) -> None:
        if channel.model != "fixed":
            raise ValueError(f'channel model "{channel.model}" is unknown: use "fixed"')
        if seed < 0:
            raise ValueError(f"seed {seed} must not be negative")
        self._channel = channel
        self._seed = seed
        self._radio_free_us: dict[AgentName, int] = {}
        self._queue: list[tuple[int, int, Delivery]] = []  # by the time it settles, then by the order of sending
        self._sent = 0

    def send(self, message: Message, heard: bool) -> None:
        """Hand a message over at `message.time_us`; an empty payload means that the sender had nothing that fits.

        `heard` says whether the receiver is in range (`link.graph`); if not, every packet is lost.
        """
        packets = split(message.parts, self._channel.mtu_bytes, message.sender, message.sequence)
        if not packets:
            self._push(message.time_us, Delivery(None, _log(message, packets, None, Outcome.EMPTY)))
            return
        settled_us = self._arrival_us(message, sum(map(len, packets)))
        payload = reassemble(self._survivors(message, packets) if heard else [])
        if payload is None:
            self._push(settled_us, Delivery(None, _log(message, packets, None, Outcome.LOST)))
        else:
            self._push(settled_us, Delivery(payload, _log(message, packets, settled_us, Outcome.DELIVERED)))

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

    def _push(self, settled_us: int, delivery: Delivery) -> None:
        heapq.heappush(self._queue, (settled_us, self._sent, delivery))
        self._sent += 1

    def _arrival_us(self, message: Message, bytes_on_air: int) -> int:
        start_us = message.time_us
        if self._channel.bandwidth_mbps > 0:
            start_us = max(start_us, self._radio_free_us.get(message.sender, 0))
            start_us += math.ceil(bytes_on_air * 8 / self._channel.bandwidth_mbps)  # bits per Mbit/s are microseconds
            self._radio_free_us[message.sender] = start_us
        jitter_us = self._channel.jitter_ms * 1000.0 * self._generator("jitter", message).uniform(-1.0, 1.0)
        return start_us + max(0, round(self._channel.latency_ms * 1000.0 + jitter_us))

    def _survivors(self, message: Message, packets: list[bytes]) -> list[bytes]:
        draws = self._generator("loss", message).random(len(packets))
        return [packet for packet, draw in zip(packets, draws, strict=True) if draw >= self._channel.loss]

    def _generator(self, what: str, message: Message) -> np.random.Generator:
        who = zlib.crc32(message.sender.encode()), zlib.crc32(message.receiver.encode())
        return np.random.default_rng([self._seed, zlib.crc32(what.encode()), *who, message.sequence])


def airtime_ms(payload_bytes: int, mbps: float, mtu_bytes: int = 1400) -> float:
    """How long IEEE 802.11p occupies a 10 MHz channel to send a payload in packets, headers included, at a bit rate.

    40 us of preamble and signal field per packet, then symbols of 8 us, each of 8 * mbps bits, for 16 service and
    6 tail bits and the packet (IEEE 802.11-2020, 17.4.3). Spaces between frames and back-off are left out.
    """
    if mbps <= 0:
        raise ValueError(f"a bit rate of {mbps} Mbit/s is not positive")
    count = packet_count(payload_bytes, mtu_bytes)
    if count == 0:
        return 0.0
    last = payload_bytes - (count - 1) * (mtu_bytes - HEADER_BYTES) + HEADER_BYTES
    return ((count - 1) * _frame_us(mtu_bytes, mbps) + _frame_us(last, mbps)) / 1000.0


def _frame_us(frame_bytes: int, mbps: float) -> int:
    return 40 + 8 * math.ceil((22 + 8 * frame_bytes) / (8 * mbps))


def _log(message: Message, packets: list[bytes], arrived_us: int | None, outcome: Outcome) -> Transmission:
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
    )
