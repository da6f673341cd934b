"""Quantised boxes to bytes and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_cp.codecs import boxes
from carla_cp.codecs.bitstream import PayloadError, SymbolWriter, Table
from carla_cp.codecs.boxes import BoxSymbols, bits, curve, quantise, read, restore, write
from carla_cp.perception.certainty import LEVELS
from carla_cp.types import IntArray
from tests.codecs.fake import fake_view

GOLDEN = (
    "f6f0ffea56ff220cb8f0ff2cb499fff7d5afff19d4a41f520b8d941aeaa17e93712b859189c20bd97b0f2a5c31f68ff568fe"
    "ffeb82fbff25e1feff83d6ffffa9f8feffc14dffffc6dc0300b803ffffac364813972ee09e6e370500615bffff630e011cc0"
    "0ff10aa3be3c7d84a09aa5218d0e1c5f57b9e39e0892ffefa2a85151c14501d9fce04315"
)


def drawn(count: int, seed: int) -> BoxSymbols:
    """Boxes that use every field's range."""
    rng = np.random.default_rng([seed, 4])
    places = np.column_stack([rng.integers(-8192, 8192, (count, 2)), rng.integers(-2048, 2049, count)])
    symbols = BoxSymbols(
        rng.integers(0, 3, count),
        rng.integers(0, boxes.SCORE_LEVELS, count),
        places,
        rng.integers(1, boxes.SIZE.most + 1, (count, 3)),
        rng.integers(0, boxes.TURN, count),
        rng.integers(0, LEVELS, (count, 3)),
    )
    return symbols.take(np.argsort(curve(places), kind="stable"))


def same(first: BoxSymbols, second: BoxSymbols) -> bool:
    names = ("labels", "scores", "places", "sizes", "headings", "sigmas")
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, boxes.MAX_BOXES), seed=st.integers(0, 1000))
def test_whatever_is_written_is_read(count: int, seed: int) -> None:
    symbols = drawn(count, seed)
    assert same(read(write(symbols)), symbols)


def test_the_bytes_of_these_symbols_stay_as_they_are() -> None:
    assert write(drawn(6, 1)).hex() == GOLDEN


@pytest.mark.parametrize("count", [1, 8, 40, 300])
def test_the_body_is_near_its_ideal_length(count: int) -> None:
    symbols = quantise(fake_view(objects=count).boxes)
    ideal = bits(symbols) / 8
    assert ideal <= len(write(symbols)) + 1 and len(write(symbols)) <= 1.03 * ideal + 16


def plain_octave(value: int) -> int:
    size = 0
    while abs(value) >> size:
        size += 1
    return -size if value < 0 else size


def plain_morton(x: int, y: int) -> int:
    return sum(((x >> bit & 1) << 2 * bit) | ((y >> bit & 1) << 2 * bit + 1) for bit in range(8))


class Plain:
    """A sink with one symbol at a time."""

    def __init__(self) -> None:
        self.told: list[tuple[int, Table]] = []

    def put(self, symbols: IntArray, table: Table) -> None:
        self.told += [(int(symbol), table) for symbol in symbols]

    def put_in_context(self, symbols: IntArray, contexts: IntArray, tables: list[Table]) -> None:
        for context in range(len(tables)):
            for symbol, own in zip(symbols, contexts, strict=True):
                if own == context:
                    self.told.append((int(symbol), tables[context]))


def test_fields_match_their_plain_loop_twin() -> None:
    symbols = drawn(50, 3)
    sink = Plain()
    boxes.tell(sink, symbols)  # type: ignore[arg-type]
    by_table: dict[Table, list[int]] = {}
    for symbol, table in sink.told:
        by_table.setdefault(table, []).append(symbol)
    before = 0
    octaves = []
    for x, y, _ in symbols.places.tolist():
        at = plain_morton((x + 8192) // 64, (y + 8192) // 64)
        octaves.append(plain_octave(at - before) + boxes.GAP.bits)
        before = at
    assert by_table[boxes.GAP.tables[0]] == octaves
    heading, turned = 0, []
    for label, now in zip(symbols.labels.tolist(), symbols.headings.tolist(), strict=True):
        rest = (now - heading + 64) % 128 - 64
        if label == 1:
            turned.append(plain_octave(rest) + boxes.TURNED.bits)
        heading = now
    assert by_table[boxes.TURNED.tables[1]] == turned
    assert by_table[boxes.LABEL] == symbols.labels.tolist()


def test_symbols_that_lie_nowhere_are_refused() -> None:
    writer = SymbolWriter()
    boxes.COUNT.write(writer, np.array([0]), np.zeros(1, np.int64))
    with pytest.raises(PayloadError, match="0 boxes"):
        read(writer.to_bytes())
    symbols = drawn(3, 0)
    high = BoxSymbols(
        symbols.labels, symbols.scores, symbols.places + [0, 0, 2049], symbols.sizes, symbols.headings, symbols.sigmas
    )
    with pytest.raises(PayloadError, match="out of reach"):
        read(write(high))


def test_random_bytes_are_refused_or_give_sound_boxes() -> None:
    rng = np.random.default_rng(5)
    read_some = 0
    for size in rng.integers(0, 60, 400):
        try:
            found = restore(read(rng.bytes(4 * int(size))))
        except PayloadError:
            continue
        read_some += 1
        assert 0 < len(found.scores) <= boxes.MAX_BOXES and np.isfinite(found.boxes).all()
        assert found.boxes[:, 3:6].min() > 0 and found.sigmas is not None and found.sigmas.min() > 0
    assert read_some >= 0


def test_quantised_boxes_quantise_to_themselves() -> None:
    symbols = quantise(fake_view(objects=20).boxes)
    again = quantise(restore(symbols))
    assert same(again.take(np.argsort(curve(again.places), kind="stable")), symbols)
