import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_cp.link.packets import HEADER_BYTES, packet_count, reassemble, split
from carla_cp.types import AgentName

ALICE, BOB = AgentName("alice"), AgentName("bob")


@given(payload=st.binary(min_size=1, max_size=5000), mtu=st.integers(HEADER_BYTES + 1, 1400), order=st.randoms())
@settings(max_examples=60, deadline=None)
def test_packets_in_any_order_give_back_the_payload(payload: bytes, mtu: int, order: random.Random) -> None:
    packets = split([payload], mtu, ALICE, 7)
    assert len(packets) == packet_count(len(payload), mtu)
    assert max(map(len, packets)) <= mtu
    assert sum(map(len, packets)) == len(payload) + HEADER_BYTES * len(packets)
    order.shuffle(packets)
    assert reassemble(packets) == payload


def test_a_missing_packet_gives_nothing() -> None:
    packets = split([bytes(5000)], 1400, ALICE, 1)
    for lost in range(len(packets)):
        assert reassemble(packets[:lost] + packets[lost + 1 :]) is None


def test_a_repeated_packet_does_no_harm() -> None:
    packets = split([b"x" * 3000], 1400, ALICE, 1)
    assert reassemble(packets + packets[:1]) == b"x" * 3000


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_flipped_bit_gives_nothing(data: st.DataObject) -> None:
    packets = split([bytes(range(256)) * 8], 700, ALICE, 1)
    which = data.draw(st.integers(0, len(packets) - 1))
    bit = data.draw(st.integers(0, 8 * len(packets[which]) - 1))
    broken = bytearray(packets[which])
    broken[bit // 8] ^= 1 << bit % 8
    assert reassemble([*packets[:which], bytes(broken), *packets[which + 1 :]]) is None


def test_packets_of_two_messages_are_never_mixed() -> None:
    first, second, other = (split([b"a" * 2000], 1400, *who) for who in ((ALICE, 1), (ALICE, 2), (BOB, 1)))
    assert reassemble([first[0], second[1]]) is None
    assert reassemble([first[0], other[1]]) is None


@given(packets=st.lists(st.binary(max_size=64), max_size=8))
@settings(max_examples=100, deadline=None)
def test_nonsense_gives_nothing(packets: list[bytes]) -> None:
    assert reassemble(packets) is None


def test_an_empty_payload_takes_no_packet() -> None:
    assert split([], 1400, ALICE, 1) == []
    assert reassemble([]) is None


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_the_parts_arrive_whose_packets_all_do(data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=6))
    packets = split(parts, 100, ALICE, 1)
    kept = data.draw(st.lists(st.booleans(), min_size=len(packets), max_size=len(packets)))
    expected, place = b"", 0
    for part in parts:  # the plain twin: a part is there if its run of packets is
        count = packet_count(len(part), 100)
        expected += part if all(kept[place : place + count]) else b""
        place += count
    assert reassemble([packet for packet, stays in zip(packets, kept, strict=True) if stays]) == (expected or None)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="mtu_bytes 16"):
        split([b"x"], HEADER_BYTES, ALICE, 1)
    with pytest.raises(ValueError, match="raise mtu_bytes"):
        packet_count(70_000, HEADER_BYTES + 1)
    with pytest.raises(ValueError, match="raise mtu_bytes"):
        split([bytes(30_000)] * 2, HEADER_BYTES + 1, ALICE, 1)
