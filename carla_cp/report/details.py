"""The report's tables of single facts, as HTML: messages, airtime, latency, episodes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from statistics import median

from carla_cp.link.airtime import DEFAULT_MBPS
from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.report.airtime import PACKET_BYTES, Airtime
from carla_cp.report.compared import table
from carla_cp.report.table import number
from carla_cp.types import Loss

MESSAGES_NOTE = (
    "What became of every message of every episode. A message of several packets may lose some and be delivered; the "
    "causes count messages by the first packet that they lost. The delay is that of what arrived."
)


def messages_table(summaries: Sequence[EpisodeSummary]) -> str:
    """Outcomes, losses by cause and delays of each codec's messages; nothing where none was sent."""
    header = ("codec", "sent", "delivered", "late", "lost", "rejected", "empty", "packets lost", "causes", "delay [ms]")
    return table(header, [_message_cells(label, group) for label, group in _by_label(summaries) if _sent(group)])


def _sent(group: Sequence[EpisodeSummary]) -> int:
    return sum(item.messages.sent + item.messages.empty for item in group)


def _message_cells(label: str, group: Sequence[EpisodeSummary]) -> tuple[str, ...]:
    counts = [item.messages for item in group]
    packets, lost = sum(item.link.packets for item in group), sum(item.link.packets_lost for item in group)
    causes = {cause: sum(dict(item.link.hit)[cause] for item in group) for cause in Loss}
    named = ", ".join(f"{cause.value.replace('_', ' ')} {number(n, 0)}" for cause, n in causes.items() if n)
    arrived = [(item.link.delay_ms, item.messages.delivered + item.messages.late) for item in group]
    delays = [(delay, weight) for delay, weight in arrived if delay is not None and weight]
    delay = sum(d * w for d, w in delays) / sum(w for _, w in delays) if delays else None
    totals = (
        sum(item.sent for item in counts),
        sum(item.delivered for item in counts),
        sum(item.late for item in counts),
        sum(item.lost for item in counts),
        sum(item.rejected for item in counts),
        sum(item.empty for item in counts),
    )
    share = f"{100 * lost / packets:.1f} %" if packets else "–"  # noqa: RUF001
    return (escape(label), *(number(total, 0) for total in totals), share, named or "–", number(delay, 1))  # noqa: RUF001


def _by_label(summaries: Sequence[EpisodeSummary]) -> list[tuple[str, list[EpisodeSummary]]]:
    groups: dict[str, list[EpisodeSummary]] = {}
    for item in summaries:
        groups.setdefault(item.label, []).append(item)
    return list(groups.items())


def airtime_table(items: Sequence[Airtime]) -> str:
    """What the mean message of each codec takes of a channel."""
    header = ("codec", "bytes per message", "packets", "airtime [ms]", "channel used by one sender")
    cells = []
    for item in items:
        load = f"{number(100 * item.channel_load, 1)} %"
        cells.append(
            (
                escape(item.label),
                number(item.bytes_per_message, 0),
                number(item.packets, 0),
                number(item.airtime_ms, 2),
                f'<span class="bad">{load}</span>' if item.channel_load > 1 else load,
            )
        )
    return table(header, cells)


def airtime_note() -> str:
    """What `airtime_table` rests on."""
    return (
        f"The mean message in packets of at most {PACKET_BYTES} bytes, with their headers, at {DEFAULT_MBPS:g} Mb/s, "
        "the default rate of ITS-G5 and DSRC, sent ten times a second, without spaces and contention. Above 100 % one "
        "sender alone does not fit the channel."
    )


def latency_table(summaries: Sequence[EpisodeSummary]) -> str:
    """Medians of wall times per stage."""
    cells = []
    for label, group in _by_label(summaries):
        times = [item.latency_ms for item in group]
        stages = (
            median(item.sense for item in times),
            median(item.encode for item in times),
            median(item.decode for item in times),
            median(item.detect for item in times),
            median(item.plan for item in times),
            median(item.tick for item in times),
        )
        cells.append((escape(label), *(number(value, 1) for value in stages)))
    return table(("codec", "sense", "encode", "decode", "detect", "plan", "whole tick"), cells)


def episode_table(summaries: Sequence[EpisodeSummary]) -> str:
    """A line for every episode; nothing without any."""
    header = (
        *("scenario", "codec", "seed", "end", "collision", "least TTC [s]", "PET [s]", "least gap [m]", "brake [m/s²]"),
        *("aware after [s]", "route", "score", "AP@0.5", "mean / max bytes", "lost / late", "time [s]"),
    )
    return table(header, [_episode_cells(item) for item in summaries], left=2)


def _episode_cells(item: EpisodeSummary) -> tuple[str, ...]:
    largest = item.bytes.per_message_max
    sizes = "–" if largest is None else f"{number(item.bytes.per_message_mean, 0)} / {number(largest, 0)}"  # noqa: RUF001
    end = item.end.value
    return (
        escape(item.scenario),
        escape(item.label) + _below(" ".join(item.settings)),
        str(item.seed),
        f'<span class="bad">{end}</span>' if item.collisions else end,
        _collisions(item),
        number(item.min_ttc_s, 2),
        number(item.conflict.pet_s, 2),
        number(item.min_gap_m, 2),
        number(item.max_brake_mps2, 1),
        number(item.time_to_awareness_s, 2),
        f"{100 * item.route_completion:.0f} %",
        number(item.driving_score.lb21, 1),
        number(item.ap.iou50),
        sizes,
        f"{item.messages.lost} / {item.messages.late}",
        number(item.sim_s, 1),
    )


def _collisions(item: EpisodeSummary) -> str:
    hits = (f"{escape(h.other)} at {h.speed_mps:.1f} m/s, impact {h.impact_mps:.1f} m/s" for h in item.collisions)
    return "<br>".join(hits) or "–"  # noqa: RUF001


def _below(text: str) -> str:
    return f'<br><span class="interval">{escape(text)}</span>' if text else ""
