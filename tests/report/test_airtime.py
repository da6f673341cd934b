"""What a message costs on the air."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carla_cp.link.packets import HEADER_BYTES, split
from carla_cp.metrics.communication import ByteCounts
from carla_cp.metrics.summary import summarise
from carla_cp.report.airtime import airtimes
from carla_cp.types import AgentName
from tests.metrics.builders import crossing


def test_a_message_takes_the_packets_of_the_link_and_their_time_at_the_rate() -> None:
    summary = summarise(crossing(), None)
    sent = summary.messages.sent
    size = 3 * (1400 - HEADER_BYTES)
    counts = ByteCounts(float(size), size, float(size), on_air=3 * 1400 * sent)
    (item,) = airtimes([replace(summary, bytes=counts)] * 2)
    assert item.packets == len(split([bytes(size)], 1400, AgentName("sender"), 0)) == 3
    assert item.airtime_ms == pytest.approx(3 * 1.912)  # 40 us of preamble, 234 symbols of 8 us for 22 + 11200 bits
    assert item.channel_load == pytest.approx(item.airtime_ms / 100.0)


def test_a_codec_that_sends_nothing_has_no_entry() -> None:
    assert airtimes([summarise(crossing("none", None, aware=False), None)]) == ()
