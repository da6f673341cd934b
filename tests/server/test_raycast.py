import numpy as np
import numpy.typing as npt
import pytest

from carla_cp.server.mesh import Mesh, Tag, cuboid, make, merge
from carla_cp.server.raycast import Hits, Mover, RayCaster
from carla_cp.server.shapes import actor_mesh

FLOOR = make([(-500, -500, 0), (500, -500, 0), (500, 500, 0), (-500, 500, 0)], [(0, 1, 2), (0, 2, 3)], Tag.ROAD)
TOWER = cuboid((10, -2, 0), (14, 2, 8), Tag.BUILDING)
EYE = np.array([0.0, 0.0, 2.0])


def shifted(x: float, y: float = 0.0, z: float = 0.0) -> npt.NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def directions(count: int, seed: int = 0) -> npt.NDArray[np.float32]:
    rays = np.random.default_rng(seed).normal(size=(count, 3))
    rays[:, 2] *= 0.3
    return (rays / np.linalg.norm(rays, axis=1, keepdims=True)).astype(np.float32)


def plain_cast(origin: npt.NDArray[np.float64], direction: npt.NDArray[np.float64], mesh: Mesh) -> tuple[float, int]:
    """Distance and triangle of the first hit, by Moeller and Trumbore (1997), one triangle after the other."""
    best, triangle = np.inf, -1
    for index, (a, b, c) in enumerate(mesh.vertices[mesh.triangles].astype(float)):
        edge1, edge2 = b - a, c - a
        across = np.cross(direction, edge2)
        determinant = edge1 @ across
        if abs(determinant) < 1e-12:
            continue
        u = (origin - a) @ across / determinant
        turned = np.cross(origin - a, edge1)
        v = direction @ turned / determinant
        distance = edge2 @ turned / determinant
        if u >= 0 and v >= 0 and u + v <= 1 and 0 < distance < best:
            best, triangle = float(distance), index
    return best, triangle


def bits(hits: Hits) -> list[bytes]:
    return [values.tobytes() for values in (hits.distance, hits.actor_id, hits.label, hits.cos)]


def test_a_floor_is_hit_where_geometry_says() -> None:
    rays = directions(5000)
    hits = RayCaster(FLOOR).cast(EYE, rays, 100.0)
    expected = np.where(rays[:, 2] < 0, -2.0 / np.minimum(rays[:, 2], -1e-9), np.inf)
    expected[expected > 100.0] = np.inf
    # Rays that end at the very range may fall to either side of it.
    clear = np.abs(expected - 100.0) > 1e-3
    np.testing.assert_allclose(hits.distance[clear], expected[clear], atol=1e-3)
    struck = np.isfinite(hits.distance)
    np.testing.assert_allclose(hits.cos[struck], -rays[struck, 2], atol=1e-5)
    assert set(hits.label[struck]) == {Tag.ROAD} and set(hits.label[~struck]) == {0}


def test_a_box_is_hit_where_geometry_says() -> None:
    caster = RayCaster(TOWER)
    rays = np.array([(1, 0, 0), (0, 1, 0), (0.8, 0, 0.6), (-1, 0, 0)], np.float32)
    np.testing.assert_allclose(caster.cast(EYE, rays, 100.0).distance, [10, np.inf, np.inf, np.inf], atol=1e-3)
    down = caster.cast((12.0, 1.0, 20.0), np.array([(0, 0, -1)], np.float32), 100.0)
    assert down.distance[0] == pytest.approx(12.0, abs=1e-3) and down.cos[0] == pytest.approx(1.0, abs=1e-5)


def test_hits_equal_those_of_a_plain_loop_over_all_triangles() -> None:
    car = Mover(7, actor_mesh("car", 4.7, 1.9, 1.5), shifted(6.0, 3.0))
    bicycle = Mover(9, actor_mesh("bicycle", 1.7, 0.6, 1.75), shifted(-3.0, -2.0))
    caster = RayCaster(merge([FLOOR, TOWER]))
    caster.place([car, bicycle])
    world = [(0, merge([FLOOR, TOWER]))]
    for mover in (car, bicycle):
        moved = Mesh(
            mover.mesh.vertices + mover.matrix[:3, 3].astype(np.float32), mover.mesh.triangles, mover.mesh.labels
        )
        world.append((mover.actor_id, moved))
    aims = [((6, 3, -1.2), 0.8), ((-3, -2, -1), 0.3), ((10, 0, 0), 3.0)]
    aimed = np.concatenate([np.random.default_rng(1).normal(aim, spread, (12, 3)) for aim, spread in aims])
    rays = (aimed / np.linalg.norm(aimed, axis=1, keepdims=True)).astype(np.float32)
    hits = caster.cast(EYE, rays, 100.0)
    for row, ray in enumerate(rays.astype(float)):
        found = [(*plain_cast(EYE, ray, mesh), actor, mesh) for actor, mesh in world]
        distance, triangle, actor, mesh = min(found, key=lambda item: item[0])
        distance = distance if distance < 100.0 else np.inf
        assert hits.distance[row] == pytest.approx(distance, abs=1e-3)
        if np.isfinite(distance):
            assert (hits.actor_id[row], hits.label[row]) == (actor, mesh.labels[triangle])
    assert {0, 7, 9} <= set(hits.actor_id.tolist())


def test_the_number_of_threads_changes_no_bit() -> None:
    rays = directions(10_007)
    results = []
    for threads in (1, 2, 3):
        caster = RayCaster(merge([FLOOR, TOWER]), threads=threads)
        caster.place([Mover(5, actor_mesh("truck", 8.0, 2.6, 3.2), shifted(-7.0, 4.0))])
        results.append(caster.cast(EYE, rays, 60.0))
    assert bits(results[0]) == bits(results[1]) == bits(results[2])
    assert set(results[0].actor_id.tolist()) == {0, 5}


def test_bare_distances_equal_those_of_a_full_cast() -> None:
    rays = directions(10_000)
    caster = RayCaster(merge([FLOOR, TOWER]))
    caster.place([Mover(5, actor_mesh("truck", 8.0, 2.6, 3.2), shifted(-7.0, 4.0))])
    assert caster.distances(EYE, rays, 60.0).tobytes() == caster.cast(EYE, rays, 60.0).distance.tobytes()


def test_a_mover_hides_the_town_and_the_town_hides_a_mover() -> None:
    caster = RayCaster(TOWER)
    ahead = np.array([(1, 0, 0)], np.float32)
    wall = cuboid((-0.5, -5, -5), (0.5, 5, 5), Tag.TRUCK)
    caster.place([Mover(3, wall, shifted(5.0))])
    before = caster.cast(EYE, ahead, 100.0)
    caster.place([Mover(3, wall, shifted(50.0))])
    behind = caster.cast(EYE, ahead, 100.0)
    assert (before.actor_id[0], before.distance[0]) == (3, pytest.approx(4.5, abs=1e-3))
    assert (behind.actor_id[0], behind.label[0], behind.distance[0]) == (0, Tag.BUILDING, pytest.approx(10, abs=1e-3))


def test_movers_leave_when_they_are_not_placed_again() -> None:
    caster = RayCaster(FLOOR)
    ahead = np.array([(1, 0, 0)], np.float32)
    caster.place([Mover(3, TOWER, np.eye(4))])
    assert caster.cast(EYE, ahead, 100.0).actor_id[0] == 3
    caster.place([])
    assert not np.isfinite(caster.cast(EYE, ahead, 100.0).distance[0])


def test_an_empty_world_and_no_rays_give_nothing() -> None:
    empty = RayCaster(merge([]))
    assert not np.isfinite(empty.cast(EYE, directions(10), 100.0).distance).any()
    assert len(RayCaster(FLOOR).cast(EYE, directions(0), 100.0).distance) == 0


def test_nothing_beyond_the_range_is_seen() -> None:
    ahead = np.array([(1, 0, 0)], np.float32)
    caster = RayCaster(TOWER)
    assert np.isfinite(caster.cast(EYE, ahead, 10.1).distance[0])
    assert not np.isfinite(caster.cast(EYE, ahead, 9.9).distance[0])


def test_actor_zero_is_refused_because_it_means_the_town() -> None:
    with pytest.raises(ValueError, match="actor id is 0"):
        RayCaster(FLOOR).place([Mover(0, TOWER, np.eye(4))])
