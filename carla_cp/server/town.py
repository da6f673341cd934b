"""The town around an OpenDRIVE road network: roads, sidewalks and terrain."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import carla
import numpy as np
import numpy.typing as npt
from lxml import etree
from scipy.spatial import ConvexHull

from carla_cp.server.mesh import Mesh, Tag, make, merge

Floats = npt.NDArray[np.float64]

_STEP_M = 2.0  # between samples along a lane
_SIDEWALK_M = 0.1  # a sidewalk's height over the road
_TERRAIN_M = -0.05  # the terrain's
_MARGIN_M = 150.0  # of terrain around the outermost lane
_PAVED = ("driving", "bidirectional", "parking", "stop", "shoulder", "biking", "bicycle", "border", "entry", "exit")
_PAVED_TOO = ("onRamp", "offRamp", "restricted", "median", "special1", "special2", "special3", "tram")


@dataclass(frozen=True, slots=True, eq=False)
class Town:
    """What stands still: its mesh, and the boxes of what a car can run into."""

    mesh: Mesh
    obstacles: Floats  # (N, 7) boxes of buildings, poles and trunks: x, y, z of the centre, length, width, height, yaw


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One lane of one lane section, as samples of its two borders."""

    kind: str  # OpenDRIVE's lane type
    junction: str  # OpenDRIVE's junction id, "-1" outside of junctions
    left: Floats  # (n, 3) world
    right: Floats  # (n, 3) world


def build_town(carla_map: carla.Map, opendrive: str, seed: int = 0) -> Town:
    """The town of a map: the same map and seed give the same town. `opendrive` is the text the map was made of."""
    lanes = list(read_lanes(carla_map, opendrive))
    if not lanes:
        raise ValueError("the OpenDRIVE map has no lanes; give a map with at least one road")
    paved = [lane for lane in lanes if lane.kind in _PAVED + _PAVED_TOO]
    sidewalks = [lane for lane in lanes if lane.kind == "sidewalk"]
    meshes = [_ribbon(lane, 0.0, Tag.ROAD) for lane in paved]
    meshes += [_ribbon(lane, _SIDEWALK_M, Tag.SIDEWALK) for lane in sidewalks]
    meshes += _junction_floors(paved)
    meshes.append(_terrain(lanes))
    return Town(merge(meshes), np.empty((0, 7)))


def read_lanes(carla_map: carla.Map, opendrive: str) -> Iterator[Lane]:
    """Every lane of the map that has a width, whatever its type."""
    for road in etree.fromstring(opendrive.encode()).iter("road"):
        length = float(road.attrib["length"])
        sections = road.findall("lanes/laneSection")
        starts = [float(section.attrib["s"]) for section in sections] + [length]
        for section, start, end in zip(sections, starts, starts[1:], strict=False):
            for lane in section.iter("lane"):
                number, kind = int(lane.attrib["id"]), lane.attrib["type"]
                if number != 0 and kind != "none":
                    borders = _borders(carla_map, int(road.attrib["id"]), number, start, end)
                    if borders is not None:
                        yield Lane(kind, road.attrib["junction"], *borders)


def _borders(carla_map: carla.Map, road: int, lane: int, start: float, end: float) -> tuple[Floats, Floats] | None:
    """The left and right border of a lane, seen along the road's reference line or against it."""
    inset = min(1e-3, (end - start) / 10.0)
    samples = []
    for s in np.linspace(start + inset, end - inset, max(math.ceil((end - start) / _STEP_M), 1) + 1):
        waypoint = carla_map.get_waypoint_xodr(road, lane, float(s))
        if waypoint is None:
            return None
        place, yaw = waypoint.transform.location, math.radians(waypoint.transform.rotation.yaw)
        samples.append((place.x, place.y, place.z, yaw, waypoint.lane_width))
    x, y, z, yaw, width = np.array(samples).T
    if width.max() < 1e-3:
        return None
    across = np.stack([-np.sin(yaw), np.cos(yaw), np.zeros_like(yaw)], axis=-1) * width[:, None] / 2
    centre = np.stack([x, y, z], axis=-1)
    return centre - across, centre + across


def _ribbon(lane: Lane, lift: float, label: int) -> Mesh:
    count = len(lane.left)
    here = np.arange(count - 1)
    triangles = np.concatenate(
        [
            np.stack([here, here + 1, here + count], axis=-1),
            np.stack([here + 1, here + 1 + count, here + count], axis=-1),
        ]
    )
    return make(np.concatenate([lane.left, lane.right]) + (0.0, 0.0, lift), triangles, label)


def _junction_floors(paved: list[Lane]) -> list[Mesh]:
    """Road under every junction, a little low, where its lanes leave gaps."""
    floors = []
    for junction in sorted({lane.junction for lane in paved} - {"-1"}):
        points = np.concatenate([np.r_[lane.left, lane.right] for lane in paved if lane.junction == junction])
        rim = points[ConvexHull(points[:, :2]).vertices] - (0.0, 0.0, 0.01)
        fan = np.arange(1, len(rim) - 1)
        floors.append(make(rim, np.stack([0 * fan, fan, fan + 1], axis=-1), Tag.ROAD))
    return floors


def _terrain(lanes: list[Lane]) -> Mesh:
    points = np.concatenate([np.r_[lane.left, lane.right] for lane in lanes])
    (x0, y0, z), (x1, y1, _) = points.min(axis=0), points.max(axis=0)
    x0, y0, x1, y1 = x0 - _MARGIN_M, y0 - _MARGIN_M, x1 + _MARGIN_M, y1 + _MARGIN_M
    level = z + _TERRAIN_M
    corners = [(x0, y0, level), (x1, y0, level), (x1, y1, level), (x0, y1, level)]
    return make(corners, [(0, 1, 2), (0, 2, 3)], Tag.TERRAIN)
