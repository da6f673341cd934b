"""DPC-KNN, and links between neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from carla_cp.codecs import clusters
from carla_cp.codecs.bitstream import PayloadError, SymbolReader, SymbolWriter, Table
from carla_cp.codecs.clusters import (
    LINK_CONTEXTS,
    LINKS,
    NEIGHBOURS,
    NEW,
    OTHER,
    dpc_knn,
    link_bits,
    links,
    read_links,
    write_links,
)
from carla_cp.codecs.positions import BoolArray
from carla_cp.types import FloatArray, IntArray

TABLES = [Table.from_counts([9, 5, 2, 2, 4, 1])] * LINK_CONTEXTS


def plain_dpc_knn(points: FloatArray, count: int) -> list[int]:
    """DPC-KNN as its papers say it, one point at a time."""
    apart = [[float(((one - other) ** 2).sum()) for other in points] for one in points]
    density = [np.exp(-np.mean(sorted(row)[:NEIGHBOURS]) / points.shape[1]) for row in apart]
    score = []
    for one, row in enumerate(apart):
        denser = [d for other, d in enumerate(row) if (density[other], -other) > (density[one], -one)]
        score.append(np.sqrt(min([*denser, max(row)])) * density[one])
    centres = sorted(range(len(points)), key=lambda one: (-score[one], one))[:count]
    owner = [int(np.argmin([row[centre] for centre in centres])) for row in apart]
    for number, centre in enumerate(centres):
        owner[centre] = number
    return owner


@pytest.mark.parametrize("chunk", [1 << 22, 100])
def test_clusters_are_those_of_a_plain_loop(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(clusters, "_CHUNK", chunk)
    for seed, count in ((0, 3), (1, 10), (2, 39), (3, 40)):
        points = np.random.default_rng([seed, 7]).normal(0, 1, (40, 3))
        got = dpc_knn(torch.from_numpy(points), count)
        if count < len(points):
            assert got.tolist() == plain_dpc_knn(points, count)
        assert sorted(set(got.tolist())) == list(range(count))


def test_points_that_lie_together_share_a_cluster() -> None:
    rng = np.random.default_rng([4, 7])
    heaps = np.repeat(np.arange(6), 20)
    points = 10.0 * heaps[:, None] + rng.normal(0, 0.5, (120, 2))
    got = dpc_knn(torch.from_numpy(points), 6)
    assert len({(heap, owner) for heap, owner in zip(heaps.tolist(), got.tolist(), strict=True)}) == 6


def test_equal_points_still_fill_every_cluster() -> None:
    assert len(set(dpc_knn(torch.ones(9, 4), 4).tolist())) == 4


def plain_links(mask: BoolArray, owner: IntArray) -> tuple[list[int], list[int], list[int]]:
    numbers = np.full(mask.shape, -1)
    numbers[mask] = owner
    symbols, contexts, named, names = [], [], [], dict[int, int]()
    for row, column in np.argwhere(mask).tolist():
        mine = int(numbers[row, column])
        beside = []
        for r, c in ((0, -1), (-1, 0), (-1, -1), (-1, 1)):
            inside = row + r >= 0 and 0 <= column + c < mask.shape[1]
            beside.append(int(numbers[row + r, column + c]) if inside else -1)
        contexts.append(sum(1 << place for place, other in enumerate(beside) if other >= 0))
        if mine in beside:
            symbols.append(beside.index(mine))
        else:
            symbols.append(OTHER if mine in names else NEW)
        named.append(names.setdefault(mine, len(names)))
    return symbols, contexts, named


def drawn(seed: int) -> tuple[BoolArray, IntArray]:
    rng = np.random.default_rng([seed, 9])
    mask = rng.random((11, 14)) < rng.uniform(0.1, 1.0)
    mask[3, 4] = True
    return mask, rng.integers(0, rng.integers(1, 40), int(mask.sum()))


def test_links_are_those_of_a_plain_loop() -> None:
    for seed in range(30):
        mask, owner = drawn(seed)
        for fast, plain in zip(links(mask, owner), plain_links(mask, owner), strict=True):
            assert fast.tolist() == plain


def test_clusters_come_back_at_the_cost_that_was_foretold() -> None:
    for seed in range(30):
        mask, owner = drawn(seed)
        writer = SymbolWriter()
        named = write_links(writer, mask, owner, TABLES)
        reader = SymbolReader(writer.to_bytes())
        got, count = read_links(reader, mask, TABLES)
        reader.finish()
        assert got.tolist() == named.tolist() and count == len(set(owner.tolist()))
        assert len(writer.to_bytes()) <= 1.03 * link_bits(mask, owner, TABLES) / 8 + 16


def test_hundreds_of_clusters_take_two_digits() -> None:
    mask = np.ones((40, 50), bool)
    owner = np.random.default_rng([1, 9]).permutation(np.arange(2000) % 700)
    writer = SymbolWriter()
    named = write_links(writer, mask, owner, TABLES)
    got, count = read_links(SymbolReader(writer.to_bytes()), mask, TABLES)
    assert got.tolist() == named.tolist() and count == 700


def said(symbols: list[int]) -> SymbolReader:
    """A reader of these links in a row of cells, then of nothing."""
    writer, uniform = SymbolWriter(), [Table.uniform(LINKS)] * LINK_CONTEXTS
    contexts = np.array([0, *[1] * (len(symbols) - 1)])
    writer.put_in_context(np.array(symbols), contexts, uniform)
    return SymbolReader(writer.to_bytes())


def test_links_that_lead_nowhere_are_refused() -> None:
    uniform = [Table.uniform(LINKS)] * LINK_CONTEXTS
    row = np.ones((1, 3), bool)
    for symbols in ([0, NEW, NEW], [NEW, 1, NEW], [OTHER, 0, 0]):
        with pytest.raises(PayloadError):
            read_links(said(symbols), row, uniform)
    assert read_links(said([NEW, 0, NEW]), row, uniform)[0].tolist() == [0, 0, 1]
