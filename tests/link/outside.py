"""A worked example: the link model of another package, a wire that is as slow as it is long.

Its package registers it so:

    [project.entry-points."carla_cp.links"]
    slow = "their_links:SlowLink"
"""

from __future__ import annotations

from collections.abc import Sequence

from carla_cp.link.base import Flight, LinkModel, Sent
from carla_cp.types import Surroundings

BYTES_PER_S = 100_000


class SlowLink(LinkModel):
    """Every message takes its time, and nothing is lost."""

    name = "slow"

    def carry(self, sent: Sequence[Sent], around: Surroundings) -> list[Flight]:
        """By the message's length alone."""
        times = [item.message.time_us + sum(item.sizes) * 1_000_000 // BYTES_PER_S for item in sent]
        return [Flight(time_us, (None,) * len(item.sizes)) for time_us, item in zip(times, sent, strict=True)]
