"""Bytes that no sender of ours made, of another codec or of other weights."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from fuzz_payloads import Packet, packets_of, seal
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_cp.codecs import Codec, PayloadError
from carla_cp.types import Stage
from tests.codecs.contract.cases import REPEATED, SHORT, assert_sound, load, message, same, view
from tests.codecs.fake import random_checkpoint


@settings(max_examples=15, deadline=None, suppress_health_check=REPEATED)
@given(data=st.data())
def test_hostile_bodies_raise_payload_error_or_decode_to_something_sound(sender: Codec[Any], data: Any) -> None:
    packets = packets_of(message(sender, 700, SHORT))
    hit = data.draw(st.integers(0, len(packets) - 1))
    body = bytearray(packets[hit].body)
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(body) - 1), st.integers(0, 255)), max_size=6)):
        body[place] = value
    end = data.draw(st.one_of(st.just(len(body)), st.integers(0, len(body))))
    changed = Packet(packets[hit].fields, bytes(body[:end]) + data.draw(st.binary(max_size=9)))
    with contextlib.suppress(PayloadError):
        payload = b"".join(seal(packet) for packet in [*packets[:hit], changed, *packets[hit + 1 :]])
        assert_sound(sender.decode(payload), sender)


@settings(max_examples=40, deadline=None, suppress_health_check=REPEATED)
@given(bodies=st.lists(st.binary(max_size=400), min_size=1, max_size=3))
def test_random_bodies_raise_payload_error_or_nothing(sender: Codec[Any], bodies: list[bytes]) -> None:
    fields = packets_of(message(sender, 400))[0].fields
    with contextlib.suppress(PayloadError):
        sender.parse(b"".join(seal(Packet(fields, body)) for body in bodies))


def test_a_message_of_another_codec_is_refused(sender: Codec[Any], checkpoint: Path) -> None:
    other = load("late" if sender.name != "late" else "early", checkpoint)
    with pytest.raises(PayloadError):
        sender.decode(message(other, None))


def test_two_agents_with_different_weights_notice(sender: Codec[Any], checkpoint: Path, other_checkpoint: Path) -> None:
    theirs = load(sender.name, other_checkpoint)
    if sender.tap in (Stage.POINTS, Stage.BOXES) and not sender.learned:  # these mean the same to every detector
        assert same(theirs.decode(message(sender, 2000)), sender.decode(message(sender, 2000)))
    else:
        with pytest.raises(PayloadError, match="with weights"):
            theirs.decode(message(sender, 2000))


@pytest.fixture(scope="module")
def other_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("other"), seed=4)


def test_a_request_is_bytes_and_whatever_comes_as_one_is_survived(sender: Codec[Any]) -> None:
    asked = sender.request(view())
    assert isinstance(asked, bytes) and (sender.asks == bool(asked))
    for heard in (asked, b"", b"\0", b"\xff" * 50, asked[:-3], asked[::-1]):
        payload = sender.encode(view(), 2000, heard)
        assert len(payload) <= 2000
        if payload:
            assert_sound(sender.decode(payload), sender)
