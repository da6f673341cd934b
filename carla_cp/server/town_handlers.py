"""What clients may ask of the town itself."""

from __future__ import annotations

import math

from carla_cp.server import wire
from carla_cp.server.mesh import Tag
from carla_cp.server.simulation import Simulation
from carla_cp.server.wire import Raw

_ANY = 255  # CARLA's label for everything
_THICK_M = 2.0  # a building is thicker than a pole or a trunk


def level_boxes(simulation: Simulation, label: Raw) -> Raw:
    """The boxes of buildings, where these are asked for; of other things the town knows none."""
    if wire.whole(label) not in (Tag.BUILDING, _ANY):
        return []
    return [
        [
            [body.x, body.y, body.z + body.height / 2],
            [body.length / 2, body.width / 2, body.height / 2],
            [0.0, math.degrees(body.yaw), 0.0],
            0,
        ]
        for body in simulation.episode.map.obstacles
        if min(body.length, body.width) > _THICK_M
    ]
