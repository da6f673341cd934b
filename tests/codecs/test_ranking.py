"""Which cells go first."""

from __future__ import annotations

import torch

from carla_cp.codecs.ranking import rank


def test_cells_rank_by_their_heat_and_that_of_their_neighbours() -> None:
    heat = torch.zeros(3, 8, 8)
    heat[1, 4, 4] = 1.0
    order = rank(heat)
    assert order[0] == 4 * 8 + 4
    assert set(order[1:9]) == {row * 8 + column for row in (3, 4, 5) for column in (3, 4, 5)} - {36}
