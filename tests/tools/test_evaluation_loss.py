"""What arrives of a message whose packets may be lost."""

from __future__ import annotations

import numpy as np
import pytest

from carla_cp.codecs.bitstream import Header, cut, pack
from carla_cp.types import AgentName, Pose
from tests.tools.claims import load_tool

PacketLoss = load_tool("evaluation_loss").PacketLoss
AGENT = AgentName("rsu_1")


def message(packets: int, length: int = 1000) -> bytes:
    header = Header(9, 0, AGENT, 0, Pose())
    return b"".join(pack(header, bytes([number]) * length) for number in range(packets))


def arrived(loss: float, cut_into: str, payload: bytes, frame: int = 0) -> bytes:
    received: bytes = PacketLoss(loss, cut_into).received(payload, 0, "scene", frame, AGENT)
    return received


@pytest.mark.parametrize("cut_into", ["parts", "message"])
def test_without_loss_all_arrives_and_with_total_loss_nothing(cut_into: str) -> None:
    assert arrived(0.0, cut_into, message(5)) == message(5)
    assert arrived(1.0, cut_into, message(5)) == b"" == arrived(0.5, cut_into, b"")


def test_a_lost_packet_takes_its_part_along_or_all_of_the_message() -> None:
    payload = message(40)
    whole = [arrived(0.1, "message", payload, frame) for frame in range(20)]
    assert set(whole) == {b"", payload} and whole.count(payload) <= 4  # 0.9 ** 30 come through
    kept = [len(cut(arrived(0.1, "parts", payload, frame))) for frame in range(20)]
    assert 0.85 < np.mean(kept) / 40 < 0.95 and len(set(kept)) > 1
    assert set(cut(arrived(0.1, "parts", payload))) < set(cut(payload))


def test_a_part_longer_than_a_packet_needs_all_of_its_packets() -> None:
    kept = [bool(arrived(0.3, "parts", message(1, 6000), frame)) for frame in range(300)]
    assert np.mean(kept) == pytest.approx(0.7**5, abs=0.06)


def test_draws_are_the_same_for_every_message_and_a_larger_loss_takes_what_a_smaller_takes() -> None:
    few, many = cut(arrived(0.3, "parts", message(10))), cut(arrived(0.3, "parts", message(30)))
    assert few == many[: len(few)] and len(cut(message(10))) > len(few)
    assert set(cut(arrived(0.5, "parts", message(30)))) < set(many)
    assert arrived(0.3, "parts", message(30), 1) != arrived(0.3, "parts", message(30), 0)
