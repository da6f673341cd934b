"""Decompresses LZF (Marc Lehmann's LibLZF), the compression of PCD's `binary_compressed`.

A control byte below 32 announces that many literal bytes plus one; any other holds the length of a copy in its three
high bits (7: one more byte follows) and, with the next byte, how far back the copy starts.
"""

from __future__ import annotations


class LzfError(ValueError):
    """Bytes that are not an LZF stream of the announced size."""


def decompress(data: bytes, size: int) -> bytes:
    """The `size` bytes that `data` stands for; raises LzfError, and never holds more than `size` bytes and one copy."""
    out = bytearray()
    at = 0
    try:
        while at < len(data):
            control = data[at]
            at += 1
            if control < 32:
                out += data[at : at + control + 1]
                at += control + 1
            else:
                length = (control >> 5) + 2
                if length == 9:
                    length += data[at]
                    at += 1
                _copy(out, ((control & 31) << 8) + data[at] + 1, length)
                at += 1
            if len(out) > size:
                raise LzfError(f"holds more than the {size} bytes announced")
    except IndexError as error:
        raise LzfError("cut short") from error
    if at > len(data) or len(out) != size:
        raise LzfError(f"{len(out)} bytes, {size} announced")
    return bytes(out)


def _copy(out: bytearray, back: int, length: int) -> None:
    """Appends `length` bytes from `back` bytes before the end; they may overlap what they append."""
    start = len(out) - back
    if start < 0:
        raise LzfError("refers to bytes before its start")
    piece = out[start : start + length]
    out += (piece * (length // len(piece) + 1))[:length]
