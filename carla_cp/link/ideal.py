"""Model `ideal`: everything arrives at once. It reads no parameters; only who is in range still counts."""

from __future__ import annotations

from collections.abc import Sequence

from carla_cp.link.base import Flight, LinkModel, Sent
from carla_cp.types import Surroundings


class IdealLink(LinkModel):
    """Neither time nor loss: what a codec is worth when the radio costs nothing."""

    name = "ideal"

    def carry(self, sent: Sequence[Sent], around: Surroundings) -> list[Flight]:
        """All is there when it is handed over."""
        return [Flight(item.message.time_us, (None,) * len(item.sizes)) for item in sent]
