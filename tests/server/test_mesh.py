from collections import Counter

import numpy as np
import pytest

from carla_cp.server.mesh import Mesh, Tag, cuboid, loft, make, merge, sphere, transformed, tube

TRIANGLE = make([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 1, 2)], Tag.ROAD)
SOLIDS = {
    "cuboid": cuboid((0, 0, 0), (1, 2, 3), Tag.CAR),
    "tube": tube((0, 0, 0), (1, 1, 1), (0.3, 0.1), 7, Tag.POLE),
    "sphere": sphere((1, 2, 3), (1, 2, 0.5), 8, Tag.VEGETATION),
    "loft": loft([[(x, -1, 0), (x, 1, 0), (x, 0, 1)] for x in (0, 1, 3)], Tag.CAR),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_a_solid_is_closed(name: str) -> None:
    edges: Counter[frozenset[int]] = Counter()
    for triangle in SOLIDS[name].triangles.tolist():
        edges.update(frozenset(pair) for pair in zip(triangle, triangle[1:] + triangle[:1], strict=True))
    assert set(edges.values()) == {2}


def test_a_merged_mesh_keeps_every_triangle_where_it_was() -> None:
    parts = list(SOLIDS.values())
    merged = merge(parts)
    corners = np.concatenate([part.vertices[part.triangles] for part in parts])
    np.testing.assert_array_equal(merged.vertices[merged.triangles], corners)
    np.testing.assert_array_equal(merged.labels, np.concatenate([part.labels for part in parts]))


def test_merging_nothing_gives_an_empty_mesh() -> None:
    assert len(merge([]).triangles) == 0


def test_a_transformed_mesh_is_turned_and_then_shifted() -> None:
    quarter_turn = np.array([[0.0, -1, 0, 10], [1, 0, 0, 20], [0, 0, 1, 30], [0, 0, 0, 1]])
    moved = transformed(TRIANGLE, quarter_turn)
    np.testing.assert_allclose(moved.vertices, [(10, 20, 30), (10, 21, 30), (9, 20, 30)], atol=1e-6)


def test_a_tube_has_its_radius_and_its_ends() -> None:
    points = tube((0, 0, 1), (0, 0, 4), 0.5, 12, Tag.POLE).vertices
    np.testing.assert_allclose(np.hypot(points[:, 0], points[:, 1]), 0.5, atol=1e-6)
    assert {float(z) for z in points[:, 2]} == {1.0, 4.0}


def test_a_triangle_that_names_no_vertex_is_refused() -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.2"):
        make(TRIANGLE.vertices, [(0, 1, 3)], Tag.ROAD)


def test_wrong_types_are_refused() -> None:
    with pytest.raises(ValueError, match="float32"):
        Mesh(TRIANGLE.vertices.astype(np.float64), TRIANGLE.triangles, TRIANGLE.labels)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one per triangle"):
        Mesh(TRIANGLE.vertices, TRIANGLE.triangles, np.zeros(2, np.uint8))
