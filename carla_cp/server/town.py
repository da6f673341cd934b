"""The town around an OpenDRIVE road network: roads, sidewalks, terrain, and what `roadside` puts beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree

import carla
import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, Delaunay, cKDTree

from carla_cp.server.mesh import Mesh, Tag, make, merge
from carla_cp.server.roadside import Junction, Streets, furnish

Floats = npt.NDArray[np.float64]

_STEP_M = 2.0  # between samples along a straight lane
_SAG_M, _HALVINGS = 0.02, 4  # by which a lane's border may leave the mesh, and how often a step is halved for it
_INSET_M = 1e-3
_SIDEWALK_M = 0.1  # a sidewalk's height over the road
_TERRAIN_M = -0.05  # the terrain's
_MARGIN_M = 150.0  # of terrain around the outermost lane
_TERRAIN_CELL_M, _TERRAIN_CELLS = 5.0, 1000
_ROUGH_TERRAIN_M = -0.3
_FLAT_M = 0.02  # what a level map's roads rise and fall by
_FLOOR_M = 0.05  # of a sloping junction's floor under its lanes
_BRIDGE_M = 2.5  # by which a road is lower than another that crosses it
_UNDER_M = 7.5  # around a place, in which the lower one counts
_TRAFFIC_LIGHT = "1000001"  # OpenDRIVE's signal type
_WALKS = ("sidewalk", "walking")  # all other lanes are paved


@dataclass(frozen=True, slots=True, eq=False)
class Town:
    """What stands still: its mesh, and the boxes of what a car can run into."""

    mesh: Mesh
    obstacles: Floats  # (N, 7) boxes of buildings, poles and trunks: x, y, z of the centre, length, width, height, yaw
    parts: npt.NDArray[np.int64]  # (N + 1,) an obstacle's triangles are those from its number here to the next one's


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
    flat = float(np.ptp(streets.lanes[:, 2])) < _FLAT_M
    meshes = [_strip([lane.left, lane.right], Tag.ROAD) for lane in paved]
    on_road, foot = cKDTree(streets.lanes), _TERRAIN_M if flat else _ROUGH_TERRAIN_M
    meshes += [_sidewalk(lane, on_road, foot) for lane in walks]
    meshes += [_floor(rim) if flat else _sloping_floor(rim, streets.lanes) for rim in junctions]
    meshes.append(_terrain(streets.lanes, flat))
    obstacles = np.array([thing.box for thing in things], np.float64).reshape(-1, 7)
    first = sum(len(mesh.triangles) for mesh in meshes)
    parts = first + np.cumsum([0] + [len(thing.mesh.triangles) for thing in things], dtype=np.int64)
    return Town(merge(meshes + [thing.mesh for thing in things]), obstacles, parts)


def read_lanes(carla_map: carla.Map, opendrive: str) -> list[Lane]:
    """Every lane of the map that has a width, in the order of the file."""
    found = []
    for road in ElementTree.fromstring(opendrive).findall("road"):
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
    elements = sorted(elements, key=lambda lane: abs(int(lane.attrib["id"])))
    solid = [element for element in elements if element.attrib["type"] != "none"]
    stations = _stations(carla_map, number, [int(element.attrib["id"]) for element in solid], start, end)
    strips = []
    for element in solid:
        borders = _borders(carla_map, number, int(element.attrib["id"]), stations)
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


def _stations(carla_map: carla.Map, road: int, lanes: list[int], start: float, end: float) -> Floats:
    """Where a section's lanes are sampled, all at the same places, so that no gap opens between them.

    Closer together where a chord would leave a border by more than `_SAG_M`.
    """
    # The map knows no lane exactly at the ends of a section, so samples begin and end a little inside.
    inset = min(_INSET_M, (end - start) / 10.0)
    stations = np.linspace(start + inset, end - inset, max(math.ceil((end - start) / _STEP_M), 1) + 1)
    for _ in range(_HALVINGS):
        middles = (stations[1:] + stations[:-1]) / 2
        sag = np.zeros(len(middles))
        for lane in lanes:
            rims, between = (
                _rims(_samples(carla_map, road, lane, stations)),
                _rims(_samples(carla_map, road, lane, middles)),
            )
            for rim, true in zip(rims, between, strict=True):
                sag = np.maximum(sag, np.linalg.norm((rim[1:] + rim[:-1]) / 2 - true, axis=1))
        if not (sag > _SAG_M).any():
            break
        stations = np.sort(np.concatenate([stations, middles[sag > _SAG_M]]))
    return stations


def _samples(carla_map: carla.Map, road: int, lane: int, stations: Floats) -> Floats:
    """(n, 5): x, y, z, heading [rad] and width of a lane at these stations."""
    rows = []
    for s in stations.tolist():
        waypoint = carla_map.get_waypoint_xodr(road, lane, s)
        if waypoint is None:
            raise ValueError(f"the map has no lane {lane} of road {road} at s={s:.3f} m, though its OpenDRIVE text has")
        pose = waypoint.transform
        place = pose.location
        rows.append((place.x, place.y, place.z, math.radians(pose.rotation.yaw), waypoint.lane_width))
    return np.array(rows)


def _rims(samples: Floats) -> tuple[Floats, Floats]:
    """The left and the right border of samples, (n, 3) each."""
    centre, yaw, width = samples[:, :3], samples[:, 3], samples[:, 4]
    across = np.stack([-np.sin(yaw), np.cos(yaw), np.zeros_like(yaw)], axis=-1) * width[:, None] / 2
    return centre - across, centre + across


def _borders(carla_map: carla.Map, road: int, lane: int, stations: Floats) -> tuple[Floats, Floats] | None:
    """The left and right border of a lane; none if it has no width."""
    samples = _samples(carla_map, road, lane, stations)
    if samples[:, 4].max() < 1e-3:
        return None
    # Drawn out by twice what the samples stay inside, so that sections overlap instead of leaving a gap.
    for tip, neighbour in ((0, 1), (-1, -2)):
        step = samples[tip, :3] - samples[neighbour, :3]
        inset = min(_INSET_M, float(np.linalg.norm(step)) / 5.0)
        samples[tip, :3] += 2.0 * inset * step / np.linalg.norm(step)
    return _rims(samples)


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


def _sidewalk(lane: Lane, on_road: cKDTree, depth: float) -> Mesh:
    """A sidewalk and its curbs; level with the road where it crosses a lane."""
    # A sidewalk touches its own road at one border, so only its middle tells whether it lies on a lane.
    middle = (lane.left + lane.right) / 2
    crossing = np.asarray(on_road.query(middle)[0]) < 0.7
    up = np.column_stack([np.zeros((len(middle), 2)), np.where(crossing, -0.02, _SIDEWALK_M)])
    foot = np.array([0.0, 0.0, depth])
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


def _sloping_floor(rim: Floats, lanes: Floats) -> Mesh:
    """The same under a junction that is not level: it follows the lanes, a little lower."""
    near = lanes[np.linalg.norm(lanes - rim.mean(axis=0), axis=1) <= _radius(rim) + 1.0]
    inside = near[Delaunay(rim[:, :2]).find_simplex(near[:, :2]) >= 0]
    points = np.concatenate([rim, inside]) - (0.0, 0.0, _FLOOR_M)
    return make(points, Delaunay(points[:, :2]).simplices, Tag.ROAD)


def _terrain(points: Floats, flat: bool) -> Mesh:
    """Terrain a little below the nearest road: two triangles under a flat map, else a grid."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = float(max(high[:2] - low[:2])) + 2 * _MARGIN_M
    count = 2 if flat else min(math.ceil(span / _TERRAIN_CELL_M), _TERRAIN_CELLS) + 1
    axis = np.linspace(-span / 2, span / 2, count)
    middle = (low + high)[:2] / 2
    grid = np.stack(np.meshgrid(axis + middle[0], axis + middle[1]), axis=-1)
    # Between the grid's points sloping roads rise and fall, so there the terrain lies lower.
    level = _levels(points, grid) + (_TERRAIN_M if flat else _ROUGH_TERRAIN_M)
    return _strip(list(np.concatenate([grid, level[..., None]], axis=-1)), Tag.TERRAIN)


def _levels(points: Floats, grid: Floats) -> Floats:
    """The height of the road nearest to each place of a grid (n, m, 2); beside a bridge, of the road under it."""
    tree = cKDTree(points[:, :2])
    nearest = points[np.asarray(tree.query(grid)[1]), 2]
    if np.ptp(points[:, 2]) < _BRIDGE_M:
        return np.asarray(nearest)
    around = tree.query_ball_point(grid.reshape(-1, 2), _UNDER_M)
    lowest = np.array([points[rows, 2].min() if rows else np.inf for rows in around]).reshape(nearest.shape)
    return np.where(lowest < nearest - _BRIDGE_M, lowest, nearest)
