"""Which cells go first."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from carla_cp.codecs.ranking import falling, rank, widened


def test_cells_rank_by_their_heat_and_that_of_their_neighbours() -> None:
    heat = torch.zeros(3, 8, 8)
    heat[1, 4, 4] = 1.0
    order = rank(heat)
    assert order[0] == 4 * 8 + 4
    assert set(order[1:9]) == {row * 8 + column for row in (3, 4, 5) for column in (3, 4, 5)} - {36}


def test_widening_is_max_pooling() -> None:
    maps = torch.rand((2, 20, 31), generator=torch.Generator().manual_seed(1))
    for reach in (1, 3, 6):
        assert torch.equal(widened(maps, reach), F.max_pool2d(maps, 2 * reach + 1, 1, reach))


def test_what_is_wanted_goes_before_what_is_not() -> None:
    heat = torch.zeros(1, 8, 16)
    heat[0, 4, 3], heat[0, 4, 12] = 0.9, 0.6
    demand = np.ones((8, 16), np.float32)
    assert np.array_equal(rank(heat, demand), rank(heat))
    demand[:, :8] = 0.5
    assert rank(heat, demand)[0] == 4 * 16 + 12
    assert set(rank(heat, demand)) == set(range(8 * 16))


def test_scores_fall_and_equal_ones_keep_their_order() -> None:
    assert list(falling(torch.tensor([[0.5, 1.0, 0.5], [2.0, 0.5, 0.0]]))) == [3, 1, 0, 2, 4, 5]
