"""Model `trace`: latency and loss per link over time, as measured, from a CSV file.

Columns `time_s,sender,receiver,latency_ms,loss`; `*` stands for any sender or receiver that has no rows of its own. A
row holds from its time to the next of the same link. Each link's rows begin at 0 and rise, no more than 1 s apart,
for what happened in a longer pause nobody knows; the last row says when the trace is over, and then it begins again.
Each packet is drawn on its own with the row's `loss`; `bandwidth_mbps`, `queue_ms` and `half_duplex` are as in
`fixed`.
"""

from __future__ import annotations

import bisect
import csv
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carla_cp.link.base import Flight, LinkError, LinkModel, Sent
from carla_cp.link.fixed import check_radio
from carla_cp.link.radio import Radios
from carla_cp.types import AgentName, ChannelSpec, Loss, Surroundings

COLUMNS = ["time_s", "sender", "receiver", "latency_ms", "loss"]
ANY = "*"
GAP_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One row."""

    time_us: int
    sender: str
    receiver: str
    latency_us: int
    loss: float
    line: int  # in the file


class TraceLink(LinkModel):
    """Each link as its rows say."""

    name = "trace"

    def __init__(self, channel: ChannelSpec, seed: int) -> None:
        super().__init__(channel, seed)
        check_radio(channel)
        if channel.trace_file is None:
            raise LinkError('model trace needs a trace_file; add trace_file="links.csv"')
        self._file, self._samples = channel.trace_file, read_trace(channel.trace_file)
        self._radios = Radios(channel)

    def check_links(self, links: Sequence[tuple[AgentName, AgentName]]) -> None:
        """Every link has rows."""
        for sender, receiver in links:
            self._rows(sender, receiver)

    def carry(self, sent: Sequence[Sent], around: Surroundings) -> list[Flight]:
        """Each message after its time on air and the latency of its row; each packet with a draw of its own."""
        flights = []
        for item, packets in zip(sent, self._radios.send(sent), strict=True):
            message = item.message
            row = self.at(message.sender, message.receiver, message.time_us)
            draws = self.luck.of("loss", (message.sender, message.receiver), message.sequence)
            causes = self._radios.causes(message.receiver, packets)
            losses = tuple(
                cause or (Loss.CHANCE if draw < row.loss else None)
                for cause, draw in zip(causes, draws.random(len(packets)), strict=True)
            )
            flights.append(Flight(packets[-1].end_us + row.latency_us, losses))
        return flights

    def at(self, sender: AgentName, receiver: AgentName, time_us: int) -> Sample:
        """The row that holds for a link at a time. Raises LinkError for a link without rows."""
        rows = self._rows(sender, receiver)
        place = bisect.bisect_right([row.time_us for row in rows], time_us % rows[-1].time_us)
        return rows[place - 1]

    def _rows(self, sender: AgentName, receiver: AgentName) -> list[Sample]:
        for one, other in ((sender, receiver), (sender, ANY), (ANY, receiver), (ANY, ANY)):
            rows = [row for row in self._samples if (row.sender, row.receiver) == (one, other)]
            if rows:
                return rows
        raise LinkError(f"{self._file}: no row for the link from '{sender}' to '{receiver}'; add them, or rows with *")


def read_trace(file: Path) -> tuple[Sample, ...]:
    """The rows of a trace. Raises LinkError, with file and line, for one that cannot be used."""
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            lines = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LinkError(f"{file}: cannot be read ({error}); give a CSV file") from error
    if not lines or lines[0] != COLUMNS:
        found = ",".join(lines[0]) if lines else "nothing"
        raise LinkError(f"{file}:1: the columns are {found}; write {','.join(COLUMNS)}")
    samples = tuple(_sample(file, number, row) for number, row in enumerate(lines[1:], 2) if row)
    if not samples:
        raise LinkError(f"{file}: has no rows; give at least two per link")
    for link in dict.fromkeys((row.sender, row.receiver) for row in samples):
        _check_times(file, [row for row in samples if (row.sender, row.receiver) == link])
    return samples


def _sample(file: Path, line: int, row: Sequence[str]) -> Sample:
    if len(row) != len(COLUMNS):
        raise LinkError(f"{file}:{line}: has {len(row)} values; write {len(COLUMNS)}: {','.join(COLUMNS)}")
    time_s, sender, receiver, latency_ms, loss = row
    return Sample(
        round(1e6 * _number(file, line, "time_s", time_s, math.inf)),
        sender.strip(),
        receiver.strip(),
        round(1e3 * _number(file, line, "latency_ms", latency_ms, math.inf)),
        _number(file, line, "loss", loss, 1.0),
        line,
    )


def _number(file: Path, line: int, column: str, text: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0.0 <= value <= most and math.isfinite(value)):
        wanted = "a number from 0" + (f" to {most:g}" if math.isfinite(most) else "")
        raise LinkError(f"{file}:{line}: {column} '{text}' is not {wanted}; mend it")
    return value


def _check_times(file: Path, rows: Sequence[Sample]) -> None:
    """Raises LinkError unless the rows of one link begin at 0, rise, and leave no gap."""
    link = f"of the link '{rows[0].sender}' to '{rows[0].receiver}'"
    if rows[0].time_us != 0:
        raise LinkError(f"{file}:{rows[0].line}: the first row {link} is at {rows[0].time_us / 1e6:g} s; begin at 0")
    if len(rows) == 1:
        raise LinkError(f"{file}:{rows[0].line}: one row {link} has no end; add one at which the trace is over")
    for before, after in itertools.pairwise(rows):
        times = f"time_s {after.time_us / 1e6:g} {link} after {before.time_us / 1e6:g}"
        if after.time_us <= before.time_us:
            raise LinkError(f"{file}:{after.line}: {times} does not rise; sort the rows by time")
        if after.time_us - before.time_us > GAP_US:
            raise LinkError(f"{file}:{after.line}: {times} leaves a gap of more than 1 s; fill it, or cut the trace")
