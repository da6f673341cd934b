from dataclasses import replace

import pytest

from carla_cp.link.channel import Link, airtime_ms
from carla_cp.link.packets import HEADER_BYTES
from carla_cp.types import AgentName, ChannelSpec, Message, Outcome

EGO = AgentName("ego")
FIXED = ChannelSpec(latency_ms=20.0, jitter_ms=0.0)
LATER = 10_000_000


def message(payload: bytes = b"hello", sender: str = "rsu", sequence: int = 0, time_us: int = 0) -> Message:
    return Message(AgentName(sender), EGO, sequence, time_us, (payload,) if payload else ())


def test_a_message_arrives_whole_after_the_latency() -> None:
    link = Link(FIXED, 0)
    link.send(message(b"x" * 3000, time_us=100), heard=True)
    assert link.receive(20_099) == ()
    (delivery,) = link.receive(20_100)
    assert delivery.message_payload == b"x" * 3000
    log = delivery.transmission
    assert (log.outcome, log.arrived_us, log.packets) == (Outcome.DELIVERED, 20_100, 3)
    assert log.bytes_on_air == 3000 + 3 * HEADER_BYTES
    assert link.receive(LATER) == ()


def test_jitter_spreads_arrivals_around_the_latency() -> None:
    link = Link(replace(FIXED, jitter_ms=5.0), 0)
    for sequence in range(200):
        link.send(message(sequence=sequence), heard=True)
    arrivals = [delivery.transmission.arrived_us for delivery in link.receive(LATER)]
    times = [arrival for arrival in arrivals if arrival is not None]
    assert len(times) == 200
    assert 15_000 <= min(times) < 16_000 and 24_000 < max(times) <= 25_000
    assert times == sorted(times)


def test_loss_hits_packets_so_long_messages_suffer_more() -> None:
    link = Link(replace(FIXED, loss=0.02), 3)
    for sequence in range(400):
        link.send(message(b"x", "short", sequence), heard=True)
        link.send(message(bytes(36 * 1384), "long", sequence), heard=True)
    lost = {"short": 0, "long": 0}
    for delivery in link.receive(LATER):
        if delivery.transmission.outcome is Outcome.LOST:
            assert delivery.message_payload is None and delivery.transmission.arrived_us is None
            lost[delivery.transmission.sender] += 1
    assert lost["short"] / 400 == pytest.approx(0.02, abs=0.02)
    assert lost["long"] / 400 == pytest.approx(1 - 0.98**36, abs=0.08)


def test_total_loss_loses_everything_and_no_loss_nothing() -> None:
    for loss, outcome in ((1.0, Outcome.LOST), (0.0, Outcome.DELIVERED)):
        link = Link(replace(FIXED, loss=loss), 0)
        for sequence in range(50):
            link.send(message(sequence=sequence), heard=True)
        assert {delivery.transmission.outcome for delivery in link.receive(LATER)} == {outcome}


def test_another_agent_changes_nobody_elses_luck() -> None:
    channel = replace(FIXED, loss=0.3, jitter_ms=5.0)
    alone, together = Link(channel, 5), Link(channel, 5)
    for sequence in range(50):
        alone.send(message(sequence=sequence), heard=True)
        together.send(message(sender="car", sequence=sequence), heard=True)
        together.send(message(sequence=sequence), heard=True)
    ours = [item.transmission for item in together.receive(LATER) if item.transmission.sender == "rsu"]
    assert ours == [item.transmission for item in alone.receive(LATER)]


def test_another_seed_brings_other_luck() -> None:
    outcomes = []
    for seed in (0, 0, 1):
        link = Link(replace(FIXED, loss=0.5), seed)
        for sequence in range(40):
            link.send(message(sequence=sequence), heard=True)
        outcomes.append([item.transmission.outcome for item in link.receive(LATER)])
    assert outcomes[0] == outcomes[1] != outcomes[2]


def test_out_of_range_is_lost() -> None:
    link = Link(FIXED, 0)
    link.send(message(), heard=False)
    (delivery,) = link.receive(LATER)
    assert delivery.transmission.outcome is Outcome.LOST


def test_an_empty_payload_is_logged_without_a_packet() -> None:
    link = Link(FIXED, 0)
    link.send(message(b""), heard=True)
    (delivery,) = link.receive(0)
    log = delivery.transmission
    assert (log.outcome, log.packets, log.bytes_on_air, delivery.message_payload) == (Outcome.EMPTY, 0, 0, None)


def test_a_narrow_channel_queues_each_senders_messages() -> None:
    link = Link(replace(FIXED, latency_ms=0.0, bandwidth_mbps=6.0), 0)
    size = 750 - HEADER_BYTES  # 750 bytes on the air take 1 ms
    link.send(message(bytes(size), "rsu", 0), heard=True)
    link.send(message(bytes(size), "rsu", 1), heard=True)
    link.send(message(bytes(size), "car", 0), heard=True)
    arrivals = [(item.transmission.sender, item.transmission.arrived_us) for item in link.receive(LATER)]
    assert arrivals == [("rsu", 1000), ("car", 1000), ("rsu", 2000)]


def test_what_has_not_settled_is_pending() -> None:
    link = Link(FIXED, 0)
    link.send(message(sequence=1, time_us=50_000), heard=True)
    link.send(message(sequence=0), heard=True)
    assert len(link.receive(20_000)) == 1
    assert [item.transmission.sequence for item in link.pending] == [1]


def test_airtime_of_one_packet_is_that_of_the_standard() -> None:
    for frame_bytes, mbps, expected in ((300, 6, 448), (800, 12, 576), (1400, 6, 1912), (1400, 27, 456)):
        assert airtime_ms(frame_bytes - HEADER_BYTES, mbps) == pytest.approx(expected / 1000)
    assert airtime_ms(2 * (1400 - HEADER_BYTES), 6) == pytest.approx(2 * 1.912)
    assert airtime_ms(0, 6) == 0.0


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match='"magic"'):
        Link(replace(FIXED, model="magic"), 0)
    with pytest.raises(ValueError, match="seed -1"):
        Link(FIXED, -1)
    with pytest.raises(ValueError, match="not positive"):
        airtime_ms(100, 0.0)
