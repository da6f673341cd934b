"""One channel for all senders: who is on air when, by listening before talking.

IEEE 802.11-2020, 10.3 and Table 17-21 for 10 MHz: after 58 us of silence (32 us and two slots of 13 us) a sender
counts down a number of slots drawn from 0 to 15, stands still while it hears others, and sends one packet. Broadcasts
are not acknowledged, so nothing is repeated and the window does not grow. Who does not hear the other sends into its
packet; who comes to the same slot, too. Left out: sidelink's own scheduling (sensing-based reservation, mode 4 and
2), priorities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from carla_cp.link.radio import OnAir
from carla_cp.types import AgentName

SILENCE_US = 58
SLOT_US = 13
WINDOW = 16


@dataclass(frozen=True, slots=True)
class Waiting:
    """One packet before a radio."""

    handed_us: int
    length_us: int
    slots: int  # drawn back-off, below WINDOW


@dataclass(slots=True)
class _Station:
    """A sender with packets."""

    name: AgentName
    packets: Sequence[Waiting]
    idle_us: int  # from when on its channel is silent, as it hears it
    left: int = 0  # slots to count
    done: list[OnAir] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left = self.packets[0].slots

    @property
    def start_us(self) -> int:
        """When its next packet goes on air, if nobody comes before."""
        return self.idle_us + SILENCE_US + self.left * SLOT_US

    def finish(self, span: OnAir) -> None:
        self.done.append(span)
        self.idle_us = max(self.idle_us, span.end_us)
        if len(self.done) < len(self.packets):
            following = self.packets[len(self.done)]
            self.idle_us, self.left = max(self.idle_us, following.handed_us), following.slots

    def listen(self, span: OnAir) -> None:
        """Stands still for another's packet; what was counted before stays counted."""
        self.left -= max(0, min(self.left, (span.start_us - self.idle_us - SILENCE_US) // SLOT_US))
        self.idle_us = max(self.idle_us, span.end_us)


@dataclass(frozen=True, slots=True)
class Channel:
    """What senders find when they have something to say."""

    hears: frozenset[tuple[AgentName, AgentName]]  # who hears whom, both ways
    busy: Sequence[OnAir]  # packets of before that are, or will be, on air
    queue_us: int  # what would not be through by then is dropped; 0: nothing is


def contend(queues: Sequence[tuple[AgentName, Sequence[Waiting]]], channel: Channel) -> list[list[OnAir]]:
    """When each packet of each sender's queue is on air; one sender has one queue, and sends it in order."""
    stations = [_Station(name, packets, max([packets[0].handed_us, *_ends(name, channel)])) for name, packets in queues]
    while waiting := [station for station in stations if len(station.done) < len(station.packets)]:
        if _drop(waiting, channel.queue_us):
            continue
        first = min(station.start_us for station in waiting)
        spans = []
        for station in [station for station in waiting if station.start_us == first]:
            spans.append(OnAir(station.name, first, first + station.packets[len(station.done)].length_us))
            station.finish(spans[-1])
        for station in waiting:
            for span in spans:
                if (station.name, span.sender) in channel.hears:
                    station.listen(span)
    return [station.done for station in stations]


def _ends(name: AgentName, channel: Channel) -> list[int]:
    return [span.end_us for span in channel.busy if span.sender == name or (name, span.sender) in channel.hears]


def _drop(waiting: Sequence[_Station], queue_us: int) -> bool:
    """Drops the next packet of every sender that would not be through in time; whether there was one."""
    late = []
    for station in waiting:
        packet = station.packets[len(station.done)]
        if queue_us and station.start_us + packet.length_us > packet.handed_us + queue_us:
            late.append((station, OnAir(station.name, station.idle_us, station.idle_us, dropped=True)))
    for station, span in late:
        station.finish(span)
    return bool(late)
