"""The town around an OpenDRIVE road network: roads, sidewalks, terrain, and what `roadside` puts beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree

import carla
import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, cKDTree

from carla_cp.server.mesh import Mesh, Tag, make, merge
from carla_cp.server.roadside import Junction, Streets, furnish

Floats = npt.NDArray[np.float64]

_STEP_M = 2.0  # between samples along a lane
_SIDEWALK_M = 0.1  # a sidewalk's height over the road
_TERRAIN_M = -0.05  # the terrain's
_MARGIN_M = 150.0  # of terrain around the outermost lane
_TERRAIN_CELL_M = 5.0
_ROUGH_TERRAIN_M = -0.3
_TRAFFIC_LIGHT = "1000001"  # OpenDRIVE's signal type
_WALKS = ("sidewalk", "walking")  # all other lanes are paved


@dataclass(frozen=True, slots=True, eq=False)
class Town:
    """What stands still: its mesh, and the boxes of what a car can run into."""

    mesh: Mesh
    obstacles: Floats  # (N, 7) boxes of buildings, poles and trunks: x, y, z of the centre, length, width, height, yaw


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One lane of one lane section, as samples of its two borders in the lane's own direction."""

    kind: str  # OpenDRIVE's lane type
    junction: str  # OpenDRIVE's junction id, "-1" outside of junctions
    outer: Floats | None  # (n, 3) of a road's outermost lane its outer border, outside on the right
    left: Floats  # (n, 3) world
    right: Floats  # (n, 3) world


def build_town(carla_map: carla.Map, opendrive: str, seed: int = 0) -> Town:
    """The town of a map: the same map and seed give the same town. `opendrive` is the text the map was made of."""
    lanes = read_lanes(carla_map, opendrive)
    paved = [lane for lane in lanes if lane.kind not in _WALKS]
    if not paved:
        raise ValueError("the OpenDRIVE map has no lane to drive on; give a map with at least one road")
    walks = [lane for lane in lanes if lane.kind in _WALKS]
    junctions = _junctions(paved)
    streets = Streets(
        edges=[lane.outer for lane in paved + walks if lane.outer is not None and lane.junction == "-1"],
        lanes=np.concatenate([_dense(lane) for lane in paved]),
        walks=np.concatenate([_dense(lane) for lane in walks]) if walks else np.empty((0, 3)),
        junctions=[Junction(rim[:, :2].mean(axis=0), _radius(rim)) for rim in junctions],
        signals=_signals(carla_map),
    )
    things = furnish(streets, seed)
    on_road = cKDTree(streets.lanes[:, :2])
    meshes = [_strip([lane.left, lane.right], Tag.ROAD) for lane in paved]
    meshes += [_sidewalk(lane, on_road) for lane in walks]
    meshes += [_floor(rim) for rim in junctions]
    meshes.append(_terrain(streets.lanes, on_road))
    obstacles = np.array([thing.box for thing in things], np.float64).reshape(-1, 7)
    return Town(merge(meshes + [thing.mesh for thing in things]), obstacles)


def read_lanes(carla_map: carla.Map, opendrive: str) -> list[Lane]:
    """Every lane of the map that has a width, in the order of the file."""
    found = []
    for road in ElementTree.fromstring(opendrive).iter("road"):
        number, length = int(road.attrib["id"]), float(road.attrib["length"])
        sections = road.findall("lanes/laneSection")
        bounds = pairwise([float(section.attrib["s"]) for section in sections] + [length])
        for section, (start, end) in zip(sections, bounds, strict=True):
            for side in ("left", "right"):
                found += _side(carla_map, section.findall(f"{side}/lane"), road, (number, start, end))
    return found


def _side(
    carla_map: carla.Map, elements: list[ElementTree.Element], road: ElementTree.Element, span: tuple[int, float, float]
) -> list[Lane]:
    """The lanes on one side of a lane section, from the inside out."""
    number, start, end = span
    strips = []
    for element in sorted(elements, key=lambda lane: abs(int(lane.attrib["id"]))):
        if element.attrib["type"] != "none":
            borders = _borders(carla_map, number, int(element.attrib["id"]), start, end)
            if borders is not None:
                strips.append((element.attrib["type"], borders))
    outer = _outer_border([borders for _, borders in strips])
    return [
        Lane(kind, road.attrib["junction"], outer if rank == len(strips) - 1 else None, left, right)
        for rank, (kind, (left, right)) in enumerate(strips)
    ]


def _outer_border(strips: list[tuple[Floats, Floats]]) -> Floats | None:
    """The border of the last strip that is farther from the first, ordered so that the outside is on its right."""
    if not strips:
        return None
    left, right = strips[-1]
    inside = (strips[0][0] + strips[0][1]) / 2
    # Lanes against the road's sense are not all reversed on the map, so which border is the outer one is measured.
    nearer_left = np.linalg.norm(left - inside, axis=1).sum() < np.linalg.norm(right - inside, axis=1).sum()
    outer = right if len(strips) == 1 or nearer_left else left
    ahead, outwards = outer[-1, :2] - outer[0, :2], (outer - inside)[:, :2].mean(axis=0)
    return outer if ahead[0] * outwards[1] > ahead[1] * outwards[0] else outer[::-1]


def _borders(carla_map: carla.Map, road: int, lane: int, start: float, end: float) -> tuple[Floats, Floats] | None:
    """The left and right border of a lane; none if it has no width."""
    # The map knows no lane exactly at the ends of a section, so samples begin and end a little inside...
    inset = min(1e-3, (end - start) / 10.0)
    samples = []
    for s in np.linspace(start + inset, end - inset, max(math.ceil((end - start) / _STEP_M), 1) + 1):
        waypoint = carla_map.get_waypoint_xodr(road, lane, float(s))
        if waypoint is None:
            raise ValueError(f"the map has no lane {lane} of road {road} at s={s:.3f} m, though its OpenDRIVE text has")
        place, yaw = waypoint.transform.location, math.radians(waypoint.transform.rotation.yaw)
        samples.append((place.x, place.y, place.z, yaw, waypoint.lane_width))
    x, y, z, yaw, width = np.array(samples).T
    if width.max() < 1e-3:
        return None
    across = np.stack([-np.sin(yaw), np.cos(yaw), np.zeros_like(yaw)], axis=-1) * width[:, None] / 2
    centre = np.stack([x, y, z], axis=-1)
    # ... and are drawn out by twice that, so that sections overlap instead of leaving a gap.
    for tip, neighbour in ((0, 1), (-1, -2)):
        step = centre[tip] - centre[neighbour]
        centre[tip] += 2.0 * inset * step / np.linalg.norm(step)
    return centre - across, centre + across


def _dense(lane: Lane) -> Floats:
    """Samples of the lane's area, at most about 1 m apart."""
    width = float(np.linalg.norm(lane.right - lane.left, axis=1).max())
    share = np.linspace(0.0, 1.0, math.ceil(width) + 1)[:, None, None]
    rows = lane.left + share * (lane.right - lane.left)
    return np.concatenate([rows, (rows[:, 1:] + rows[:, :-1]) / 2], axis=1).reshape(-1, 3)


def _signals(carla_map: carla.Map) -> Floats:
    """x, y and heading of each traffic light, in the order of their ids."""
    places = {}
    for light in sorted(carla_map.get_all_landmarks_of_type(_TRAFFIC_LIGHT), key=lambda light: light.id):
        place = light.transform.location
        lane = carla_map.get_waypoint(place)
        places[light.id] = (place.x, place.y, math.radians(lane.transform.rotation.yaw))
    return np.array(list(places.values()), np.float64).reshape(-1, 3)


def _strip(rows: list[Floats], label: int) -> Mesh:
    """The surface through rows of n points each."""
    count = len(rows[0])
    here = (np.arange(len(rows) - 1)[:, None] * count + np.arange(count - 1)).reshape(-1)
    first = np.stack([here, here + 1, here + count], axis=-1)
    second = np.stack([here + 1, here + 1 + count, here + count], axis=-1)
    return make(np.concatenate(rows), np.concatenate([first, second]), label)


def _sidewalk(lane: Lane, on_road: cKDTree) -> Mesh:
    """A sidewalk and its curbs; level with the road where it crosses a lane."""
    # A sidewalk touches its own road at one border, so only its middle tells whether it lies on a lane.
    middle = (lane.left + lane.right)[:, :2] / 2
    crossing = np.asarray(on_road.query(middle)[0]) < 0.7
    up = np.column_stack([np.zeros((len(middle), 2)), np.where(crossing, -0.02, _SIDEWALK_M)])
    foot = np.array([0.0, 0.0, _TERRAIN_M])
    return _strip([lane.left + foot, lane.left + up, lane.right + up, lane.right + foot], Tag.SIDEWALK)


def _junctions(paved: list[Lane]) -> list[Floats]:
    """The convex rim of each junction's lanes, (n, 3)."""
    rims = []
    for junction in sorted({lane.junction for lane in paved} - {"-1"}):
        points = np.concatenate([np.r_[lane.left, lane.right] for lane in paved if lane.junction == junction])
        rims.append(points[ConvexHull(points[:, :2]).vertices])
    return rims


def _radius(rim: Floats) -> float:
    return float(np.linalg.norm(rim[:, :2] - rim[:, :2].mean(axis=0), axis=1).max())


def _floor(rim: Floats) -> Mesh:
    """Road under a junction, a little low, where its lanes leave gaps."""
    fan = np.arange(1, len(rim) - 1)
    return make(rim - (0.0, 0.0, 0.01), np.stack([0 * fan, fan, fan + 1], axis=-1), Tag.ROAD)


def _terrain(points: Floats, on_road: cKDTree) -> Mesh:
    """Terrain a little below the nearest road: two triangles under a flat map, else a grid."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = float(max(high[:2] - low[:2])) + 2 * _MARGIN_M
    flat = high[2] - low[2] < 0.02
    count = 2 if flat else math.ceil(span / _TERRAIN_CELL_M) + 1
    axis = np.linspace(-span / 2, span / 2, count)
    middle = (low + high)[:2] / 2
    grid = np.stack(np.meshgrid(axis + middle[0], axis + middle[1]), axis=-1)
    # Between the grid's points sloping roads rise and fall, so there the terrain lies lower.
    level = points[np.asarray(on_road.query(grid)[1]), 2] + (_TERRAIN_M if flat else _ROUGH_TERRAIN_M)
    return _strip(list(np.concatenate([grid, level[..., None]], axis=-1)), Tag.TERRAIN)
