"""What a message costs on the air of an ITS-G5 or DSRC channel at its default rate of 6 Mb/s (IEEE 802.11p)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from carla_cp.link.airtime import DEFAULT_MBPS, airtime_ms
from carla_cp.link.packets import packet_count
from carla_cp.metrics.summary import EpisodeSummary

PACKET_BYTES = 1400
PERIOD_MS = 100.0  # perception at 10 Hz


@dataclass(frozen=True, slots=True)
class Airtime:
    """The mean message of one codec at one budget."""

    label: str
    bytes_per_message: float
    packets: int  # of at most 1400 bytes, the link's header included
    airtime_ms: float  # with preambles and headers, at `rate_mbps`, without spaces between frames and contention
    rate_mbps: float
    channel_load: float  # of one sender at 10 Hz; above 1 it does not fit


def airtimes(summaries: Sequence[EpisodeSummary]) -> tuple[Airtime, ...]:
    """One entry per codec and budget that sent anything, in order of appearance."""
    groups: dict[str, list[EpisodeSummary]] = {}
    for item in summaries:
        if item.messages.sent:
            groups.setdefault(item.label, []).append(item)
    return tuple(_airtime(label, group) for label, group in groups.items())


def _airtime(label: str, group: Sequence[EpisodeSummary]) -> Airtime:
    sent = sum(item.messages.sent for item in group)
    payload = sum(item.messages.sent * (item.bytes.per_message_mean or 0.0) for item in group) / sent
    mean = math.ceil(payload)
    milliseconds = airtime_ms(mean, DEFAULT_MBPS, PACKET_BYTES)
    packets = packet_count(mean, PACKET_BYTES)
    return Airtime(label, payload, packets, milliseconds, DEFAULT_MBPS, milliseconds / PERIOD_MS)
