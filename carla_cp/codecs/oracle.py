"""The upper bound: nothing is sent, the episode replaces the ego's detections by the truth."""

from __future__ import annotations

from carla_cp.codecs.base import Silent


class OracleCodec(Silent):
    """Marks an episode whose detections are the boxes of all actors in range; sends nothing itself."""

    name = "oracle"
    number = 1
