"""Residual vector quantisation, against plain loops."""

from __future__ import annotations

import torch

from carla_cp.codecs.rvq import CodebookLearner, ResidualQuantiser


def quantiser(seed: int = 0, scale: float = 1.0) -> ResidualQuantiser:
    torch.manual_seed(seed)
    result = ResidualQuantiser(3, 8, 4)
    result.codebooks.copy_(torch.randn(3, 8, 4) * scale)
    return result


def test_search_and_look_up_match_plain_loops() -> None:
    quantised = quantiser()
    vectors = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    indices = quantised.search(vectors, 3)
    for number, vector in enumerate(vectors):
        residual, total = vector.clone(), torch.zeros(4)
        for stage in range(3):
            distances = [float((residual - code).double().square().sum()) for code in quantised.codebooks[stage]]
            best = distances.index(min(distances))
            assert int(indices[stage, number]) == best
            total += quantised.codebooks[stage, best]
            residual -= quantised.codebooks[stage, best]
        assert torch.allclose(quantised.look_up(indices)[number], total, atol=1e-6)


def test_fewer_stages_are_a_prefix() -> None:
    vectors = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(quantiser().search(vectors, 2), quantiser().search(vectors, 3)[:2])


def test_learning_finds_the_clusters_and_each_stage_lessens_the_error() -> None:
    generator = torch.Generator().manual_seed(5)
    centres = torch.randn(8, 4, generator=generator) * 3
    quantised = quantiser(scale=0.02)
    learner = CodebookLearner(quantised, 0.8, generator)
    for _ in range(60):
        pick = torch.randint(8, (400,), generator=generator)
        learner.learn(centres[pick] + 0.1 * torch.randn(400, 4, generator=generator), torch.ones(400))
    vectors = centres.repeat(20, 1) + 0.1 * torch.randn(160, 4, generator=generator)
    errors = [
        float((quantised.look_up(quantised.search(vectors, stages)) - vectors).square().mean()) for stages in (1, 2, 3)
    ]
    assert errors[0] < 1.5
    assert errors[2] < errors[1] < errors[0] and errors[2] < 0.1


def test_dead_codes_come_back_to_life() -> None:
    generator = torch.Generator().manual_seed(5)
    quantised = quantiser()
    learner = CodebookLearner(quantised, 0.5, generator)
    vectors = torch.randn(500, 4, generator=generator)
    learner.learn(vectors, torch.ones(500))
    quantised.codebooks[0, 3] = 100.0
    learner.sums[0, 3], learner.counts[0, 3] = 100.0 * 1e-6, 1e-6
    learner.learn(vectors, torch.ones(500))
    assert float(quantised.codebooks[0, 3].abs().max()) < 10.0


def test_weight_decides_what_the_codebook_follows() -> None:
    generator = torch.Generator().manual_seed(2)
    rare, common = torch.full((10, 4), 5.0), torch.randn(990, 4, generator=generator)
    vectors, weight = torch.cat([rare, common]), torch.cat([torch.full((10,), 50.0), torch.full((990,), 0.5)])
    quantised = ResidualQuantiser(1, 2, 4)
    learner = CodebookLearner(quantised, 0.5, generator)
    for _ in range(20):
        learner.learn(vectors, weight)
    assert float((quantised.codebooks[0] - 5.0).square().mean(1).min()) < 0.1


def test_choosing_weighs_distance_against_bits_as_a_plain_loop_does() -> None:
    quantised = quantiser()
    generator = torch.Generator().manual_seed(1)
    quantised.costs.copy_(torch.rand(3, 8, generator=generator) * 9)
    vectors, price = torch.randn(2100, 4, generator=generator), torch.rand(2100, generator=generator)
    indices = quantised.choose(vectors, price)
    distances = quantised.distances(vectors, indices)
    for number in range(0, 2100, 70):
        residual = vectors[number].clone()
        for stage in range(3):
            book = quantised.codebooks[stage]
            score = [
                float((residual - code).double().square().sum() + price[number].double() * cost)
                for code, cost in zip(book, quantised.costs[stage], strict=True)
            ]
            assert int(indices[stage, number]) == score.index(min(score))
            residual -= book[indices[stage, number]]
            assert torch.isclose(distances[stage, number], residual.square().sum(), atol=1e-5)
    assert torch.equal(quantised.choose(vectors, torch.zeros(2100)), quantised.search(vectors, 3))


def test_an_index_beyond_the_codes_stands_for_nothing() -> None:
    quantised = quantiser()
    assert torch.equal(quantised.look_up(torch.tensor([[2], [8], [8]]))[0], quantised.codebooks[0, 2])
    assert not quantised.look_up(torch.tensor([[8], [8], [8]])).any()


def test_costs_follow_how_often_codes_are_chosen() -> None:
    generator = torch.Generator().manual_seed(4)
    quantised = ResidualQuantiser(1, 2, 2)
    learner = CodebookLearner(quantised, 0.5, generator)
    vectors = torch.cat([torch.full((700, 2), 3.0), torch.full((100, 2), -3.0)])
    for _ in range(30):
        learner.learn(vectors, torch.ones(800))
    few, many = sorted(quantised.costs[0].tolist(), reverse=True)
    assert abs(few - 3.0) < 0.01 and abs(many - 0.193) < 0.01
