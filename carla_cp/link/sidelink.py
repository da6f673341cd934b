"""Model `sidelink`: direct radio at 5.9 GHz, by geometry: the truck that hides the car weakens the signal too.

How strong a signal arrives says `propagation` (3GPP TR 37.885, section 6.2.1), when packets are on air `access` and
`airtime` (IEEE 802.11p on 10 MHz), what a receiver makes of them `reception`. A packet is lost because the receiver
sends meanwhile (half-duplex), because the signal is too weak for the noise (signal), or because others send meanwhile
and it is too weak for these and the noise together (collision).

Parameters: `power_dbm`; `bandwidth_mbps` 3, 6 or 12 (0 stands for 6); `environment`; `queue_ms`; `latency_ms` and
`jitter_ms` pass in the sender, before its radio. All sensors fire at once here, so without jitter all senders come to
the channel at once, and meet in a slot more often than on a road. `loss` and `half_duplex` are not read: losses have
causes here, and a radio is never on both sides. One message with the same bytes to several receivers is on air once.
Left out: a packet of a later perception tick that runs into one of an earlier, whose fate is decided by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carla_cp.link.access import WINDOW, Channel, Waiting, contend
from carla_cp.link.airtime import frame_us
from carla_cp.link.base import Flight, LinkError, LinkModel, Sent
from carla_cp.link.propagation import Propagation
from carla_cp.link.radio import OnAir
from carla_cp.link.reception import NOISE_DBM, RATES_MBPS, milliwatts, packet_error
from carla_cp.types import AgentName, ChannelSpec, FloatArray, Loss, Message, Surroundings

DEFAULT_MBPS = 6.0
SENSE_DBM = -85.0  # at which a preamble is heard on 10 MHz (IEEE 802.11-2020, 17.3.10.6)


@dataclass(frozen=True, slots=True, eq=False)
class _Air:
    """All that is on air around one hand-over."""

    agents: tuple[AgentName, ...]
    power_dbm: FloatArray  # (A, A) of each sender at each receiver
    spans: tuple[OnAir, ...]

    def power(self, sender: AgentName, receiver: AgentName) -> float:
        return float(self.power_dbm[self.agents.index(sender), self.agents.index(receiver)])


class SidelinkLink(LinkModel):
    """All senders on one channel."""

    name = "sidelink"

    def __init__(self, channel: ChannelSpec, seed: int) -> None:
        super().__init__(channel, seed)
        self.mbps = channel.bandwidth_mbps or DEFAULT_MBPS
        if self.mbps not in RATES_MBPS:
            raise LinkError(f"bandwidth_mbps {self.mbps:g} is no rate of sidelink; give 3, 6 or 12")
        self._propagation = Propagation(channel.environment, self.luck)
        self._spans: list[OnAir] = []

    def carry(self, sent: Sequence[Sent], around: Surroundings) -> list[Flight]:
        """Each message when the channel had room for it; each packet by the strength it arrived with."""
        if not sent:
            return []
        now = sent[0].message.time_us
        agents = tuple(name for name, _ in around.antennas)
        power = self.channel.power_dbm - self._propagation.losses_db(around, now)
        self._spans = [span for span in self._spans if span.end_us > now]
        packets = self._schedule(sent, agents, power)
        air = _Air(agents, power, tuple(self._spans))
        return [self._flight(item, own, air) for item, own in zip(sent, packets, strict=True)]

    def _schedule(self, sent: Sequence[Sent], agents: tuple[AgentName, ...], power: FloatArray) -> list[list[OnAir]]:
        """When the packets of each message are on air; they are among the spans from now on."""
        said: dict[AgentName, list[Sent]] = {}
        for item in sent:
            queue = said.setdefault(item.message.sender, [])
            if all(item.message.parts != other.message.parts for other in queue):
                queue.append(item)
        hears = frozenset((agents[a], agents[b]) for a, b in np.argwhere(power >= SENSE_DBM) if a != b)
        channel = Channel(hears, tuple(self._spans), round(self.channel.queue_ms * 1000.0))
        times = contend([(name, self._waiting(name, queue)) for name, queue in said.items()], channel)
        placed: dict[tuple[AgentName, tuple[bytes, ...]], list[OnAir]] = {}
        for (name, queue), spans in zip(said.items(), times, strict=True):
            self._spans += [span for span in spans if not span.dropped]
            for item in queue:
                placed[name, item.message.parts] = spans[: len(item.sizes)]
                spans = spans[len(item.sizes) :]
        return [placed[item.message.sender, item.message.parts] for item in sent]

    def _waiting(self, name: AgentName, queue: Sequence[Sent]) -> list[Waiting]:
        now = queue[0].message.time_us
        jitter_ms = self.channel.jitter_ms * self.luck.of("jitter", (name,), now).uniform(-1.0, 1.0)
        handed_us = now + max(0, round(1000.0 * (self.channel.latency_ms + jitter_ms)))
        sizes = [size for item in queue for size in item.sizes]
        slots = self.luck.of("slots", (name,), now).integers(WINDOW, size=len(sizes))
        return [
            Waiting(handed_us, frame_us(size, self.mbps), int(slot)) for size, slot in zip(sizes, slots, strict=True)
        ]

    def _flight(self, item: Sent, packets: Sequence[OnAir], air: _Air) -> Flight:
        message = item.message
        draws = self.luck.of("loss", (message.sender, message.receiver), message.sequence).random(len(packets))
        losses = tuple(
            self._loss(message, packet, size, float(draw), air)
            for packet, size, draw in zip(packets, item.sizes, draws, strict=True)
        )
        return Flight(packets[-1].end_us, losses)

    def _loss(self, message: Message, packet: OnAir, size: int, draw: float, air: _Air) -> Loss | None:
        if packet.dropped:
            return Loss.QUEUE
        others = [span for span in air.spans if span.sender != message.sender and span.meets(packet)]
        if any(span.sender == message.receiver for span in others):
            return Loss.HALF_DUPLEX
        signal, noise = milliwatts(air.power(message.sender, message.receiver)), milliwatts(NOISE_DBM)
        if draw < packet_error(signal / noise, size, self.mbps):
            return Loss.SIGNAL
        # Several packets of one sender follow each other: its strength counts once.
        names = {span.sender for span in others if span.sender in air.agents}
        interference = sum(milliwatts(air.power(name, message.receiver)) for name in sorted(names))
        return Loss.COLLISION if draw < packet_error(signal / (noise + interference), size, self.mbps) else None
