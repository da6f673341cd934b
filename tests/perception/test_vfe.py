"""PillarVfe against plain loops over points: who is kept, what fills up, what the maximum sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from carla_cp.perception.config import DetectorConfig
from carla_cp.perception.pillars import PillarPoints
from carla_cp.perception.vfe import PillarVfe
from carla_cp.types import GridSpec, PointArray

GRID = GridSpec(half_length_m=6.4, half_width_m=3.2, z_min_m=-1.1, z_max_m=2.9)
CONFIG = replace(
    DetectorConfig(),
    grid=GRID,
    encoder="vfe",
    points_per_pillar=8,
    pillar_channels=5,
    network_z_m=1.9,
    strides=(2, 2, 2),
)


def cloud() -> PointArray:
    rng = np.random.default_rng(3)
    spread = rng.uniform([-7, -4, -1.5, 0], [7, 4, 3.2, 1], (600, 4))
    heap = rng.uniform([0.0, 0.0, 0.0, 0.0], [0.8, 0.4, 1.0, 1.0], (60, 4))
    return rng.permutation(np.concatenate([spread, heap])).astype(np.float32)


def kept_by_loops(points: PointArray, config: DetectorConfig) -> dict[int, list[list[float]]]:
    """Cell to points, in the order in which cells are entered; a full pillar or a full map takes no more."""
    grid, found = config.grid, dict[int, list[list[float]]]()
    for x, y, z, intensity in points:
        column = int(np.floor((x + np.float32(grid.half_length_m)) / np.float32(grid.pillar_m)))
        row = int(np.floor((y + np.float32(grid.half_width_m)) / np.float32(grid.pillar_m)))
        if not (0 <= column < grid.pillar_columns and 0 <= row < grid.pillar_rows):
            continue
        if not grid.z_min_m <= z < grid.z_max_m:
            continue
        cell = row * grid.pillar_columns + column
        if cell not in found and config.max_pillars and len(found) == config.max_pillars:
            continue
        kept = found.setdefault(cell, [])
        if len(kept) < config.points_per_pillar:
            kept.append([x, y, z - np.float32(config.network_z_m), intensity])
    return found


def check_grouping(config: DetectorConfig) -> PillarPoints:
    expected = kept_by_loops(cloud(), config)
    grouped = PillarVfe.grouped(cloud(), config)
    assert grouped.cells.tolist() == sorted(expected)
    for points, cell, count in zip(grouped.points, grouped.cells, grouped.counts, strict=True):
        kept = np.array(expected[int(cell)], np.float32)
        assert count == len(kept)
        np.testing.assert_array_equal(points[: len(kept)], kept)
        assert not points[len(kept) :].any()
    return grouped


def test_a_pillar_keeps_its_first_points_and_is_filled_with_zeros() -> None:
    grouped = check_grouping(CONFIG)
    assert grouped.counts.max() == 8 and grouped.counts.min() == 1


def test_a_full_map_keeps_the_pillars_that_were_entered_first() -> None:
    assert len(check_grouping(replace(CONFIG, max_pillars=100)).cells) == 100


def test_an_empty_cloud_has_no_pillars() -> None:
    network = PillarVfe(CONFIG).eval()
    grouped = network.group(np.zeros((0, 4), np.float32))
    assert grouped.points.shape == (0, 8, 4)
    assert not encode(network, grouped).any()


def encode(network: PillarVfe, grouped: PillarPoints) -> Tensor:
    tensors = (torch.from_numpy(part) for part in (grouped.points, grouped.counts, grouped.cells))
    with torch.no_grad():
        maps: Tensor = network(*tensors, 1)
    return maps[0]


def drawn() -> PillarVfe:
    """A network whose batch norm makes something of zero, and turns some channels around."""
    torch.manual_seed(2)
    network = PillarVfe(CONFIG)
    with torch.no_grad():
        network.norm.weight.copy_(torch.tensor([1.0, -1.0, 0.5, -0.5, 2.0]))
        network.norm.bias.copy_(torch.tensor([0.6, 0.8, -0.4, 0.1, 0.3]))
        network.norm.running_mean.copy_(torch.tensor([0.3, -0.2, 0.1, 0.0, 0.5]))  # type: ignore[union-attr]
    return network


def by_loops(network: PillarVfe, grouped: PillarPoints, mean: Tensor, variance: Tensor) -> Tensor:
    """The maps, point by point."""
    expected = torch.zeros(5, GRID.pillar_rows, GRID.pillar_columns)
    for points, cell, count in zip(grouped.points, grouped.cells, grouped.counts, strict=True):
        row, column = divmod(int(cell), GRID.pillar_columns)
        middle = ((column + 0.5) * 0.4 - 6.4, (row + 0.5) * 0.4 - 3.2, -1.0)
        values = []
        for rank in range(len(points)):
            inputs = inputs_of(points, int(count), rank, middle)
            raw = network.linear.weight @ torch.tensor(inputs)
            values.append((raw - mean) / torch.sqrt(variance + 1e-3) * network.norm.weight + network.norm.bias)
        expected[:, row, column] = torch.relu(torch.stack(values)).amax(dim=0).detach()
    return expected


def inputs_of(points: PointArray, count: int, rank: int, middle: tuple[float, float, float]) -> list[float]:
    if rank >= count:
        return [0.0] * 10
    point, mean = points[rank].tolist(), points[:count, :3].mean(axis=0).tolist()
    return [
        *point,
        *(point[axis] - mean[axis] for axis in range(3)),
        *(point[axis] - middle[axis] for axis in range(3)),
    ]


def test_a_pillar_says_the_maximum_over_its_points_and_its_filling() -> None:
    network, grouped = drawn().eval(), PillarVfe.grouped(cloud(), CONFIG)
    mean, variance = network.norm.running_mean, network.norm.running_var
    assert mean is not None and variance is not None
    np.testing.assert_allclose(encode(network, grouped), by_loops(network, grouped, mean, variance), atol=2e-5)


def test_in_training_the_filling_takes_part_in_the_statistics() -> None:
    network, grouped = drawn().train(), PillarVfe.grouped(cloud(), CONFIG)
    rows = []
    for points, cell, count in zip(grouped.points, grouped.cells, grouped.counts, strict=True):
        row, column = divmod(int(cell), GRID.pillar_columns)
        middle = ((column + 0.5) * 0.4 - 6.4, (row + 0.5) * 0.4 - 3.2, -1.0)
        rows += [inputs_of(points, int(count), rank, middle) for rank in range(len(points))]
    raw = torch.tensor(rows) @ network.linear.weight.T.detach()
    expected = by_loops(network, grouped, raw.mean(dim=0), raw.var(dim=0, unbiased=False))
    np.testing.assert_allclose(encode(network, grouped), expected, atol=2e-4)


def test_clouds_of_a_batch_do_not_touch_one_another() -> None:
    network = drawn().eval()
    whole, half = network.group(cloud()), network.group(cloud()[::2])
    both = PillarPoints(
        np.concatenate([whole.points, half.points]),
        np.concatenate([whole.cells, half.cells + network.cells_per_map]),
        np.concatenate([whole.counts, half.counts]),
    )
    tensors = (torch.from_numpy(part) for part in (both.points, both.counts, both.cells))
    with torch.no_grad():
        maps = network(*tensors, 2)
    torch.testing.assert_close(maps, torch.stack([encode(network, whole), encode(network, half)]))
