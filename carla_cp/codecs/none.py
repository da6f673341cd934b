"""The ego alone: nothing is sent."""

from __future__ import annotations

from carla_cp.codecs.base import Silent


class NoneCodec(Silent):
    """Sends nothing."""

    name = "none"
    number = 0
