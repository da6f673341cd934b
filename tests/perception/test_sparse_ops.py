"""Sparse convolutions against dense ones, with their gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from carla_cp.perception.sparse_ops import Rules, Sites, Triple, convolve, strided_rules, submanifold_rules

STRIDED = (
    ((3, 3, 3), (2, 2, 2), (1, 1, 1)),
    ((3, 3, 3), (2, 2, 2), (0, 1, 1)),
    ((3, 1, 1), (2, 1, 1), (0, 0, 0)),
)


def random_sites(shape: Triple, channels: int, share: float) -> Sites:
    """Of two grids, with corners and edges among them."""
    generator = torch.Generator().manual_seed(2)
    occupied = torch.rand((2, *shape), generator=generator) < share
    occupied[0, 0, 0, 0] = occupied[1, -1, -1, -1] = occupied[1, 0, 0, -1] = True
    places = torch.nonzero(occupied)
    return Sites(torch.randn((len(places), channels), generator=generator), places, shape, 2)


def dense(sites: Sites) -> Tensor:
    """(B, C, D, H, W), zero where nothing is."""
    canvas = sites.features.new_zeros((sites.batch, *sites.shape, sites.features.shape[1]))
    return canvas.index_put(tuple(sites.places.unbind(1)), sites.features).permute(0, 4, 1, 2, 3)


def at_sites(grid: Tensor, places: Tensor) -> Tensor:
    batch, z, y, x = places.unbind(1)
    return grid[batch, :, z, y, x]


def random_weight(inputs: int, outputs: int, kernel: Triple) -> Tensor:
    return torch.randn((outputs, *kernel, inputs), generator=torch.Generator().manual_seed(3))


def assert_like_dense(sites: Sites, weight: Tensor, rules: Rules, expected: Tensor) -> None:
    """Values and both gradients agree with those of a dense result (B, C, D, H, W)."""
    found = convolve(sites, weight, rules)
    wanted = at_sites(expected, rules.places)
    assert found.shape == rules.shape == tuple(expected.shape[2:])
    torch.testing.assert_close(found.features, wanted, atol=1e-5, rtol=1e-5)
    seen = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(4))
    gradients = torch.autograd.grad((found.features * seen).sum(), [sites.features, weight])
    for gradient, plain in zip(
        gradients, torch.autograd.grad((wanted * seen).sum(), [sites.features, weight]), strict=True
    ):
        torch.testing.assert_close(gradient, plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("share", [0.03, 0.4, 1.0])
def test_a_submanifold_convolution_is_a_dense_one_read_at_its_inputs(share: float) -> None:
    sites = random_sites((5, 6, 9), 3, share)
    sites.features.requires_grad_()
    weight = random_weight(3, 4, (3, 3, 3)).requires_grad_()
    rules = submanifold_rules(sites)
    assert torch.equal(rules.places, sites.places)
    assert_like_dense(sites, weight, rules, functional.conv3d(dense(sites), weight.permute(0, 4, 1, 2, 3), padding=1))


@pytest.mark.parametrize(("kernel", "stride", "padding"), STRIDED)
@pytest.mark.parametrize("share", [0.03, 0.4])
def test_a_strided_convolution_is_a_dense_one_read_where_an_input_reaches(
    kernel: Triple, stride: Triple, padding: Triple, share: float
) -> None:
    sites = random_sites((5, 6, 9), 3, share)
    sites.features.requires_grad_()
    weight = random_weight(3, 4, kernel).requires_grad_()
    rules = strided_rules(sites, kernel, stride, padding)
    occupied = dense(Sites(torch.ones((len(sites.places), 1)), sites.places, sites.shape, sites.batch))
    reached = functional.conv3d(occupied, torch.ones((1, 1, *kernel)), stride=stride, padding=padding)
    assert torch.equal(rules.places, torch.nonzero(reached[:, 0]))
    expected = functional.conv3d(dense(sites), weight.permute(0, 4, 1, 2, 3), stride=stride, padding=padding)
    assert_like_dense(sites, weight, rules, expected)


def test_nothing_comes_of_nothing() -> None:
    nothing = Sites(torch.zeros((0, 3)), torch.zeros((0, 4), dtype=torch.long), (5, 6, 9), 2)
    same = convolve(nothing, random_weight(3, 4, (3, 3, 3)), submanifold_rules(nothing))
    assert same.features.shape == (0, 4)
    strided = convolve(nothing, random_weight(3, 4, (3, 3, 3)), strided_rules(nothing, *STRIDED[0]))
    assert strided.features.shape == (0, 4) and strided.shape == (3, 3, 5)


def test_a_grid_lower_than_the_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="make the grid higher"):
        strided_rules(random_sites((2, 6, 9), 3, 0.5), *STRIDED[2])
