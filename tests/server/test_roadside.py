import numpy as np
import numpy.typing as npt
import pytest

from carla_cp.server.mesh import Tag, merge
from carla_cp.server.raycast import RayCaster
from carla_cp.server.roadside import Junction, Streets, Thing, furnish

Floats = npt.NDArray[np.float64]
HALF_ROAD, WALK = 7.0, 2.0  # two lanes each way, and a sidewalk beyond them
REACH = 150.0


def area(x0: float, x1: float, y0: float, y1: float) -> Floats:
    x, y = np.meshgrid(np.arange(x0, x1 + 0.1, 1.0), np.arange(y0, y1 + 0.1, 1.0))
    return np.stack([x.ravel(), y.ravel(), 0.0 * x.ravel()], axis=-1)


def crossing() -> Streets:
    """Two straight roads that cross at the origin."""
    inner, outer = HALF_ROAD + 5.0, HALF_ROAD + WALK
    edges, walks = [], []
    run = np.arange(inner, REACH, 2.0)
    for turn in range(4):
        c, s = round(np.cos(turn * np.pi / 2)), round(np.sin(turn * np.pi / 2))
        spin = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        edges.append(np.column_stack([run, np.full_like(run, outer), 0 * run]) @ spin)
        edges.append(np.column_stack([run[::-1], np.full_like(run, -outer), 0 * run]) @ spin)
        for low, high in ((HALF_ROAD, outer), (-outer, -HALF_ROAD)):
            walks.append(area(inner, REACH, low, high) @ spin)
    roads = [area(-REACH, REACH, -HALF_ROAD, HALF_ROAD), area(-HALF_ROAD, HALF_ROAD, -REACH, REACH)]
    signals = np.array([(-inner, outer + 1.0, 0.0), (inner, -outer - 1.0, np.pi)])
    return Streets(edges, np.concatenate(roads), np.concatenate(walks), [Junction(np.zeros(2), inner)], signals)


STREETS = crossing()
THINGS = furnish(STREETS, 0)


def kind(thing: Thing) -> int:
    return int(thing.mesh.labels[-1])


def off_road(points: Floats) -> Floats:
    """Distance of points from the nearest lane, 0 on it."""
    x, y = np.abs(points[:, 0]), np.abs(points[:, 1])
    along_x = np.hypot(np.maximum(x - REACH, 0), np.maximum(y - HALF_ROAD, 0))
    along_y = np.hypot(np.maximum(x - HALF_ROAD, 0), np.maximum(y - REACH, 0))
    return np.asarray(np.minimum(along_x, along_y))


def test_everything_stands_beside_the_roads() -> None:
    assert {kind(thing) for thing in THINGS} == {Tag.BUILDING, Tag.POLE, Tag.TRAFFIC_LIGHT, Tag.VEGETATION}
    assert sum(kind(thing) == Tag.BUILDING for thing in THINGS) >= 20


@pytest.mark.parametrize("seed", range(5))
def test_nothing_within_reach_of_a_car_stands_on_a_lane_or_a_sidewalk(seed: int) -> None:
    for thing in furnish(STREETS, seed):
        low = thing.mesh.vertices[thing.mesh.vertices[:, 2] < 2.2].astype(float)
        # The sidewalks reach two metres from the lanes; only a pole, 0.11 m thick, may come as near as that.
        assert off_road(low).min() > (WALK + 2.0 if kind(thing) == Tag.BUILDING else WALK)


@pytest.mark.parametrize("seed", range(5))
def test_a_car_on_the_cross_road_is_visible_over_every_open_corner(seed: int) -> None:
    solid = [thing.mesh for thing in furnish(STREETS, seed) if kind(thing) == Tag.BUILDING]
    caster = RayCaster(merge(solid))
    for x, y in ((45.0, 1.75), (-45.0, 1.75), (45.0, -5.25), (-45.0, -5.25)):
        for eye in (40.0, -40.0, 30.0, -30.0):
            ray = np.array([x - 1.75, y - eye, 1.0 - 1.9])
            distance = float(np.linalg.norm(ray))
            assert not np.isfinite(
                caster.distances((1.75, eye, 1.9), (ray / distance).astype(np.float32)[None], distance)
            )


def test_buildings_do_not_overlap() -> None:
    boxes = np.array([thing.box for thing in THINGS if kind(thing) == Tag.BUILDING])
    for first, (x, y, _, length, width, _, yaw) in enumerate(boxes):
        corners = np.array([(a * length / 2, b * width / 2) for a in (-1, 1) for b in (-1, 1)])
        c, s = np.cos(yaw), np.sin(yaw)
        corners = corners @ np.array([[c, s], [-s, c]]) + (x, y)
        for other, (u, v, _, long, wide, _, turn) in enumerate(boxes):
            if first != other:
                dx, dy = (corners - (u, v)).T
                along, across = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
                assert not ((np.abs(along) < long / 2) & (np.abs(across) < wide / 2)).any()


def test_obstacles_enclose_what_they_stand_for() -> None:
    for thing in THINGS:
        if kind(thing) == Tag.BUILDING:
            x, y, z, length, width, height, yaw = thing.box
            offset = thing.mesh.vertices[:8, :2].astype(float) - (x, y)
            along = offset @ (np.cos(yaw), np.sin(yaw))
            assert np.abs(along).max() == pytest.approx(length / 2, abs=1e-3)
            assert thing.mesh.vertices[:8, 2].max() == pytest.approx(z + height / 2, abs=1e-3) and width > 0


def test_the_same_seed_gives_the_same_town_and_another_seed_another() -> None:
    again = merge([thing.mesh for thing in furnish(STREETS, 0)])
    other = merge([thing.mesh for thing in furnish(STREETS, 1)])
    first = merge([thing.mesh for thing in THINGS])
    assert again.vertices.tobytes() == first.vertices.tobytes() != other.vertices.tobytes()


def test_a_road_furnishes_itself_alike_whatever_other_roads_there_are() -> None:
    fewer = Streets(STREETS.edges[:1], STREETS.lanes, STREETS.walks, STREETS.junctions, STREETS.signals)
    here = [thing.box for thing in furnish(fewer, 0) if kind(thing) == Tag.BUILDING]
    assert here and set(here) <= {thing.box for thing in THINGS}
