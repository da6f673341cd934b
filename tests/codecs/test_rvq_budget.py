"""Which cells a budget buys, and how deep."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from carla_cp.codecs.rvq_budget import plan

PAIRS = ((1, 2), (1, 3), (3, 3))


def scene(cells: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    gains = rng.uniform(0.5, 2, (1, cells)) * np.array([[4.0], [5.0], [6.0]]) * rng.uniform(0.9, 1.1, (3, cells))
    return gains, rng.uniform(3, 5, (3, cells)).cumsum(0)


def test_a_plan_stays_within_its_bits_and_is_worth_what_it_says() -> None:
    gains, bits = scene(300)
    for total in (0.0, 3.0, 40.0, 500.0, 1e6):
        found = plan(gains, bits, total, PAIRS)
        sent = np.flatnonzero(found.depths)
        assert bits[found.depths[sent] - 1, sent].sum() <= total
        assert gains[found.depths[sent] - 1, sent].sum() == pytest.approx(found.gain)
        assert bits[found.depths[sent] - 1, sent].sum() == pytest.approx(found.bits)
        assert set(found.depths) <= {0, found.low, found.high} and (found.low, found.high) in PAIRS
    assert len(sent) == 300 and (found.depths == 3).all()


def test_of_cells_that_are_all_affordable_some_stay_shallow_where_depth_is_worth_nothing() -> None:
    gains, bits = scene(100, 3)
    gains[1:, ::2] = gains[0, ::2] - 1
    found = plan(gains, bits, 1e6, ((1, 3),))
    assert np.array_equal(found.depths, np.where(np.arange(100) % 2, 3, 1))
    assert found.bits == pytest.approx(bits[0, ::2].sum() + bits[2, 1::2].sum())


def test_more_bits_never_buy_less() -> None:
    gains, bits = scene(200, 1)
    worth = [plan(gains, bits, total, PAIRS).gain for total in (50.0, 100.0, 200.0, 400.0, 800.0, 3000.0)]
    assert worth == sorted(worth)


def test_a_plan_comes_close_to_the_best_of_all() -> None:
    gains, bits = scene(6, 2)
    for total in (15.0, 30.0, 45.0):
        best = 0.0
        for low, high in PAIRS:
            for depths in product((0, low, high), repeat=6):
                sent = [cell for cell in range(6) if depths[cell]]
                if sum(bits[depths[cell] - 1, cell] for cell in sent) <= total:
                    best = max(best, sum(gains[depths[cell] - 1, cell] for cell in sent))
        assert plan(gains, bits, total, PAIRS).gain >= best - gains.max()  # one cell is what rounding can cost
