"""How large the bodies of blueprints are, which only an actor of each can tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import carla

from carla_cp.types import Pose
from carla_cp.world.errors import WorldError

_ALOFT = carla.Transform(carla.Location(0.0, 0.0, 500.0))  # where nothing is in the way


@dataclass(frozen=True, slots=True)
class Shape:
    """The box of a body."""

    body_from_box: Pose  # of the box centre
    size: tuple[float, float, float]  # length, width, height [m]


def shape_of(actor: carla.Actor) -> Shape:
    """The shape of a spawned actor."""
    box = actor.bounding_box
    offset = Pose(box.location.x, box.location.y, box.location.z)
    return Shape(offset, (2 * box.extent.x, 2 * box.extent.y, 2 * box.extent.z))


def read_shapes(world: carla.World, names: Iterable[str]) -> dict[str, Shape]:
    """The shapes of blueprints by name; an actor of each lives for a moment. Raises WorldError for one that cannot."""
    library = world.get_blueprint_library()
    shapes = {}
    for name in names:
        try:
            actor = world.spawn_actor(library.find(name), _ALOFT)
        except (RuntimeError, IndexError) as error:
            raise WorldError(f"blueprint '{name}' cannot be spawned: {error}") from error
        shapes[name] = shape_of(actor)
        actor.destroy()
    return shapes
