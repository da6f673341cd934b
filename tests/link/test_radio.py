from dataclasses import replace

from carla_cp.link.radio import OnAir, Radios
from carla_cp.types import ChannelSpec, Loss
from tests.link.carrying import CAR, EGO, RSU, message, sent

SLOW = ChannelSpec(bandwidth_mbps=8.0)  # 1000 bytes take 1 ms


def test_packets_of_one_sender_follow_each_other_and_another_does_not_wait() -> None:
    first, second, other = Radios(SLOW).send([sent(message(RSU), 2), sent(message(RSU)), sent(message(CAR))])
    assert [(span.start_us, span.end_us) for span in first] == [(0, 1000), (1000, 2000)]
    assert [(span.start_us, span.end_us) for span in second] == [(2000, 3000)]
    assert [(span.start_us, span.end_us) for span in other] == [(0, 1000)]


def test_a_queue_outlasts_the_hand_over() -> None:
    radios = Radios(SLOW)
    radios.send([sent(message(RSU), 5)])
    ((span,),) = radios.send([sent(message(RSU, time_us=2_000))])
    assert (span.start_us, span.end_us) == (5000, 6000)


def test_what_would_be_too_old_is_dropped_and_takes_no_time() -> None:
    radios = Radios(replace(SLOW, queue_ms=2.0))
    (packets,) = radios.send([sent(message(RSU), 3)])
    assert [packet.dropped for packet in packets] == [False, False, True]
    assert radios.causes(EGO, packets) == [None, None, Loss.QUEUE]
    ((span,),) = radios.send([sent(message(RSU, time_us=1_000))])
    assert (span.start_us, span.dropped) == (2000, False)


def test_a_half_duplex_radio_is_deaf_while_it_sends_and_no_longer() -> None:
    for half_duplex in (False, True):
        radios = Radios(replace(SLOW, half_duplex=half_duplex))
        asked = sent(message(EGO, receiver=RSU), 2)
        to_ego, to_rsu = radios.send([sent(message(RSU), 3), asked])
        deaf = Loss.HALF_DUPLEX if half_duplex else None
        assert radios.causes(EGO, to_ego) == [deaf, deaf, None]
        assert radios.causes(RSU, to_rsu) == [deaf, deaf]


def test_a_radio_is_deaf_to_the_next_message_while_the_last_is_on_air() -> None:
    radios = Radios(replace(SLOW, half_duplex=True))
    radios.send([sent(message(EGO, receiver=RSU), 4)])
    (packets,) = radios.send([sent(message(RSU, time_us=3_000), 2)])
    assert radios.causes(EGO, packets) == [Loss.HALF_DUPLEX, None]


def test_a_radio_without_a_bit_rate_takes_no_time() -> None:
    (packets,) = Radios(ChannelSpec()).send([sent(message(RSU, time_us=5), 3)])
    assert packets == [OnAir(RSU, 5, 5)] * 3
