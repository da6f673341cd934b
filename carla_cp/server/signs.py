"""The signs of a map that CARLA has as actors: stop, yield, and speed limits."""

from __future__ import annotations

from dataclasses import dataclass

import carla

from carla_cp.server.zones import LightPlace, sign_places

_STOP, _YIELD, _LIMIT = "206", "205", "274"  # OpenDRIVE's types of signals
_KINDS = ((_STOP, "traffic.stop"), (_YIELD, "traffic.yield"), (_LIMIT, "traffic.speed_limit"))


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign, by CARLA's name of its kind."""

    name: str
    place: LightPlace


def read_signs(world_map: carla.Map) -> list[Sign]:
    """Every such sign that stands before a driving lane, kind by kind in the order of their ids."""
    found = []
    for kind, name in _KINDS:
        for place, value in sign_places(world_map, kind):
            found.append(Sign(f"{name}.{value:.0f}" if kind == _LIMIT else name, place))
    return found
