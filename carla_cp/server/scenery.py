"""The buildings, poles and trees of a map in one episode: their names, and which of them a client has hidden."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carla_cp.server.maps import LoadedMap
from carla_cp.server.mesh import Mesh, Tag
from carla_cp.server.physics import Body
from carla_cp.server.raycast import RayCaster
from carla_cp.server.town import Town
from carla_cp.server.wire import ActorInfo, Description, Vector

_NAMES = {Tag.BUILDING: "Building", Tag.POLE: "StreetLight", Tag.TRAFFIC_LIGHT: "TrafficLight", Tag.VEGETATION: "Tree"}
_THICK_M = 2.0  # a building is thicker than a pole or a trunk
_SIGNAL_M = 13.0  # from a light's place on the map to the pole that shows it


@dataclass(frozen=True, slots=True)
class StandingBox:
    """An upright box in the world."""

    centre: Vector  # [m]
    extent: Vector  # half sizes [m]
    yaw: float  # [rad]


@dataclass(frozen=True, slots=True)
class Thing:
    """One object of the environment."""

    id: int  # from 1 on, the same whenever the map is loaded
    name: str
    label: int  # Tag
    box: StandingBox
    foot: Vector  # where it stands


def fixed_info(body: Body) -> ActorInfo:
    """What a client is told of an obstacle that an actor has met; it has no number among the actors."""
    name = "static.building" if min(body.length, body.width) > _THICK_M else "static.pole"
    return ActorInfo(0, 0, Description(0, name))


class Scenery:
    """What stands beside the roads of one episode."""

    def __init__(self, loaded: LoadedMap) -> None:
        self._map = loaded
        self._hidden: frozenset[int] = frozenset()
        self.caster: RayCaster = loaded.caster
        self.obstacles: tuple[Body, ...] = loaded.obstacles
        self.places: npt.NDArray[np.float64] = loaded.places

    def things(self, label: int | None = None) -> list[Thing]:
        """All of one label, or of any, the hidden ones too, in the order of their ids."""
        counts: Counter[int] = Counter()
        found = []
        for index, body in enumerate(self._map.obstacles):
            tag = _label(self._map.town, index)
            counts[tag] += 1
            if label in (None, tag):
                box = _box(self._map.town, index, body, tag)
                found.append(Thing(index + 1, f"{_NAMES[Tag(tag)]}_{counts[tag]}", tag, box, (body.x, body.y, body.z)))
        return found

    def show(self, ids: Iterable[int], visible: bool) -> None:
        """Hides objects from sensors and cars, or brings them back; raises KeyError for an id that no object has."""
        chosen = frozenset(ids)
        for number in sorted(chosen):
            if not 1 <= number <= len(self._map.obstacles):
                raise KeyError(number)
        hidden = self._hidden - chosen if visible else self._hidden | chosen
        if hidden != self._hidden:
            self._hidden = hidden
            self._rebuild()

    def lamp_box(self, x: float, y: float) -> StandingBox | None:
        """The lamps on the signal pole nearest to a traffic light's place, if there is one."""
        town, best = self._map.town, None
        nearest = _SIGNAL_M
        for index, body in enumerate(self._map.obstacles):
            away = math.hypot(body.x - x, body.y - y)
            if away < nearest and _label(town, index) == Tag.TRAFFIC_LIGHT:
                nearest, best = away, index
        if best is None:
            return None
        return _bounds(town.mesh, _triangles(town, best, Tag.TRAFFIC_LIGHT), self._map.obstacles[best].yaw)

    def close(self) -> None:
        """The map's own scenery is left for the next episode."""
        if self.caster is not self._map.caster:
            self.caster.close()

    def _rebuild(self) -> None:
        self.close()
        kept = [index for index in range(len(self._map.obstacles)) if index + 1 not in self._hidden]
        self.obstacles = tuple(self._map.obstacles[index] for index in kept)
        self.places = self._map.places[kept]
        self.caster = RayCaster(_without(self._map.town, sorted(self._hidden))) if self._hidden else self._map.caster


def _without(town: Town, numbers: Sequence[int]) -> Mesh:
    kept = np.ones(len(town.mesh.triangles), bool)
    for number in numbers:
        kept[town.parts[number - 1] : town.parts[number]] = False
    return Mesh(town.mesh.vertices, town.mesh.triangles[kept], town.mesh.labels[kept])


def _label(town: Town, index: int) -> int:
    # A signal's pole comes before its lamps, which give it its name.
    return int(town.mesh.labels[town.parts[index + 1] - 1])


def _triangles(town: Town, index: int, label: int) -> npt.NDArray[np.int64]:
    rows = np.arange(town.parts[index], town.parts[index + 1])
    return np.asarray(rows[town.mesh.labels[rows] == label])


def _box(town: Town, index: int, body: Body, label: int) -> StandingBox:
    """Of a building its walls; of a pole or a tree all that is seen of it."""
    if label == Tag.BUILDING:
        half = (body.length / 2, body.width / 2, body.height / 2)
        return StandingBox((body.x, body.y, body.z + half[2]), half, body.yaw)
    return _bounds(town.mesh, np.arange(town.parts[index], town.parts[index + 1]), body.yaw)


def _bounds(mesh: Mesh, triangles: npt.NDArray[np.int64], yaw: float) -> StandingBox:
    """The least box of this heading around triangles."""
    points = mesh.vertices[np.unique(mesh.triangles[triangles])].astype(np.float64)
    cos, sin = math.cos(yaw), math.sin(yaw)
    turned = np.column_stack(
        [points[:, 0] * cos + points[:, 1] * sin, points[:, 1] * cos - points[:, 0] * sin, points[:, 2]]
    )
    low, high = turned.min(axis=0), turned.max(axis=0)
    (along, across, up), extent = ((low + high) / 2).tolist(), ((high - low) / 2).tolist()
    centre = (along * cos - across * sin, along * sin + across * cos, up)
    return StandingBox(centre, (extent[0], extent[1], extent[2]), yaw)
