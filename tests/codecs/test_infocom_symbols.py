"""The tables of latent and pillars, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_cp.codecs.bitstream import SymbolReader, SymbolWriter
from carla_cp.codecs.infocom_symbols import (
    ABSENT,
    BESIDE,
    LEVELS,
    LIMIT,
    InfocomSymbols,
    LatentModel,
    PillarModel,
    beside,
    octave,
)
from carla_cp.codecs.positions import BoolArray


def latents(views: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Of 32 dimensions, the first half of which never move."""
    rng = np.random.default_rng(5)
    spread = np.where(np.arange(32) < 16, 0.0, np.geomspace(0.3, 4.0, 32))
    return np.rint(rng.normal(np.linspace(-9, 9, 32), spread, (views, 32))).astype(np.int64)


def sample(seed: int, share: float = 0.1) -> InfocomSymbols:
    rng = np.random.default_rng(seed)
    mask = rng.random((32, 48)) < share
    mask[3, 4] = True
    levels = (1 + np.array(plain_beside(mask)) + rng.geometric(0.7, int(mask.sum()))).clip(1, LEVELS)
    first = (levels + rng.integers(0, 2, len(levels))).clip(max=LEVELS)
    return InfocomSymbols(None, mask, np.stack([levels, first, rng.integers(0, LEVELS + 1, len(levels))]))


def plain_beside(mask: BoolArray) -> list[int]:
    found = []
    for row, column in np.argwhere(mask):
        near = mask[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        found.append(min((int(near.sum()) - 1) // 2, BESIDE - 1))
    return found


def test_a_latent_comes_back_at_what_its_gaussians_say_it_costs() -> None:
    seen = latents(200)
    model = LatentModel.learnt(seen[:150])
    for steps in seen[150:]:
        writer = SymbolWriter()
        model.write(writer, steps)
        data = writer.to_bytes()
        assert len(data) <= 1.03 * model.bits(steps) / 8 + 16
        assert (model.read(SymbolReader(data)) == steps).all()


def test_dimensions_that_never_move_cost_nothing_and_the_others_little_more_than_their_entropy() -> None:
    seen = latents(2000)
    model = LatentModel.learnt(seen)
    still = LatentModel(model.means[:16], model.classes[:16], model.tables)
    assert still.bits(seen[0, :16]) < 0.1
    moving, entropy = seen[:, 16:], 0.0
    for column in moving.T:
        share = np.unique(column, return_counts=True)[1] / len(column)
        entropy -= float((share * np.log2(share)).sum())
    cost = np.mean([model.bits(steps) for steps in seen])
    assert entropy <= cost + 1 and cost < 1.05 * entropy + 1


def test_what_lies_far_from_its_mean_is_brought_near() -> None:
    model, writer = LatentModel.learnt(latents(50)), SymbolWriter()
    model.write(writer, model.means + 99)
    assert (model.read(SymbolReader(writer.to_bytes())) == model.means + LIMIT).all()


@given(st.integers(0, 99), st.floats(0.0, 1.0))
@settings(max_examples=30, deadline=None)
def test_kept_neighbours_are_counted_as_a_plain_loop_counts_them(seed: int, share: float) -> None:
    mask = sample(seed, share).mask
    assert beside(mask).tolist() == plain_beside(mask)


@pytest.mark.parametrize("channels", [0, 1, 2])
def test_values_come_back_at_what_the_model_says_they_cost(channels: int) -> None:
    model = PillarModel.learnt([sample(seed) for seed in range(20)], 2)
    message, writer = sample(21), SymbolWriter()
    values = message.values[: 1 + channels]
    tables = model.cheapest(message.mask, values[0])[0]
    model.write(writer, message.mask, values, tables)
    data = writer.to_bytes()
    assert len(data) <= 1.03 * model.bits(message.mask, values) / 8 + 16
    found = PillarModel(*model.weights()).read(SymbolReader(data), message.mask, channels, tables)
    assert (found[: 1 + channels] == values).all() and (found[1 + channels :] == ABSENT).all()


def test_the_cheapest_tables_and_the_bits_are_those_of_a_plain_loop() -> None:
    model = PillarModel.learnt([sample(seed, share) for seed in range(5) for share in (0.02, 0.1, 0.5)], 2)
    message, costs = sample(9, 0.3), []
    for tables in model.levels:
        pairs = zip(plain_beside(message.mask), message.values[0], strict=True)
        costs.append(sum(float(tables[around].bits[level - 1]) for around, level in pairs))
    found = model.cheapest(message.mask, message.values[0])
    assert found[0] == int(np.argmin(costs)) and abs(found[1] - min(costs)) < 1e-6
    content = 0.0
    for level, first, second in message.values.T:
        content += model.content[0][level].bits[first] + model.content[1][first].bits[second]
    assert abs(model.bits(message.mask, message.values) - min(costs) - content) < 1e-6


def test_contexts_save_what_levels_have_in_common_with_their_neighbourhood() -> None:
    model = PillarModel.learnt([sample(seed, 0.4) for seed in range(30)], 2)
    message = sample(31, 0.4)
    levels = message.values[0]
    counts = np.bincount(levels)
    share = counts[counts > 0] / len(levels)
    alone = -float((share * np.log2(share)).sum()) * len(levels)
    assert model.cheapest(message.mask, levels)[1] < 0.8 * alone


def test_content_costs_what_the_level_leaves_open() -> None:
    model = PillarModel.learnt([sample(seed) for seed in range(30)], 2)
    message = sample(31)
    levels, one, two = (model.bits(message.mask, message.values[:rows]) for rows in (1, 2, 3))
    count = int(message.mask.sum())
    assert 0.8 * count < one - levels < 1.3 * count  # a bit each
    assert 3.8 * count < two - one < 4.5 * count  # any of 16


def test_more_pillars_use_a_later_table() -> None:
    octaves = [octave(count) for count in (1, 64, 65, 128, 129, 4096, 4097, 65536)]
    assert octaves == [0, 0, 1, 1, 2, 6, 7, 7]
