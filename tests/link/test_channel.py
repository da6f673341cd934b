from dataclasses import replace

import pytest

from carla_cp.link import LinkError
from carla_cp.link.channel import Link
from carla_cp.link.graph import connectivity
from carla_cp.link.packets import HEADER_BYTES
from carla_cp.types import AgentName, ChannelSpec, Loss, Message, Outcome, Pose
from tests.link.carrying import around

EGO = AgentName("ego")
FIXED = ChannelSpec(latency_ms=20.0, jitter_ms=0.0)
LATER = 10_000_000


def message(payload: bytes = b"hello", sender: str = "rsu", sequence: int = 0, time_us: int = 0) -> Message:
    return Message(AgentName(sender), EGO, sequence, time_us, (payload,) if payload else ())


def send(link: Link, *messages: Message, far: bool = False) -> None:
    """Hands messages over, between agents that are in range or all too far away."""
    names = dict.fromkeys(name for item in messages for name in (item.sender, item.receiver))
    places = [(name, Pose(x=9_000.0 * number if far else 0.0)) for number, name in enumerate(names)]
    link.send(messages, connectivity(places, 150.0), around(*places))


def test_a_message_arrives_whole_after_the_latency() -> None:
    link = Link(FIXED, 0)
    send(link, message(b"x" * 3000, time_us=100))
    assert link.receive(20_099) == ()
    (delivery,) = link.receive(20_100)
    assert delivery.message_payload == b"x" * 3000
    log = delivery.transmission
    assert (log.outcome, log.arrived_us, log.packets) == (Outcome.DELIVERED, 20_100, 3)
    assert log.bytes_on_air == 3000 + 3 * HEADER_BYTES
    assert link.receive(LATER) == ()


def test_a_message_comes_to_the_radio_once_it_is_encoded_and_is_logged_by_its_capture() -> None:
    link = Link(FIXED, 0, encode_us=7_000)
    send(link, message(time_us=100), message(b"", "cav", time_us=100))
    empty, spoken = (delivery.transmission for delivery in link.receive(LATER))
    assert (spoken.sent_us, spoken.arrived_us) == (100, 27_100)
    assert (empty.sent_us, empty.outcome) == (100, Outcome.EMPTY)


def test_jitter_spreads_arrivals_around_the_latency() -> None:
    link = Link(replace(FIXED, jitter_ms=5.0), 0)
    for sequence in range(200):
        send(link, message(sequence=sequence))
    arrivals = [delivery.transmission.arrived_us for delivery in link.receive(LATER)]
    times = [arrival for arrival in arrivals if arrival is not None]
    assert len(times) == 200
    assert 15_000 <= min(times) < 16_000 and 24_000 < max(times) <= 25_000
    assert times == sorted(times)


def test_loss_hits_packets_so_long_messages_suffer_more() -> None:
    link = Link(replace(FIXED, loss=0.02), 3)
    for sequence in range(400):
        send(link, message(b"x", "short", sequence))
        send(link, message(bytes(36 * 1384), "long", sequence))
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
            send(link, message(sequence=sequence))
        assert {delivery.transmission.outcome for delivery in link.receive(LATER)} == {outcome}


def test_another_agent_changes_nobody_elses_luck() -> None:
    channel = replace(FIXED, loss=0.3, jitter_ms=5.0)
    alone, together = Link(channel, 5), Link(channel, 5)
    for sequence in range(50):
        send(alone, message(sequence=sequence))
        send(together, message(sender="car", sequence=sequence))
        send(together, message(sequence=sequence))
    ours = [item.transmission for item in together.receive(LATER) if item.transmission.sender == "rsu"]
    assert ours == [item.transmission for item in alone.receive(LATER)]


def test_another_seed_brings_other_luck() -> None:
    outcomes = []
    for seed in (0, 0, 1):
        link = Link(replace(FIXED, loss=0.5), seed)
        for sequence in range(40):
            send(link, message(sequence=sequence))
        outcomes.append([item.transmission.outcome for item in link.receive(LATER)])
    assert outcomes[0] == outcomes[1] != outcomes[2]


def test_out_of_range_is_lost() -> None:
    link = Link(FIXED, 0)
    send(link, message(), far=True)
    (delivery,) = link.receive(LATER)
    log = delivery.transmission
    assert (log.outcome, log.loss, log.packets_lost) == (Outcome.LOST, Loss.RANGE, 1)


def test_an_empty_payload_is_logged_without_a_packet() -> None:
    link = Link(FIXED, 0)
    send(link, message(b""))
    (delivery,) = link.receive(0)
    log = delivery.transmission
    assert (log.outcome, log.packets, log.bytes_on_air, delivery.message_payload) == (Outcome.EMPTY, 0, 0, None)


def test_a_narrow_channel_queues_each_senders_messages() -> None:
    link = Link(replace(FIXED, latency_ms=0.0, bandwidth_mbps=6.0), 0)
    size = 750 - HEADER_BYTES  # 750 bytes on the air take 1 ms
    send(link, message(bytes(size), "rsu", 0))
    send(link, message(bytes(size), "rsu", 1))
    send(link, message(bytes(size), "car", 0))
    arrivals = [(item.transmission.sender, item.transmission.arrived_us) for item in link.receive(LATER)]
    assert arrivals == [("rsu", 1000), ("car", 1000), ("rsu", 2000)]


def test_what_has_not_settled_is_pending() -> None:
    link = Link(FIXED, 0)
    send(link, message(sequence=1, time_us=50_000))
    send(link, message(sequence=0))
    assert len(link.receive(20_000)) == 1
    assert [item.transmission.sequence for item in link.pending] == [1]


def test_a_message_of_several_parts_may_lose_some_and_says_why() -> None:
    link = Link(replace(FIXED, loss=0.5), 0)
    for sequence in range(40):
        send(link, Message(AgentName("rsu"), EGO, sequence, 0, (b"one", b"two", b"three")))
    logs = [item for item in link.receive(LATER) if 0 < item.transmission.packets_lost < 3]
    assert logs
    for delivery in logs:
        log = delivery.transmission
        assert (log.outcome, log.loss, log.packets) == (Outcome.DELIVERED, Loss.CHANCE, 3)
        assert delivery.message_payload in {b"one", b"two", b"three", b"onetwo", b"onethree", b"twothree"}


def test_what_does_not_come_to_its_turn_in_time_is_dropped_with_its_cause() -> None:
    link = Link(replace(FIXED, latency_ms=0.0, bandwidth_mbps=6.0, queue_ms=1.5), 0)
    size = 750 - HEADER_BYTES
    send(link, message(bytes(size), "rsu", 0), message(bytes(size), "rsu", 1))
    logs = [item.transmission for item in link.receive(LATER)]
    assert [(log.sequence, log.outcome, log.loss) for log in logs] == [
        (0, Outcome.DELIVERED, None),
        (1, Outcome.LOST, Loss.QUEUE),
    ]


def test_bad_settings_are_refused() -> None:
    with pytest.raises(LinkError, match="'magic'"):
        Link(replace(FIXED, model="magic"), 0)
    with pytest.raises(ValueError, match="seed -1"):
        Link(FIXED, -1)
