"""Whether a scenario fits its map: a route along connected lanes, everybody on the map, nobody inside another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from carla_cp.geometry import compose, rotated_iou
from carla_cp.scenario import draw_scenario
from carla_cp.types import FloatArray, Pose, Scenario
from carla_cp.world.errors import WorldError
from carla_cp.world.roads import Roads
from carla_cp.world.shapes import Shape

OFF_MAP_M = 20.0  # beside the nearest lane, sidewalks included: further out no yard and no parking place lies


def check_on_map(scenario: Scenario, seeds: Sequence[int]) -> None:
    """Raises WorldError, with file, name and place, for a route that leaves the map or an actor that is off it.

    For the starts that these seeds draw, whose ScenarioErrors it passes on. Needs no server.
    """
    roads = Roads.of_file(scenario.map_file)
    drawn = [draw_scenario(scenario, seed) for seed in seeds]
    for who, x, y in dict.fromkeys(place for one in drawn for place in _places(one)):
        away = roads.distance(x, y)
        if away > OFF_MAP_M:
            raise WorldError(
                f"{scenario.source}: {who} at x={x:.1f} y={y:.1f} is {away:.0f} m from the nearest lane of "
                f"{scenario.map_file.name}; move it onto the map"
            )
    for one in {one.ego.start: one for one in drawn}.values():
        try:
            roads.ego_line(one)
        except WorldError as error:
            start = one.ego.start
            where = f"the ego's way from x={start.x:.1f} y={start.y:.1f}"
            raise WorldError(f"{scenario.source}: {where}: {error}") from error


def _places(drawn: Scenario) -> Iterator[tuple[str, float, float]]:
    """Where everybody starts or stands."""
    for spec in (drawn.ego, *drawn.actors):
        yield f"actor '{spec.rolename}'", spec.start.x, spec.start.y
    for mast in drawn.rsus:
        yield f"rsu '{mast.id}'", mast.foot.x, mast.foot.y


def check_apart(scenario: Scenario, seeds: Iterable[int], shapes: Mapping[str, Shape]) -> None:
    """Raises WorldError, with file, seed and both names, where an actor would be spawned inside another.

    `shapes` by blueprint, as the server has them.
    """
    for seed in seeds:
        drawn = draw_scenario(scenario, seed)
        specs = (drawn.ego, *drawn.actors)
        boxes = np.array([_box(spec.start, shapes[spec.blueprint]) for spec in specs])
        for one, other in zip(*_overlaps(boxes), strict=True):
            first, second = specs[one], specs[other]
            raise WorldError(
                f"{scenario.source}: with seed {seed} '{second.rolename}' at x={second.start.x:.1f} "
                f"y={second.start.y:.1f} is spawned inside '{first.rolename}' at x={first.start.x:.1f} "
                f"y={first.start.y:.1f}; move one of them, or narrow its <draw>"
            )


def _box(start: Pose, shape: Shape) -> tuple[float, ...]:
    middle = compose(start, shape.body_from_box)
    return middle.x, middle.y, middle.z, *shape.size, middle.yaw


def _overlaps(boxes: FloatArray) -> tuple[list[int], list[int]]:
    """Indices of the pairs that share a part of space, the first of each pair first."""
    flat = rotated_iou(boxes, boxes) > 0.0
    heights = np.abs(boxes[:, None, 2] - boxes[None, :, 2]) < (boxes[:, None, 5] + boxes[None, :, 5]) / 2
    first, second = np.nonzero(np.triu(flat & heights, 1))
    return first.tolist(), second.tolist()
