"""Grouping points into voxels against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from carla_cp.perception.voxels import VoxelGrid, group_voxels
from carla_cp.types import GridSpec

GRID = VoxelGrid(GridSpec(6.4, 3.2, -0.5, 1.5, 1.6, 1), 0.25)


def random_cloud(count: int) -> np.ndarray:
    rng = np.random.default_rng(6)
    cloud = rng.uniform([-8, -4, -1, 0], [8, 4, 2, 1], (count, 4))
    cloud[: count // 3, :3] = rng.uniform(0, 0.5, (count // 3, 3))
    return cloud.astype(np.float32)


def test_the_grid_counts_eight_voxels_to_a_pillar() -> None:
    assert (GRID.side_m, GRID.layers, GRID.rows, GRID.columns) == (0.2, 8, 32, 64)


def test_a_voxel_is_the_mean_of_its_first_points() -> None:
    cloud = random_cloud(3000)
    groups: dict[int, list[np.ndarray]] = {}
    for point in cloud:
        x = int(np.floor((point[0] + np.float32(6.4)) / np.float32(0.2)))
        y = int(np.floor((point[1] + np.float32(3.2)) / np.float32(0.2)))
        z = int(np.floor((point[2] + np.float32(0.5)) / np.float32(0.25)))
        if 0 <= x < 64 and 0 <= y < 32 and 0 <= z < 8:
            groups.setdefault((z * 32 + y) * 64 + x, []).append(point)
    result = group_voxels(cloud, GRID, 5)
    assert result.cells.tolist() == sorted(groups)
    assert max(result.counts) > 10
    for cell, count, point in zip(result.cells, result.counts, result.points, strict=True):
        assert count == len(groups[cell])
        np.testing.assert_allclose(point[0], np.mean(groups[cell][:5], axis=0), atol=1e-6)
    assert result.points.dtype == result.counts.dtype == np.float32


def test_clouds_without_a_point_in_the_grid_have_no_voxels() -> None:
    for cloud in (np.zeros((0, 4)), np.full((5, 4), 70.0), np.full((5, 4), np.nan)):
        result = group_voxels(cloud.astype(np.float32), GRID, 5)
        assert result.points.shape == (0, 1, 4) and result.cells.shape == (0,) and result.counts.shape == (0,)


def test_points_that_are_no_numbers_are_left_out() -> None:
    cloud = np.array([[0.1, 0.1, 0.1, 0.5], [np.nan, 0.1, 0.1, 0.5], [0.1, np.inf, 0.1, 0.5]], np.float32)
    result = group_voxels(cloud, GRID, 5)
    assert result.counts.tolist() == [1.0]
    np.testing.assert_array_equal(result.points[:, 0], cloud[:1])


@pytest.mark.parametrize("height", [0.3, 0.0, -0.25, 5.0])
def test_a_grid_that_is_not_so_many_voxels_high_is_refused(height: float) -> None:
    with pytest.raises(ValueError, match="voxel_height_m"):
        VoxelGrid(GRID.grid, height)
