"""Headers and entropy-coded symbols."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carla_cp.codecs.bitstream import (
    HEADER_BYTES,
    TABLE_TOTAL,
    Header,
    PayloadError,
    SymbolReader,
    SymbolWriter,
    Table,
    cut,
    largest,
    nearly_largest,
    pack,
    unpack,
)
from carla_cp.geometry import Pose
from carla_cp.types import AgentName

POSE = Pose(x=-1234.5678, y=987654.3216, z=-12.3456, roll=-0.01, pitch=0.02, yaw=3.14159)


def header(name: str = "ego", pose: Pose = POSE, time_us: int = 7) -> Header:
    return Header(3, 0xDEADBEEF, AgentName(name), time_us, pose)


def test_a_header_takes_forty_bytes() -> None:
    assert HEADER_BYTES == 40
    assert len(pack(header(), b"")) == 40
    assert len(pack(header(), b"xyz")) == 43


def test_a_header_keeps_millimetres_and_sixteen_bit_angles() -> None:
    got, body = unpack(pack(header(time_us=2**40 - 1), b"xyz"), 3, 0xDEADBEEF)
    assert (body, got.time_us, got.sender, got.codec) == (b"xyz", 2**40 - 1, "ego", 3)
    pose = got.world_from_agent
    for name in ("x", "y", "z"):
        assert abs(getattr(pose, name) - getattr(POSE, name)) <= 0.000501
    for name in ("roll", "pitch", "yaw"):
        assert abs(math.remainder(getattr(pose, name) - getattr(POSE, name), 2 * math.pi)) <= math.pi / 65536 + 1e-12


def test_a_header_that_was_decoded_encodes_to_the_same_bytes() -> None:
    first = pack(header(), b"xyz")
    again, body = unpack(first, 3, 0xDEADBEEF)
    assert pack(again, body) == first


@pytest.mark.parametrize("name", ["ego", "rsu_1", "a", "car-2.left"[:9], "000000000", "z_z_z_z_z"])
def test_short_names_come_back_as_they_are(name: str) -> None:
    assert unpack(pack(header(name), b""), 3, 0xDEADBEEF)[0].sender == name


@pytest.mark.parametrize("name", ["", "partner_number_two", "Über", "A", "ten_letter"])
def test_other_names_come_back_as_a_digest(name: str) -> None:
    sender = unpack(pack(header(name), b""), 3, 0xDEADBEEF)[0].sender
    assert sender.startswith("~") and len(sender) == 9


@pytest.mark.parametrize("pose", [Pose(x=3e6), Pose(y=-3e6), Pose(z=9000.0)])
def test_positions_beyond_the_header_are_refused(pose: Pose) -> None:
    with pytest.raises(ValueError, match="does not fit a message header"):
        pack(header(pose=pose), b"")


def test_a_message_for_other_weights_or_another_codec_is_refused() -> None:
    message = pack(header(), b"xyz")
    with pytest.raises(PayloadError, match="weights"):
        unpack(message, 3, 1)
    with pytest.raises(PayloadError, match="codec"):
        unpack(message, 4, 0xDEADBEEF)


def test_every_flipped_bit_and_every_truncation_is_noticed() -> None:
    message = pack(header(), b"xyz")
    for place in range(8 * len(message)):
        damaged = bytearray(message)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(PayloadError):
            unpack(bytes(damaged), 3, 0xDEADBEEF)
    for length in range(len(message)):
        with pytest.raises(PayloadError):
            unpack(message[:length], 3, 0xDEADBEEF)


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=300))
def test_a_table_adds_up_and_keeps_every_symbol_possible(counts: list[int]) -> None:
    table = Table.from_counts(counts)
    assert table.weights.sum() == TABLE_TOTAL
    assert table.weights.min() >= 1


def test_a_table_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(ValueError, match="add up"):
        Table([1, 2, 3])


@given(st.lists(st.lists(st.integers(0, 4), max_size=60), max_size=5))
def test_symbols_come_back_and_the_end_is_known(runs: list[list[int]]) -> None:
    tables = [Table.from_counts([1, 5, 100, 5, place + 1]) for place in range(len(runs))]
    writer = SymbolWriter()
    for run, table in zip(runs, tables, strict=True):
        writer.put(np.array(run, np.int64), table)
    data = writer.to_bytes()
    reader = SymbolReader(data)
    for run, table in zip(runs, tables, strict=True):
        assert reader.take(len(run), table).tolist() == run
    reader.finish()


def test_symbols_cost_their_entropy() -> None:
    table = Table.from_counts([970, 10, 10, 10])
    symbols = np.random.default_rng(1).choice(4, 5000, p=[0.97, 0.01, 0.01, 0.01])
    writer = SymbolWriter()
    writer.put(symbols, table)
    assert abs(8 * len(writer.to_bytes()) - table.bits[symbols].sum()) < 64


def test_missing_and_leftover_symbols_are_noticed() -> None:
    writer = SymbolWriter()
    writer.put(np.arange(100) % 5, Table.uniform(5))
    reader = SymbolReader(writer.to_bytes())
    reader.take(90, Table.uniform(5))
    with pytest.raises(PayloadError):
        reader.finish()
    for hostile in (b"abc", b"\0\0\0\0", b"abcd\0\0\0\0"):
        with pytest.raises(PayloadError):
            SymbolReader(hostile)


def test_golden_bytes_of_symbols_and_header() -> None:
    writer = SymbolWriter()
    writer.put(np.array([0, 1, 2, 3, 3, 3, 0, 1]), Table.from_counts([1, 2, 3, 4]))
    writer.put(np.array([4, 0, 4, 2]), Table.from_counts([9, 1, 1, 1, 20]))
    assert writer.to_bytes().hex() == "0ce90f9033070000"
    message = pack(header("rsu_1", Pose(x=1.5, y=-2.25, z=3.0, yaw=math.pi / 2), 123456), b"\x01\x02")
    assert message.hex() == "c203efbeadde4a686a04000040e2010000dc05000036f7ffffb80b000000000000402a00c13ddd1d0102"


@given(st.integers(0, 500), st.integers(0, 600))
def test_largest_finds_the_last_that_fits(high: int, limit: int) -> None:
    assert largest(high, lambda count: count <= limit) == min(high, limit)


@given(
    steps=st.lists(st.floats(0, 9), max_size=200),
    limit=st.floats(0.1, 900),
    start=st.integers(-3, 300),
    close=st.floats(0.9, 1),
)
def test_nearly_largest_finds_a_count_near_the_last_that_fits(
    steps: list[float], limit: float, start: int, close: float
) -> None:
    sizes = [0.0]
    for step in steps:
        sizes.append(sizes[-1] + step)
    last = max(count for count, size in enumerate(sizes) if size <= limit)
    found = nearly_largest(len(steps), sizes.__getitem__, limit, start, close)
    assert sizes[found] <= limit
    assert found == last or sizes[found] >= close * limit


def test_nearly_largest_asks_few_times_where_sizes_rise_about_evenly() -> None:
    asked: list[int] = []

    def size(count: int) -> float:
        asked.append(count)
        return 40 + float(count) ** 0.93

    found = nearly_largest(30_000, size, 9000.0, 100)
    assert 0.99 * 9000 <= size(found) <= 9000
    assert len(asked) - 1 <= 4


@given(lengths=st.lists(st.integers(0, 500), min_size=1, max_size=5))
def test_a_message_is_cut_where_its_packets_end(lengths: list[int]) -> None:
    packets = [pack(header(), bytes(length)) for length in lengths]
    assert cut(b"".join(packets)) == tuple(packets)
    assert all(unpack(packet, 3, 0xDEADBEEF)[0] == unpack(packets[0], 3, 0xDEADBEEF)[0] for packet in packets)


def test_a_packet_too_long_for_its_length_field_reaches_to_the_end() -> None:
    long = pack(header(), bytes(70_000))
    assert cut(pack(header(), b"x") + long)[1] == long
    assert len(unpack(long, 3, 0xDEADBEEF)[1]) == 70_000


def test_a_packet_that_ends_beyond_its_message_is_refused() -> None:
    packet = pack(header(), bytes(100))
    for wrong in (packet[:-1], packet + b"x", packet + packet[:60]):
        with pytest.raises(PayloadError):
            cut(wrong)
    assert cut(b"") == ()


@given(data=st.data())
def test_symbols_in_context_come_back_and_cost_what_their_tables_say(data: st.DataObject) -> None:
    count, contexts = data.draw(st.integers(0, 400)), data.draw(st.integers(1, 9))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    tables = [Table.from_counts(rng.uniform(0, 1, 7) ** 4) for _ in range(contexts)]
    context, symbols = rng.integers(0, contexts, count), rng.integers(0, 7, count)
    writer = SymbolWriter()
    writer.put_in_context(symbols, context, tables)
    coded = writer.to_bytes()
    reader = SymbolReader(coded)
    assert np.array_equal(reader.take_in_context(context, tables), symbols)
    reader.finish()
    ideal = sum(tables[c].bits[s] for c, s in zip(context, symbols, strict=True))  # the plain twin
    assert len(coded) <= ideal / 8 * 1.03 + 16
