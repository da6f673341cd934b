"""Messages by outcome, and their bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carla_cp.metrics.communication import count_bytes, count_messages, link_facts, transmissions
from carla_cp.types import Loss, Outcome

from .builders import record, state, transmission

SENT = (
    transmission("a", 0, 1000),
    transmission("b", 0, 2000, Outcome.LATE),
    transmission("a", 100, 3000, Outcome.LOST),
    transmission("b", 100, 0, Outcome.EMPTY),
    transmission("a", 200, 400, Outcome.REJECTED),
    transmission("b", 200, 0, Outcome.EMPTY),
)


def test_messages_are_counted_by_outcome_and_empty_ones_are_not_sent() -> None:
    counts = count_messages(SENT)
    assert (counts.sent, counts.delivered, counts.late) == (4, 1, 1)
    assert (counts.lost, counts.rejected, counts.empty) == (1, 1, 2)


def test_empty_messages_count_as_zero_per_agent_and_tick_but_not_per_message() -> None:
    counts = count_bytes(SENT)
    assert counts.per_message_mean == 1600.0
    assert counts.per_message_max == 3000
    assert counts.per_agent_tick_mean == 6400 / 6
    assert counts.on_air == 6400 + 36 * (1 + 2 + 3 + 1)


def test_a_request_to_two_partners_is_one_slot_of_its_sender() -> None:
    asked = [transmission("ego", 0, 30, receiver=name) for name in ("a", "b")]
    assert count_bytes(asked).per_agent_tick_mean == 60.0


def test_where_nothing_was_said_means_are_undefined_and_totals_zero() -> None:
    counts = count_bytes(())
    assert (counts.per_message_mean, counts.per_message_max, counts.per_agent_tick_mean) == (None, None, None)
    assert counts.on_air == 0
    assert count_bytes(SENT[3:4]).per_message_mean is None
    assert count_bytes(SENT[3:4]).per_agent_tick_mean == 0.0


def test_all_records_transmissions_are_gathered_in_order() -> None:
    records = [
        record(0, state(0), transmissions=SENT[:2]),
        record(1, state(0)),
        record(2, state(0), transmissions=SENT[2:]),
    ]
    assert transmissions(records) == SENT


def test_losses_are_counted_by_the_cause_of_a_message_s_first_lost_packet() -> None:
    sent = [
        transmission("a", 0, 3000),
        replace(transmission("a", 1, 3000), packets_lost=1, loss=Loss.BURST),
        replace(transmission("b", 0, 1000, Outcome.LOST), packets_lost=1, loss=Loss.RANGE),
    ]
    facts = link_facts(sent, 2.0)
    assert (facts.packets, facts.packets_lost, facts.delay_ms) == (7, 2, 20.0)
    assert {cause: count for cause, count in facts.hit if count} == {Loss.BURST: 1, Loss.RANGE: 1}
    assert link_facts([], 2.0).delay_ms is None


def test_the_channel_s_load_is_the_airtime_of_all_packets_at_6_mbit_per_second() -> None:
    one = replace(transmission("a", 0, 1000), packets=2, bytes_on_air=2600)
    frame_s = 1e-6 * (40 + 8 * 218)  # of 1300 bytes: 10,422 bits in symbols of 48
    assert link_facts([one, transmission("b", 0, 0, Outcome.EMPTY), one], 0.1).channel_load == pytest.approx(
        40 * frame_s
    )
    assert link_facts([], 2.0).channel_load == 0.0 and link_facts([one], 0.0).channel_load is None
