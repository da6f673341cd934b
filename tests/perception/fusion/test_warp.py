"""Warping and fusing: geometry against plain loops, and cells that were not received."""

from __future__ import annotations

import numpy as np
import torch

from carla_cp.geometry import matrix_from_pose, relative, transform_points
from carla_cp.perception.fusion import plane_theta, warp
from carla_cp.types import GridSpec, Pose

GRID = GridSpec()
CELL = GRID.pillar_m * GRID.bev_stride


def all_cells() -> torch.Tensor:
    return torch.ones((GRID.rows, GRID.rows), dtype=torch.bool)


def middles() -> torch.Tensor:
    """x and y of the cells' middles as a feature map (2, H, W)."""
    at = (torch.arange(GRID.rows) + 0.5) * CELL - GRID.half_length_m
    return torch.stack([at[None].expand(GRID.rows, -1), at[:, None].expand(-1, GRID.rows)])


def test_a_warped_cell_holds_what_the_sender_has_at_the_same_place() -> None:
    ego_from_sender = relative(Pose(x=5.0, y=-3.0, yaw=0.4), Pose(x=12.0, y=6.0, yaw=-1.1))
    values, valid = warp(middles()[None], all_cells()[None], plane_theta(ego_from_sender, GRID)[None])
    ego = middles().reshape(2, -1).T.numpy().astype(np.float64)
    places = transform_points(np.linalg.inv(ego_from_sender), np.column_stack([ego, np.zeros(len(ego))]))[:, :2]
    inside = (np.abs(places) < GRID.half_length_m - CELL).all(axis=1)
    assert 0.3 < inside.mean() < 0.9
    np.testing.assert_array_equal(valid[0].numpy().ravel()[inside], True)
    np.testing.assert_allclose(values[0].reshape(2, -1).T.numpy()[inside], places[inside], atol=2e-3)
    outside = (np.abs(places) > GRID.half_length_m + CELL).any(axis=1)
    assert not valid[0].numpy().ravel()[outside].any()


def test_an_object_lands_on_the_cell_where_the_ego_has_it() -> None:
    world_from_ego, world_from_sender = Pose(x=3.0, y=1.0, yaw=0.7), Pose(x=-14.0, y=9.0, yaw=2.5)
    ego_from_sender = relative(world_from_ego, world_from_sender)
    at_sender = np.array([[10.4, -6.0, 0.0]])
    features = torch.zeros((1, 1, GRID.rows, GRID.rows))
    column, row = np.floor((at_sender[0, :2] + GRID.half_length_m) / CELL).astype(int)
    features[0, 0, row, column] = 1.0
    values, _ = warp(features, all_cells()[None], plane_theta(ego_from_sender, GRID)[None])
    best = np.array(np.unravel_index(int(values[0, 0].argmax()), (GRID.rows, GRID.rows)))
    at_ego = transform_points(ego_from_sender, at_sender)[0, 1::-1]
    np.testing.assert_allclose((best + 0.5) * CELL - GRID.half_length_m, at_ego, atol=1.2 * CELL)


def test_the_same_pose_leaves_the_feature_as_it_is() -> None:
    features = torch.rand((1, 3, GRID.rows, GRID.rows))
    values, valid = warp(features, all_cells()[None], plane_theta(np.eye(4), GRID)[None])
    torch.testing.assert_close(values, features, atol=2e-5, rtol=0)
    assert valid.all()


def test_what_lies_in_invalid_cells_never_matters() -> None:
    generator = torch.Generator().manual_seed(1)
    features = torch.rand((1, 3, GRID.rows, GRID.rows), generator=generator)
    mask = torch.rand((1, GRID.rows, GRID.rows), generator=generator) < 0.3
    theta = plane_theta(matrix_from_pose(Pose(x=2.3, y=1.1, yaw=0.3)), GRID)[None]
    garbage = torch.where(mask[:, None], features, 1e6)
    zeros = torch.where(mask[:, None], features, 0.0)
    for first, second in zip(warp(garbage, mask, theta), warp(zeros, mask, theta), strict=True):
        torch.testing.assert_close(first, second, atol=0, rtol=0)


def test_a_valid_neighbourhood_is_not_darkened_by_invalid_cells_beside_it() -> None:
    mask = all_cells()
    mask[:, 64:] = False
    theta = plane_theta(matrix_from_pose(Pose(x=0.3)), GRID)[None]
    values, valid = warp(torch.ones((1, 1, GRID.rows, GRID.rows)), mask[None], theta)
    torch.testing.assert_close(values[0, 0][valid[0]], torch.ones(int(valid.sum())))
    assert not values[0, 0][~valid[0]].any()
