"""Grouping points into pillars against a plain loop, and the encoder's promises on its map."""

from __future__ import annotations

import numpy as np
import torch

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.pillars import PillarNet, agent_points, group_points
from carla_cp.types import AgentName, GridSpec, Pose, Sweep
from tests.perception.synthetic import make_frame

GRID = GridSpec()


def random_cloud(count: int) -> np.ndarray:
    rng = np.random.default_rng(4)
    cloud = rng.uniform([-60, -60, -1, 0], [60, 60, 5, 1], (count, 4))
    cloud[: count // 3, :2] = rng.uniform(-1, 1, (count // 3, 2))
    return cloud.astype(np.float32)


def test_pillars_hold_evenly_spaced_samples_of_their_points() -> None:
    cloud = random_cloud(3000)
    groups: dict[int, list[np.ndarray]] = {}
    for point in cloud:
        column = int(np.floor((point[0] + np.float32(51.2)) / np.float32(0.4)))
        row = int(np.floor((point[1] + np.float32(51.2)) / np.float32(0.4)))
        if 0 <= column < 256 and 0 <= row < 256 and -0.5 <= point[2] < 4.5:
            groups.setdefault(row * 256 + column, []).append(point)
    result = group_points(cloud, GRID, 4)
    assert result.cells.tolist() == sorted(groups)
    for cell, count, points in zip(result.cells, result.counts, result.points, strict=True):
        members = groups[cell]
        assert count == len(members)
        np.testing.assert_array_equal(points, [members[k * len(members) // 4] for k in range(4)])


def test_an_empty_cloud_and_one_outside_the_grid_have_no_pillars() -> None:
    for cloud in (np.zeros((0, 4), np.float32), np.full((5, 4), 70.0, np.float32)):
        result = group_points(cloud, GRID, 16)
        assert result.points.shape == (0, 16, 4) and result.cells.shape == (0,) and result.counts.shape == (0,)


def test_a_point_in_the_first_cell_is_kept() -> None:
    result = group_points(np.array([[-51.15, -51.15, 0, 0]], np.float32), GRID, 2)
    assert result.cells.tolist() == [0] and result.counts.tolist() == [1.0]


def test_points_stand_on_the_ground_and_the_own_vehicle_is_gone() -> None:
    points = np.array([[2.0, 0.5, -1.0, 0.5], [8.0, 0.0, -1.9, 0.5], [0.0, 1.5, -1.9, 0.5]], np.float32)
    result = agent_points(Sweep(AgentName("a"), 0, points, Pose(), 1.9), DetectorConfig())
    np.testing.assert_allclose(result, [[8.0, 0.0, 0.0, 0.5], [0.0, 1.5, 0.0, 0.5]], atol=1e-6)
    assert points[1, 2] == np.float32(-1.9), "the sweep itself must stay as it was"


def test_the_map_is_zero_where_no_point_fell_and_never_negative() -> None:
    torch.manual_seed(0)
    net = PillarNet(DetectorConfig()).eval()
    clouds = [group_points(agent_points(make_frame(1).agents[i].sweep, DetectorConfig()), GRID, 16) for i in (0, 1)]
    maps = []
    with torch.no_grad():
        for cloud in clouds:
            args = (torch.from_numpy(value) for value in (cloud.points, cloud.counts, cloud.cells))
            maps.append(net(*args, 1)[0])
        together = net(
            torch.from_numpy(np.concatenate([cloud.points for cloud in clouds])),
            torch.from_numpy(np.concatenate([cloud.counts for cloud in clouds])),
            torch.from_numpy(np.concatenate([clouds[0].cells, clouds[1].cells + 256 * 256])),
            2,
        )
    torch.testing.assert_close(together, torch.stack(maps), atol=1e-5, rtol=1e-5)
    for cloud, result in zip(clouds, maps, strict=True):
        assert result.shape == (32, 256, 256) and result.min() == 0.0
        occupied = np.zeros(256 * 256, bool)
        occupied[cloud.cells] = True
        assert not result.reshape(32, -1)[:, torch.from_numpy(~occupied)].any()
        assert result.reshape(32, -1)[:, torch.from_numpy(occupied)].any(dim=0).float().mean() > 0.9


def decorated(points: torch.Tensor, counts: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """PointPillars' features of each point, written out: (P, K, 9)."""
    middle = torch.stack([cells % 256, cells // 256], dim=1) * 0.4 + (0.2 - 51.2)
    from_mean = points[..., :3] - points[..., :3].mean(dim=1, keepdim=True)
    from_middle = points[..., :2] - middle[:, None]
    distance = points[..., :2].norm(dim=2, keepdim=True) / 50.0
    density = (torch.log1p(counts) / 4.0)[:, None, None].expand(-1, points.shape[1], 1)
    return torch.cat([points[..., 2:], from_mean, from_middle, distance, density], dim=2)


def test_the_pillar_maximum_has_the_gradient_of_its_plain_form() -> None:
    generator = torch.Generator().manual_seed(3)
    net = PillarNet(DetectorConfig())
    points, weight = 50 * torch.rand((50, 6, 4), generator=generator), torch.rand((50, 32), generator=generator)
    counts, cells = torch.ones(50), torch.arange(50)
    out = net.norm(net.linear(decorated(points, counts, cells)).amax(dim=1)).relu()
    expected = torch.autograd.grad((out * weight).sum(), net.linear.weight)[0]
    found = net(points, counts, cells, 1)[0].reshape(32, -1)[:, :50].T
    gradient = torch.autograd.grad((found * weight).sum(), net.linear.weight)[0]
    torch.testing.assert_close(found, out)
    torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=1e-3)
