"""The report's tables of single facts."""

from __future__ import annotations

from dataclasses import replace

from carla_cp.metrics.communication import LinkFacts, MessageCounts
from carla_cp.report.details import episode_table, latency_table, messages_table
from carla_cp.types import Loss
from tests.metrics.summaries import crossed

from .test_compared import cells


def test_messages_are_summed_and_losses_named_by_their_cause() -> None:
    hit = tuple((cause, {Loss.BURST: 3, Loss.HALF_DUPLEX: 1}.get(cause, 0)) for cause in Loss)
    facts = LinkFacts(packets=40, packets_lost=4, delay_ms=20.0, hit=hit, channel_load=0.1)
    slow = replace(facts, packets_lost=0, delay_ms=50.0, hit=tuple((cause, 0) for cause in Loss))
    one = replace(crossed(), link=facts, messages=MessageCounts(10, 6, 0, 4, 0, 2))
    two = replace(crossed(seed=1), link=slow, messages=MessageCounts(10, 2, 1, 0, 0, 0))
    (row,) = cells(messages_table([one, two, crossed("none", None, aware=False)]))
    assert row == ["revqom@2000", "20", "8", "1", "4", "0", "2", "5.0 %", "burst 3, half duplex 1", "30.0"]


def test_settings_stand_below_their_episode_and_are_escaped() -> None:
    html = episode_table([replace(crossed(), settings=("link.trace_file=<b>",))])
    assert "link.trace_file=&lt;b&gt;" in html and "<b>" not in html
    assert cells(html)[0][1] == "revqom@2000|link.trace_file=<b>"


def test_latencies_are_medians_over_episodes() -> None:
    assert cells(latency_table([crossed()]))[0][:2] == ["revqom@2000", "18.0"]
