"""What was sent and what became of it, from the records of one episode. The only rate is the payload's length."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from carla_cp.link.airtime import DEFAULT_MBPS, frame_us
from carla_cp.types import AgentName, Loss, Outcome, TickRecord, Transmission


@dataclass(frozen=True, slots=True)
class MessageCounts:
    """Messages by outcome; `sent` is all but the empty ones."""

    sent: int
    delivered: int
    late: int
    lost: int
    rejected: int
    empty: int


@dataclass(frozen=True, slots=True)
class ByteCounts:
    """Payload bytes, and what they took on air with per-packet headers."""

    per_message_mean: float | None  # over the messages sent
    per_message_max: int | None
    per_agent_tick_mean: float | None  # over every agent and tick at which it could send; an empty one counts 0
    on_air: int  # total


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """What the link did to the packets of one episode."""

    packets: int  # of the messages sent
    packets_lost: int
    delay_ms: float | None  # mean of the messages that arrived
    hit: tuple[tuple[Loss, int], ...]  # every cause, and the messages that lost their first packet to it
    channel_load: float | None  # busy share of one ITS-G5 channel if all had sent on it; above 1 it does not fit


def transmissions(records: Sequence[TickRecord]) -> tuple[Transmission, ...]:
    """Every message of the episode that was settled before its end."""
    return tuple(item for record in records for item in record.transmissions)


def count_messages(sent: Sequence[Transmission]) -> MessageCounts:
    """How many messages met each outcome."""
    counts = Counter(item.outcome for item in sent)
    return MessageCounts(
        sent=len(sent) - counts[Outcome.EMPTY],
        delivered=counts[Outcome.DELIVERED],
        late=counts[Outcome.LATE],
        lost=counts[Outcome.LOST],
        rejected=counts[Outcome.REJECTED],
        empty=counts[Outcome.EMPTY],
    )


def count_bytes(sent: Sequence[Transmission]) -> ByteCounts:
    """The bytes of all messages; what has no message to be taken over is None."""
    sizes = [item.payload_bytes for item in sent if item.outcome is not Outcome.EMPTY]
    slots: Counter[tuple[AgentName, int]] = Counter()
    for item in sent:
        slots[item.sender, item.sent_us] += item.payload_bytes  # of an empty one 0
    return ByteCounts(
        per_message_mean=sum(sizes) / len(sizes) if sizes else None,
        per_message_max=max(sizes, default=None),
        per_agent_tick_mean=slots.total() / len(slots) if slots else None,
        on_air=sum(item.bytes_on_air for item in sent),
    )


def link_facts(sent: Sequence[Transmission], duration_s: float) -> LinkFacts:
    """Packets, losses by cause, delay and airtime of all messages of an episode.

    One that lost a packet may still have been delivered. Packets of a message count as of one length, on the channel's
    default rate, with preambles and headers, without spaces between frames and contention (`link.airtime`).
    """
    delays = [(item.arrived_us - item.sent_us) / 1000 for item in sent if item.arrived_us is not None]
    causes = Counter(item.loss for item in sent)
    return LinkFacts(
        packets=sum(item.packets for item in sent),
        packets_lost=sum(item.packets_lost for item in sent),
        delay_ms=fmean(delays) if delays else None,
        hit=tuple((cause, causes[cause]) for cause in Loss),
        channel_load=sum(map(_airtime_s, sent)) / duration_s if duration_s > 0 else None,
    )


def _airtime_s(item: Transmission) -> float:
    if item.packets == 0:
        return 0.0
    return item.packets * frame_us(math.ceil(item.bytes_on_air / item.packets), DEFAULT_MBPS) / 1e6
