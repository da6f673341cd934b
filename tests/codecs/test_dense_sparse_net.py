"""The networks of dense_sparse."""

from __future__ import annotations

import torch

from carla_cp.codecs.dense_sparse_net import CoarseNet, DenseSparseConfig, FineNet, SimVq


def codes() -> SimVq:
    torch.manual_seed(1)
    return SimVq(3, 16, 8, 5)


def test_search_finds_the_nearest_code_of_each_residual() -> None:
    quantiser, vectors = codes(), torch.randn(40, 5)
    with torch.no_grad():
        indices, left = quantiser.search(vectors, 3)
        books = quantiser.books()
    for row, vector in enumerate(vectors):
        residual = vector
        for stage in range(3):
            distances = [float((residual - code).square().sum()) for code in books[stage]]
            place = min(range(16), key=distances.__getitem__)
            assert int(indices[stage, row]) == place
            residual = residual - books[stage, place]
            assert abs(float(left[stage, row]) - distances[place]) < 1e-4


def test_look_up_adds_as_many_codes_as_each_cell_has_stages() -> None:
    quantiser = codes()
    indices, depth = torch.randint(0, 16, (3, 20)), torch.arange(20) % 4
    with torch.no_grad():
        sums, books = quantiser.look_up(indices, depth), quantiser.books()
    for row in range(20):
        expected = sum((books[stage, indices[stage, row]] for stage in range(int(depth[row]))), torch.zeros(5))
        assert torch.allclose(sums[row], expected, atol=1e-6)


def test_one_map_moves_all_codes_and_the_frozen_ones_stay() -> None:
    quantiser = codes()
    torch.autograd.backward(quantiser.books()[0, 0].sum())
    assert quantiser.maps.grad is not None
    with torch.no_grad():
        before = quantiser.books()[0]
        quantiser.maps.sub_(quantiser.maps.grad)
        assert int((quantiser.books()[0] != before).any(1).sum()) == 16
    assert [name for name, _ in quantiser.named_parameters()] == ["maps"]


def test_a_fine_cell_is_rebuilt_from_what_was_sent_around_it_and_nothing_else() -> None:
    torch.manual_seed(2)
    net = FineNet(DenseSparseConfig())
    torch.nn.init.normal_(net.around[2].weight)  # type: ignore[arg-type]
    coded, depth = torch.randn(1, 24, 8, 8), torch.zeros(1, 8, 8, dtype=torch.int64)
    depth[0, 3, 3], depth[0, 3, 4] = 2, 5
    with torch.no_grad():
        features = net.expand(coded, depth)
        unsent = coded.clone()
        unsent[depth[:, None].expand_as(coded) == 0] += 1.0
        beside = coded.clone()
        beside[..., 3, 4] += 1.0
        assert torch.equal(net.expand(unsent, depth), features)
        assert not torch.equal(net.expand(beside, depth)[..., 3, 3], features[..., 3, 3])
        assert not torch.equal(net.expand(coded, depth.clamp(max=2))[..., 3, 3], features[..., 3, 3])
    assert not bool(features[:, :, depth[0] == 0].any())


def test_the_coarse_grid_pools_four_by_four_and_covers_all_cells() -> None:
    net = CoarseNet(DenseSparseConfig())
    with torch.no_grad():
        shrunk = net.shrink(torch.rand(2, 64, 16, 24))
        features, useful = net.expand(shrunk)
    assert tuple(shrunk.shape) == (2, 24, 4, 6)
    assert tuple(features.shape) == (2, 64, 16, 24) and tuple(useful.shape) == (2, 16, 24)
    assert bool((features >= 0).all())
