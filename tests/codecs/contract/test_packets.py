"""Packets of every codec: lost, twice, in another order, of two messages."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fuzz_payloads import packets_of, seal

from carla_cp.codecs import Codec, PayloadError
from carla_cp.codecs.base import PACKET_BYTES
from carla_cp.codecs.bitstream import cut
from carla_cp.types import Shared
from tests.codecs.contract.cases import SHORT, assert_sound, load, message, rows_of, same
from tests.codecs.fake import fake_view


def test_packets_grow_before_a_message_has_more_of_them_than_can_be_read(sender: Codec[Any]) -> None:
    payload = message(sender, None, 150)
    assert len(cut(payload)) <= sender.most_packets
    assert sender.decode(payload).sender == "rsu_1"


def packets_said(codec: Codec[Any]) -> tuple[bytes, ...]:
    """Of a message in several packets; of the usual length where the rate is the paper's and may be long."""
    return cut(message(codec, 2000, PACKET_BYTES if codec.fixed_rate else SHORT))


def test_a_message_in_another_order_or_in_part_twice_says_the_same(any_sender: Codec[Any]) -> None:
    packets = packets_said(any_sender)
    whole = any_sender.decode(b"".join(packets))
    twice = (*packets, *packets[:5])
    order = np.random.default_rng(0).permutation(len(twice))
    assert same(any_sender.decode(b"".join(twice[place] for place in order)), whole)


def test_what_is_left_of_a_message_says_what_it_said_before(any_sender: Codec[Any]) -> None:
    packets = packets_said(any_sender)
    whole = any_sender.decode(b"".join(packets))
    rng, usable = np.random.default_rng(1), 0
    for _ in range(6):
        kept = [packet for packet in packets if rng.random() < 0.6]
        try:
            part = any_sender.decode(b"".join(kept))
        except PayloadError:
            continue
        usable += 1
        assert_sound(part, any_sender)
        assert_part_of(part, whole)
    assert usable or len(packets) == 1


def assert_part_of(part: Shared, whole: Shared) -> None:
    """What is there is there in the whole as well."""
    if part.valid is not None:
        assert whole.valid is not None and bool((whole.valid | ~part.valid).all())
    rows, all_rows = rows_of(part), rows_of(whole)
    if rows is not None and all_rows is not None:
        known = {row.tobytes() for row in all_rows}
        assert all(row.tobytes() in known for row in rows)


def test_packets_of_two_messages_are_not_mixed(sender: Codec[Any]) -> None:
    first, other = packets_of(message(sender, 2000))[0], fake_view(0, agent="rsu_2")
    with pytest.raises(PayloadError, match="several messages"):
        sender.decode(seal(first) + sender.encode(other, 2000))


def test_a_codec_that_cuts_its_messages_keeps_most_of_one_when_a_packet_is_lost(sender: Codec[Any]) -> None:
    packets = cut(message(sender, 4000, SHORT))
    if len(packets) < 3:
        return
    alone = 0
    for packet in packets:
        with contextlib.suppress(PayloadError):
            sender.decode(packet)
            alone += 1
    assert alone >= 1
    spared = sum(_decodes(sender, b"".join(packets[:lost] + packets[lost + 1 :])) for lost in range(len(packets)))
    assert spared >= len(packets) - 1  # all but the loss of what the rest refines


def _decodes(codec: Codec[Any], payload: bytes) -> bool:
    try:
        codec.decode(payload)
    except PayloadError:
        return False
    return True


@pytest.mark.parametrize("name", ["raw", "where2comm", "ermvp", "codefilling"])
def test_a_lost_packet_costs_its_cells_only_where_each_is_rebuilt_by_itself(name: str, checkpoint: Path) -> None:
    codec = load(name, checkpoint)
    packets = cut(message(codec, 6000))
    assert len(packets) > 2
    whole, lost, rest = (codec.decode(b"".join(part)) for part in (packets, packets[:1], packets[1:]))
    assert whole.valid is not None and lost.valid is not None and rest.valid is not None
    assert whole.features is not None and rest.features is not None
    assert torch.equal(rest.valid, whole.valid & ~lost.valid)
    assert torch.equal(rest.features, whole.features * rest.valid)
