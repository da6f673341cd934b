"""Lattice points as an octree."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_cp.codecs.bitstream import PayloadError, SymbolReader, SymbolWriter
from carla_cp.codecs.early import TREES, lattice
from carla_cp.codecs.octaves import Meter
from carla_cp.codecs.octree import CODE_BITS, FIRST_HALVED, STEPS, codes_of, places_of, splits
from carla_cp.types import IntArray
from tests.codecs.fake import fake_view

GOLDEN = "688838b539da512c48059ab7b8d374d34c4a9128027373d427a43d3459eb4d2b0be889a470cb15822882baed"


def drawn(count: int, seed: int) -> IntArray:
    rng = np.random.default_rng([seed, 6])
    middle = rng.integers(40, 2000, (max(count // 8, 1), 3)) % [2048, 2048, 64]
    near = middle[rng.integers(0, len(middle), count)] + rng.integers(-4, 5, (count, 3))
    return np.unique(codes_of(np.clip(near, 0, [2047, 2047, 63])))


def told(codes: IntArray, tree: int) -> bytes:
    writer = SymbolWriter()
    TREES[tree].tell(writer, codes)
    return writer.to_bytes()


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 300), seed=st.integers(0, 1000), tree=st.integers(0, 1))
def test_whatever_is_told_is_read(count: int, seed: int, tree: int) -> None:
    codes = drawn(count, seed)
    reader = SymbolReader(told(codes, tree))
    assert (TREES[tree].read(reader, len(codes)) == codes).all()
    reader.finish()


def test_more_points_than_allowed_are_refused() -> None:
    codes = drawn(50, 1)
    with pytest.raises(PayloadError, match="more than"):
        TREES[0].read(SymbolReader(told(codes, 0)), len(codes) - 1)


def test_the_bytes_of_these_points_stay_as_they_are() -> None:
    assert told(drawn(24, 2), 0).hex() == GOLDEN


@pytest.mark.parametrize("tree", [0, 1])
def test_the_body_is_near_its_ideal_length_and_costs_add_up_to_it(tree: int) -> None:
    codes = lattice(fake_view().points)[0]
    meter = Meter()
    TREES[tree].tell(meter, codes)
    assert TREES[tree].costs(splits(codes), len(codes)).sum() == pytest.approx(meter.bits)
    assert len(told(codes, tree)) <= 1.03 * meter.bits / 8 + 16


def test_groups_split_together_are_told_as_if_each_were_alone() -> None:
    codes = drawn(400, 5)
    edges = [0, 100, 101, 260, len(codes)]
    groups = np.repeat(np.arange(4), np.diff(edges))
    steps = splits(codes | groups << CODE_BITS)
    costs = TREES[0].costs(steps, len(codes))
    for start, stop in pairwise(edges):
        writer, meter = SymbolWriter(), Meter()
        TREES[0].tell_part(writer, steps, start, stop)
        TREES[0].tell(meter, codes[start:stop])
        assert writer.to_bytes() == told(codes[start:stop], 0)
        assert costs[start:stop].sum() == pytest.approx(meter.bits)


def test_codes_match_their_plain_twin_and_come_back() -> None:
    places = np.random.default_rng(3).integers(0, [2048, 2048, 64], (50, 3))
    for (x, y, z), code in zip(places.tolist(), codes_of(places).tolist(), strict=True):
        text, height = "", 6
        for level in range(11):
            text += str(y >> (10 - level) & 1) + str(x >> (10 - level) & 1)
            if level >= FIRST_HALVED and height:
                height -= 1
                text += str(z >> height & 1)
        assert code == int(text, 2)
    assert (places_of(codes_of(places)) == places).all()


class Kept:
    """A sink that keeps symbols and contexts, step by step."""

    def __init__(self) -> None:
        self.steps: list[tuple[list[int], list[int]]] = []

    def put_in_context(self, symbols: IntArray, contexts: IntArray, tables: object) -> None:
        self.steps.append((symbols.tolist(), contexts.tolist()))


def test_symbols_and_contexts_match_their_plain_loop_twin() -> None:
    codes = drawn(60, 7)
    kept = Kept()
    TREES[0].tell(kept, codes)  # type: ignore[arg-type]
    places = places_of(codes).tolist()
    for step, (symbols, contexts) in zip(STEPS, kept.steps, strict=True):
        down, low = 11 - step.side, 6 - step.height
        nodes: dict[tuple[int, int, int], int] = {}
        for x, y, z in places:
            node = (x >> down, y >> down, z >> low)
            part = z >> (low - 1) & 1 if step.halves else (y >> (down - 1) & 1) * 2 + (x >> (down - 1) & 1)
            nodes[node] = nodes.get(node, 0) | 1 << part
        sides = [(0, 0, -1), (0, 0, 1)] if step.halves else [(0, -1, 0), (0, 1, 0), (-1, 0, 0), (1, 0, 0)]
        beside = []
        for x, y, z in nodes:
            near = [(x + across, y + along, z + up) in nodes for across, along, up in sides]
            beside.append(sum(1 << bit for bit, there in enumerate(near) if there))
        assert symbols == [pattern - 1 for pattern in nodes.values()]
        assert contexts == beside
