"""Codebook indices in contexts."""

from __future__ import annotations

import numpy as np

from carla_cp.codecs.bitstream import SymbolReader, SymbolWriter, Table
from carla_cp.codecs.indices import ALONE, CLASSES, MIXES, IndexModel, beside, classes_of, learnt_tables, parent
from carla_cp.codecs.positions import BoolArray
from carla_cp.types import FloatArray, IntArray

LEVELS, GROUPS, CODES = 3, 2, 32


def drawn(seed: int = 0) -> tuple[BoolArray, IntArray, IntArray]:
    """Cells, their indices, of which neighbours and groups are alike, and depths."""
    rng = np.random.default_rng([seed, 6])
    mask = rng.random((24, 20)) < 0.6
    scene = np.kron(rng.integers(0, CODES, (6, 5)), np.ones((4, 4), np.int64))
    base = np.where(rng.random(mask.shape) < 0.8, scene, rng.integers(0, CODES, mask.shape))[mask]
    noise = rng.integers(0, 3, (LEVELS, GROUPS, len(base)))
    return mask, (base + noise) % CODES, rng.integers(1, LEVELS + 1, len(base))


def counts_of(seeds: range) -> FloatArray:
    """Parents, the last of them none, and children."""
    counts = np.zeros((LEVELS, GROUPS, CODES + 1, CODES))
    for seed in seeds:
        mask, indices, _ = drawn(seed)
        for level, group in np.ndindex(LEVELS, GROUPS):
            above = beside(mask, indices[0, 0], CODES) if level == group == 0 else indices[parent(level, group)]
            np.add.at(counts[level, group], (above, indices[level, group]), 1.0)
    return counts


def learnt() -> IndexModel:
    counts = counts_of(range(1, 30))
    classes = np.array([[classes_of(some[:-1]) for some in groups] for groups in counts])
    tables = [
        [learnt_tables(some[:-1], own, some.sum(0)) for some, own in zip(groups, owns, strict=True)]
        for groups, owns in zip(counts, classes, strict=True)
    ]
    depths = [[Table.from_counts(np.arange(1, LEVELS + 1) ** mix).weights] * CLASSES for mix in range(MIXES)]
    return IndexModel(classes, tables, depths)


def plain_contexts(mask: BoolArray, indices: IntArray, classes: IntArray) -> list[list[list[int]]]:
    """Cell by cell: an odd one looks left, up, right and down for the first that is kept."""
    first = {tuple(place): int(index) for place, index in zip(np.argwhere(mask).tolist(), indices[0, 0], strict=True)}
    result = [[list[int]() for _ in range(GROUPS)] for _ in range(LEVELS)]
    for number, (row, column) in enumerate(first):
        for level in range(LEVELS):
            for group in range(GROUPS):
                if level == group == 0:
                    around = [(row, column - 1), (row - 1, column), (row, column + 1), (row + 1, column)]
                    kept = [first[place] for place in around if place in first] if (row + column) % 2 else []
                    result[0][0].append(int(classes[0, 0, kept[0]]) if kept else ALONE)
                else:
                    above = indices[level, 0, number] if group else indices[level - 1, 0, number]
                    result[level][group].append(int(classes[level, group, above]))
    return result


def test_indices_and_depths_come_back_at_the_cost_that_a_plain_loop_foretells() -> None:
    model = learnt()
    for seed in (40, 41):
        mask, indices, depth = drawn(seed)
        mix, contexts = model.mix(indices, depth), plain_contexts(mask, indices, model.classes)
        ideal = sum(
            float(model.costs[level, group, contexts[level][group][cell], indices[level, group, cell]])
            for level, group, cell in np.ndindex(*indices.shape)
            if depth[cell] > level
        )
        ideal += sum(
            float(model.depths[mix][int(model.classes[0, 0, indices[0, 0, cell]])].bits[depth[cell] - 1])
            for cell in range(len(depth))
        )
        writer = SymbolWriter()
        model.write(writer, mask, indices, depth, mix)
        assert abs(model.bits(mask, indices, depth, mix) - ideal) < 1e-6 * ideal
        assert len(writer.to_bytes()) <= 1.03 * ideal / 8 + 16
        reader = SymbolReader(writer.to_bytes())
        got, deep = model.read(reader, mask, mix)
        reader.finish()
        np.testing.assert_array_equal(deep, depth)
        np.testing.assert_array_equal(got, np.where(np.arange(LEVELS)[:, None, None] < depth, indices, 0))


def test_parents_and_neighbours_spare_bits() -> None:
    mask, indices, _ = drawn(40)
    depth = np.full(indices.shape[2], LEVELS)
    model, flat = learnt(), IndexModel.uniform(LEVELS, GROUPS, CODES)
    first = np.full(len(depth), 1)
    assert model.bits(mask, indices, depth, 0) < 0.75 * flat.bits(mask, indices, depth, 0)
    assert model.bits(mask, indices, first, 0) < 0.85 * flat.bits(mask, indices, first, 0)


def test_the_mix_is_the_one_that_suits_the_depths() -> None:
    model = learnt()
    _, indices, depth = drawn(40)
    assert model.mix(indices, np.full_like(depth, LEVELS)) == MIXES - 1
    assert model.mix(indices, depth % LEVELS + 1) < MIXES - 1


def test_parents_with_the_same_children_share_a_class() -> None:
    rng = np.random.default_rng(2)
    shares = rng.dirichlet(np.full(40, 0.1), CLASSES)
    kind = np.arange(64) % CLASSES
    counts = np.stack([rng.multinomial(4000 - 40 * parent, shares[own]) for parent, own in enumerate(kind)])
    classes = classes_of(counts.astype(np.float64))
    assert len({(a, b) for a, b in zip(kind.tolist(), classes.tolist(), strict=True)}) == CLASSES
