"""Signed integers as octaves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carla_cp.codecs.bitstream import SymbolReader, SymbolWriter, Table
from carla_cp.codecs.octaves import Meter, Octaves, octaves_of


@given(st.lists(st.integers(-(2**16) + 1, 2**16 - 1), max_size=60))
def test_values_come_back_and_octaves_match_the_plain_twin(values: list[int]) -> None:
    array = np.array(values, np.int64)
    assert octaves_of(array).tolist() == [abs(value).bit_length() * (1 if value >= 0 else -1) for value in values]
    rows = [Table.from_counts(np.arange(1, 34)).weights.tolist(), Table.uniform(33).weights.tolist()]
    model = Octaves(rows)
    assert model.most == 2**16 - 1
    contexts = np.arange(len(values)) % 2
    writer, meter = SymbolWriter(), Meter()
    model.write(writer, array, contexts)
    model.write(meter, array, contexts)
    data = writer.to_bytes()
    reader = SymbolReader(data)
    assert model.read(reader, contexts).tolist() == values
    reader.finish()
    assert meter.bits / 8 - 1 <= len(data) <= meter.bits / 8 * 1.03 + 16


def test_a_meter_adds_what_tables_say() -> None:
    meter, table = Meter(), Table.from_counts([3, 1])
    meter.put_in_context(np.array([0, 1, 0]), np.array([0, 1, 1]), [table, Table.uniform(4)])
    assert meter.bits == pytest.approx(table.bits[0] + 4)
