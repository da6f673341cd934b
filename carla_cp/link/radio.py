"""Each sender's own radio: one packet after another at a bit rate, deaf meanwhile if it is half-duplex.

Nobody waits for others here; `access` has senders share one channel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from carla_cp.link.base import Sent
from carla_cp.types import AgentName, ChannelSpec, Loss


@dataclass(frozen=True, slots=True)
class OnAir:
    """One packet's time on the air; one that was dropped before has no length."""

    sender: AgentName
    start_us: int
    end_us: int
    dropped: bool = False

    def meets(self, other: OnAir) -> bool:
        """Whether both are on air at some time."""
        return self.start_us < other.end_us and other.start_us < self.end_us


class Radios:
    """When packets are on air, and whom that keeps from hearing."""

    def __init__(self, channel: ChannelSpec) -> None:
        self._channel = channel
        self._free_us: dict[AgentName, int] = {}
        self._spans: list[OnAir] = []  # those that may still meet what comes

    def send(self, sent: Sequence[Sent]) -> list[list[OnAir]]:
        """The packets of messages that are handed over together, each sender's in the order given."""
        now = min((item.message.time_us for item in sent), default=0)
        flights = [self._one(item) for item in sent]
        kept = [span for span in self._spans if span.end_us > now]
        self._spans = kept + [span for flight in flights for span in flight if span.end_us > span.start_us]
        return flights

    def causes(self, receiver: AgentName, packets: Sequence[OnAir]) -> list[Loss | None]:
        """Why packets of the newest `send` cannot be heard: dropped, or the receiver sends itself."""
        own = [span for span in self._spans if self._channel.half_duplex and span.sender == receiver]
        return [
            Loss.QUEUE if packet.dropped else Loss.HALF_DUPLEX if any(packet.meets(span) for span in own) else None
            for packet in packets
        ]

    def _one(self, item: Sent) -> list[OnAir]:
        sender, now = item.message.sender, item.message.time_us
        if self._channel.bandwidth_mbps == 0:
            return [OnAir(sender, now, now) for _ in item.sizes]
        start, taken = max(now, self._free_us.get(sender, 0)), 0
        packets: list[OnAir] = []
        for size in item.sizes:
            begins = start + self._time_us(taken)
            ends = start + self._time_us(taken + size)
            if 0 < self._channel.queue_ms * 1000 < ends - now:
                packets.append(OnAir(sender, begins, begins, dropped=True))
                continue
            taken += size
            packets.append(OnAir(sender, begins, ends))
        self._free_us[sender] = start + self._time_us(taken)
        return packets

    def _time_us(self, size: int) -> int:
        return math.ceil(size * 8 / self._channel.bandwidth_mbps)  # bits per Mbit/s are microseconds
