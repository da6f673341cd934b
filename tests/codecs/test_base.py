"""What a class must say to be a codec, and how long its packets get."""

from __future__ import annotations

import numpy as np
import pytest

from carla_cp.codecs.base import MOST_PACKETS, Bodies, Codec, Room, ViewLike
from carla_cp.codecs.bitstream import HEADER_BYTES, Header, cut
from carla_cp.types import Shared, Stage
from tests.codecs.fake import fake_view


class Wordless(Codec[None]):
    """One that only reads."""

    name = "wordless"
    number = 201
    tap = Stage.BOXES

    def read(self, body: bytes) -> None:
        """Nothing."""

    def reconstruct(self, header: Header, symbols: None) -> Shared:
        """No part at all."""
        return Shared(header.sender, header.time_us, header.world_from_agent, self.tap)


class Counting(Wordless):
    """One that says numbers of two bytes, as many as fit each packet."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.numbers = np.arange(count, dtype="<u2")

    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        """As many packets as it takes."""

        def bodies(room: Room) -> list[bytes]:
            each = max((room.packet - HEADER_BYTES) // 2, 1)
            return [self.numbers[start : start + each].tobytes() for start in range(0, len(self.numbers), each)]

        return bodies


@pytest.mark.parametrize(("count", "longest"), [(MOST_PACKETS * 10, 60), (MOST_PACKETS * 10 + 1, 120), (9000, 120)])
def test_packets_double_until_a_message_has_no_more_than_its_reader_takes(count: int, longest: int) -> None:
    codec = Counting(count)
    packets = cut(codec.encode(fake_view(), None, packet_bytes=60), MOST_PACKETS)
    assert max(map(len, packets)) == longest
    assert b"".join(packet[HEADER_BYTES:] for packet in packets) == codec.numbers.tobytes()


def test_a_class_that_says_no_bodies_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="bodies"):
        Wordless()  # type: ignore[abstract]
