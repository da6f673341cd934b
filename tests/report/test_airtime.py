"""What a message costs on the air."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carla_cp.metrics.communication import ByteCounts
from carla_cp.metrics.summary import summarise
from carla_cp.report.airtime import airtimes
from tests.metrics.builders import crossing


def test_a_message_takes_its_bits_on_air_over_the_rate() -> None:
    summary = summarise(crossing(), None)
    sent = summary.messages.sent
    counts = ByteCounts(per_message_mean=2800.0, per_message_max=2800, per_agent_tick_mean=2800.0, on_air=3000 * sent)
    (item,) = airtimes([replace(summary, bytes=counts)] * 2)
    assert item.packets == 2
    assert item.airtime_ms == pytest.approx(4.0)
    assert item.channel_load == pytest.approx(0.04)


def test_a_codec_that_sends_nothing_has_no_entry() -> None:
    assert airtimes([summarise(crossing("none", None, aware=False), None)]) == ()
