"""Who hears whom, when, and what is lost on the way: one file per model, one table of them.

Those of other packages register their class in the entry point group `carla_cp.links` and are found by name like ours.
"""

from __future__ import annotations

import difflib

from carla_cp.link.base import LinkError, LinkModel
from carla_cp.link.fixed import FixedLink
from carla_cp.link.gilbert import GilbertLink
from carla_cp.link.ideal import IdealLink
from carla_cp.link.plugins import with_plugins
from carla_cp.link.sidelink import SidelinkLink
from carla_cp.link.trace import TraceLink
from carla_cp.types import ChannelSpec

__all__ = ["LINKS", "LinkError", "LinkModel", "open_model"]

_OURS: dict[str, type[LinkModel]] = {
    "ideal": IdealLink,
    "fixed": FixedLink,
    "gilbert": GilbertLink,
    "sidelink": SidelinkLink,
    "trace": TraceLink,
}

LINKS: dict[str, type[LinkModel]] = with_plugins(_OURS)


def open_model(channel: ChannelSpec, seed: int) -> LinkModel:
    """The model that the channel names, at the start of an episode. Raises LinkError for what it cannot be."""
    if channel.model not in LINKS:
        near = difflib.get_close_matches(channel.model, LINKS, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(LINKS)}"
        raise LinkError(f"there is no link model '{channel.model}'; {hint}")
    return LINKS[channel.model](channel, seed)
