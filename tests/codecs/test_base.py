"""What a class must say to be a codec."""

from __future__ import annotations

import pytest

from carla_cp.codecs.base import Codec
from carla_cp.codecs.bitstream import Header
from carla_cp.types import Shared, Stage


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


def test_a_class_that_says_no_bodies_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="bodies"):
        Wordless()  # type: ignore[abstract]
