"""CARLA's obstacle sensor: a ball goes straight ahead until it touches the box of something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carla_cp.server.wire import ActorInfo

_TOUCH_M = 1e-4
_STEPS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """The box of something that can be met."""

    info: ActorInfo
    world_from_box: npt.NDArray[np.float64]  # (4, 4) the box lies around its own origin
    extent: npt.NDArray[np.float64]  # (3,) half sizes [m]
    moves: bool  # an actor, not a part of the town


@dataclass(frozen=True, slots=True)
class ObstacleSettings:
    """The attributes of CARLA's obstacle sensor, with CARLA's names, units and defaults."""

    distance: float = 5.0  # [m] that the ball goes
    hit_radius: float = 0.5  # [m] its radius
    only_dynamics: bool = False

    def __post_init__(self) -> None:
        if not self.distance > 0.0 or not self.hit_radius >= 0.0:
            raise ValueError(f"obstacle attributes {self}: give a distance above 0 and a hit_radius of at least 0")


def first_met(
    settings: ObstacleSettings, world_from_sensor: npt.NDArray[np.float64], targets: Sequence[Target]
) -> tuple[Target, float] | None:
    """What the ball touches first, and how far its centre has gone by then [m]."""
    chosen = [target for target in targets if target.moves or not settings.only_dynamics]
    if not chosen:
        return None
    inverse = np.linalg.inv(np.stack([target.world_from_box for target in chosen]))
    extents = np.stack([target.extent for target in chosen])
    start = np.einsum("nij,j->ni", inverse, world_from_sensor[:, 3])[:, :3]
    ahead = np.einsum("nij,j->ni", inverse[:, :3, :3], world_from_sensor[:3, 0])
    gone = 0.0
    # The nearest box is nowhere nearer than its distance now, so the ball may go that far at once.
    for _ in range(_STEPS):
        outside = np.maximum(np.abs(start + gone * ahead) - extents, 0.0)
        free = np.linalg.norm(outside, axis=1) - settings.hit_radius
        nearest = int(np.argmin(free))
        if free[nearest] <= _TOUCH_M:
            return chosen[nearest], gone
        gone += float(free[nearest])
        if gone > settings.distance:
            return None
    return None
