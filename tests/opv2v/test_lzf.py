"""LZF: a compressor written here for the test, streams by hand, and hostile ones."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_cp.opv2v.lzf import LzfError, decompress

TEXTS = st.lists(st.sampled_from([b"a", b"abc", b"the same again ", bytes(40)]), max_size=60).map(b"".join)


def compress(data: bytes) -> bytes:
    """A plain greedy compressor: the longest copy from the last 8 KiB, else literals."""
    out, literals, at = bytearray(), bytearray(), 0
    while at < len(data):
        length, back = longest(data, at)
        if length < 3:
            literals.append(data[at])
            at += 1
            continue
        flush(out, literals)
        high = (back - 1) >> 8
        short = min(length - 2, 7)
        out += bytes([short << 5 | high]) + (bytes([length - 9]) if short == 7 else b"") + bytes([(back - 1) & 255])
        at += length
    flush(out, literals)
    return bytes(out)


def longest(data: bytes, at: int) -> tuple[int, int]:
    """Length and distance of the longest earlier copy of what begins at `at`."""
    best = (0, 0)
    for start in range(max(0, at - 8192), at):
        length = 0
        while length < 264 and at + length < len(data) and data[start + length] == data[at + length]:
            length += 1
        best = max(best, (length, at - start))
    return best


def flush(out: bytearray, literals: bytearray) -> None:
    """Literals in runs of at most 32."""
    for start in range(0, len(literals), 32):
        run = literals[start : start + 32]
        out += bytes([len(run) - 1]) + run
    literals.clear()


@settings(deadline=None, max_examples=60)
@given(TEXTS)
def test_what_was_compressed_comes_back(data: bytes) -> None:
    packed = compress(data)
    assert decompress(packed, len(data)) == data


def test_a_copy_may_overlap_what_it_makes() -> None:
    assert decompress(b"\x00a\xe0\x00\x00", 10) == b"a" * 10
    assert decompress(b"\x01ab\x60\x01", 7) == b"abababa"
    assert decompress(b"", 0) == b""


@pytest.mark.parametrize(
    ("data", "size", "message"),
    [
        (b"\x05ab", 6, "2 bytes, 6 announced"),
        (b"\x00a\xe0\x00", 10, "cut short"),
        (b"\x00a\xe0", 10, "cut short"),
        (b"\x00a\x20\x05", 4, "before its start"),
        (b"\x00a\xe0\xff\x00", 10, "more than the 10 bytes"),
        (b"\x00a", 2, "1 bytes, 2 announced"),
    ],
)
def test_a_broken_stream_is_refused(data: bytes, size: int, message: str) -> None:
    with pytest.raises(LzfError, match=message):
        decompress(data, size)


@settings(deadline=None)
@given(st.binary(max_size=80), st.integers(0, 2000))
def test_any_bytes_give_the_announced_size_or_the_one_error(data: bytes, size: int) -> None:
    with suppress(LzfError):
        assert len(decompress(data, size)) == size
