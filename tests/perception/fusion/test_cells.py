"""What rules start from: known cells, means over agents, wider cells."""

from __future__ import annotations

import torch

from carla_cp.perception.fusion.cells import known_cells, mean_over_agents
from carla_cp.perception.fusion.coarse import Coarse
from tests.perception.fusion.teams import aligned


def test_unknown_cells_are_zero_and_known_ones_as_they_were() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.rand((3, 4, 5, 6), generator=generator)
    valid = torch.rand((3, 5, 6), generator=generator) < 0.5
    valid[0] = True
    dirty = torch.where(valid[:, None], features, torch.nan)
    known, mask = known_cells(aligned(dirty, valid))
    assert torch.equal(mask, valid)
    assert torch.equal(known, features * valid[:, None])


def test_the_mean_counts_those_who_know_a_cell() -> None:
    features = torch.tensor([1.0, 5.0, 9.0])[:, None, None, None].expand(3, 2, 1, 3)
    valid = torch.tensor([[[True, True, False]], [[True, False, False]], [[True, True, False]]])
    assert torch.equal(mean_over_agents(features * valid[:, None], valid)[0, 0], torch.tensor([5.0, 5.0, 0.0]))


def test_a_wide_cell_is_known_if_any_of_its_cells_is() -> None:
    coarse = Coarse(4, 2)
    valid = torch.zeros((1, 4, 6), dtype=torch.bool)
    valid[0, 3, 2] = True
    features, known = coarse.narrow(torch.rand((1, 4, 4, 6)), valid)
    assert features.shape == (1, 4, 2, 3) and coarse.widen(features[0]).shape == (4, 4, 6)
    assert known.nonzero().tolist() == [[0, 1, 1]]
