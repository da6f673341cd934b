"""Which cells go first."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from carla_cp.codecs.ranking import rank, widened


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
