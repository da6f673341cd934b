import numpy as np
import pytest
from scipy.spatial import cKDTree

from carla_cp.server.mesh import Tag, transformed
from carla_cp.server.raycast import RayCaster
from carla_cp.server.shapes import actor_mesh

SIZES = {
    "car": (4.7, 1.9, 1.5),
    "van": (5.9, 2.2, 2.5),
    "truck": (8.0, 2.6, 3.2),
    "bus": (10.3, 3.0, 3.3),
    "motorcycle": (2.2, 0.8, 1.6),
    "bicycle": (1.7, 0.6, 1.75),
    "pedestrian": (0.5, 0.6, 1.8),
    "prop": (1.0, 2.0, 3.0),
}
OWN_TAG = {
    "car": Tag.CAR,
    "van": Tag.CAR,
    "truck": Tag.TRUCK,
    "bus": Tag.BUS,
    "motorcycle": Tag.MOTORCYCLE,
    "bicycle": Tag.BICYCLE,
    "pedestrian": Tag.PEDESTRIAN,
    "prop": Tag.STATIC,
}


@pytest.mark.parametrize("kind", SIZES)
def test_a_shape_fills_its_box(kind: str) -> None:
    length, width, height = SIZES[kind]
    vertices = actor_mesh(kind, length, width, height).vertices
    np.testing.assert_allclose(vertices.min(axis=0), (-length / 2, -width / 2, 0), atol=1e-5)
    np.testing.assert_allclose(vertices.max(axis=0), (length / 2, width / 2, height), atol=1e-5)


@pytest.mark.parametrize("kind", SIZES)
def test_a_shape_stays_cheap_to_cast_into(kind: str) -> None:
    assert len(actor_mesh(kind, *SIZES[kind]).triangles) <= 400


@pytest.mark.parametrize("kind", SIZES)
def test_a_shape_carries_its_tag_and_two_wheelers_a_rider(kind: str) -> None:
    tags = {OWN_TAG[kind]} | ({Tag.RIDER} if kind in ("motorcycle", "bicycle") else set())
    assert set(actor_mesh(kind, *SIZES[kind]).labels.tolist()) == tags


@pytest.mark.parametrize("kind", ["car", "van", "truck"])
def test_the_front_of_a_vehicle_is_lower_than_its_roof(kind: str) -> None:
    length, width, height = SIZES[kind]
    vertices = actor_mesh(kind, length, width, height).vertices
    assert vertices[vertices[:, 0] > 0.48 * length, 2].max() < 0.65 * height


def test_the_roof_of_a_short_high_car_reaches_its_tail_and_that_of_a_long_low_one_does_not() -> None:
    heights = []
    for length, height in ((3.8, 1.55), (4.9, 1.45)):
        vertices = actor_mesh("car", length, 1.9, height).vertices
        heights.append(vertices[vertices[:, 0] < -0.41 * length, 2].max() / height)
    assert heights[0] > 0.9 and heights[1] < 0.75


def test_a_truck_hides_what_stands_behind_it_from_a_lidar_on_a_roof() -> None:
    shift = np.eye(4)
    shift[:3, 3] = 0.0, 15.0, 0.0
    caster = RayCaster(transformed(actor_mesh("truck", 8.0, 2.6, 3.2), shift), threads=1)
    targets = np.array([(x, 25.0, z) for x in np.linspace(-4.0, 4.0, 9) for z in np.linspace(0.1, 1.5, 8)])
    rays = targets - (0.0, 0.0, 1.9)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    assert np.isfinite(caster.distances((0.0, 0.0, 1.9), rays.astype(np.float32), 25.0)).all()


@pytest.mark.parametrize("kind", [kind for kind in SIZES if kind != "prop"])
def test_a_shape_is_the_same_on_both_sides(kind: str) -> None:
    vertices = actor_mesh(kind, *SIZES[kind]).vertices
    # A pedestrian strides, so its left is the mirror of its right only after a turn by half a circle.
    mirror = (-1.0, -1.0, 1.0) if kind == "pedestrian" else (1.0, -1.0, 1.0)
    points = vertices[vertices[:, 2] < 0.3 * SIZES[kind][2]] if kind == "pedestrian" else vertices
    distance, _ = cKDTree(points).query(points * mirror)
    assert np.max(distance) < 1e-3


def test_the_same_arguments_give_the_same_mesh() -> None:
    assert actor_mesh("car", 4.7, 1.9, 1.5) is actor_mesh("car", 4.7, 1.9, 1.5)


def test_an_unknown_kind_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'tram'; known: car, van"):
        actor_mesh("tram", 10.0, 2.0, 3.0)


def test_a_flat_actor_is_refused() -> None:
    with pytest.raises(ValueError, match=r"4\.7 x 1\.9 x 0\.0 m"):
        actor_mesh("car", 4.7, 1.9, 0.0)
