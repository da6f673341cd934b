"""The rows of an ascii PCD file: byte for byte what printf's `%.10g` writes of float32, in less than half the time.

A number from 0.001 to ten million is scaled to an integer of ten digits, whose halves are looked up as text. The
scaled value is exact in double precision (24 bits of float32 times at most 28 bits of a power of five), so that it is
rounded as printf rounds: half to even. Points with other numbers, a few in a cloud, are left to Python.

The text of a number is two words of eight characters, the first in the lowest byte; a zero byte is no character.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from carla_cp.types import PointArray

_DIGITS = 10
_HALF = 100_000
_LOWEST = -3  # decimal exponents that are scaled here; below, the product would not be exact
_HIGHEST = 6
_CHUNK = 8192  # points that are written at a time, in what the processor's cache holds
_WIDTH = 16  # sign, at most 14 characters, separator
_ZERO = ord("0")

_Words = npt.NDArray[np.uint64]
_Floats = npt.NDArray[np.float64]


def ascii_rows(points: PointArray, red: npt.NDArray[np.uint8]) -> bytes:
    """One line `x y z rgb` for each point (N, 3 or more); `red` (N,) is the byte that `rgb` holds."""
    parts: list[bytes] = []
    for start in range(0, len(points), _CHUNK):
        rows = slice(start, start + _CHUNK)
        parts += _lines(points[rows, :3].astype(np.float64), red[rows])
    return b"".join(parts)


def _lines(values: _Floats, red: npt.NDArray[np.uint8]) -> list[bytes]:
    """The lines of the points (N, 3), in pieces."""
    size = np.abs(values).ravel()
    exponent = np.full(len(size), _LOWEST - 1)
    for power in range(_LOWEST, _HIGHEST + 2):
        exponent += size >= 10.0**power
    words = np.zeros((len(size), 2), np.uint64)
    for power in range(_LOWEST, _HIGHEST + 1):
        chosen = np.flatnonzero(exponent == power)
        if len(chosen):
            words[chosen] = _scaled(size[chosen], power)
    words[:, 0] |= np.where(np.signbit(values).ravel(), np.uint64(ord("-")), np.uint64(0))
    words[:, 1] |= np.uint64(ord(" ") << 56)
    lines = np.empty((len(values), 4, 2), np.uint64)
    lines[:, :3] = words.reshape(-1, 3, 2)
    lines[:, 3] = _reds()[red]
    other = np.flatnonzero(((exponent < _LOWEST) | (exponent > _HIGHEST)).reshape(-1, 3).any(axis=1)).tolist()
    pieces: list[bytes] = []
    for before, row in pairwise([-1, *other, len(values)]):
        pieces.append(lines[before + 1 : row].astype("<u8").tobytes().translate(None, b"\0"))
        if row < len(values):
            pieces.append("".join(f"{value:.10g} " for value in values[row].tolist()).encode())
            pieces.append(lines[row, 3].astype("<u8").tobytes().translate(None, b"\0"))
    return pieces


def _scaled(size: _Floats, power: int) -> _Words:
    """The text of numbers in [10^power, 10^(power + 1)), without sign and separator: (N, 2)."""
    scaled = np.rint(size * 10.0 ** (_DIGITS - 1 - power)).astype(np.int64)
    high = scaled // _HALF
    lead = b"0." + b"0" * (-power - 1) if power < 0 else b""
    whole = power + 1  # digits before the point
    words = np.zeros((len(size), 2), np.uint64)
    _put(words, np.uint64(int.from_bytes(lead, "little")), 1)
    start = 1 + len(lead)
    for half, numbers in enumerate((high, scaled - high * _HALF)):
        place = whole - 5 * half
        point = place if (1 <= place <= 5 and half == 0) or (1 <= place < 5 and half == 1) else 0
        _put(words, _halves(point).take(numbers), start)
        start += 6 if point else 5
    _drop_trailing_zeros(words, start, 1 + (whole if power >= 0 else 1))
    return words


def _put(words: _Words, text: _Words | np.uint64, start: int) -> None:
    """Adds a text of at most eight characters from the character `start` on."""
    if start < 8:
        words[:, 0] |= text << np.uint64(8 * start)
    if start > 0:
        words[:, 1] |= text >> np.uint64(8 * (8 - start)) if start < 8 else text << np.uint64(8 * (start - 8))


def _drop_trailing_zeros(words: _Words, end: int, point: int) -> None:
    """What ends in zeros behind the point, which is the character `point`, loses them, and the point with the last."""
    last = words[:, (end - 1) // 8] >> np.uint64(8 * ((end - 1) % 8))
    rows = np.flatnonzero(last == _ZERO)
    text = words[rows].astype("<u8").view(np.uint8).reshape(-1, _WIDTH)
    digits = text[:, point + 1 : end]
    used = np.where((digits != _ZERO).any(axis=1), end - np.argmax(digits[:, ::-1] != _ZERO, axis=1), point)
    text[np.arange(_WIDTH) >= used[:, None]] = 0
    words[rows] = text.view("<u8")


@lru_cache(maxsize=8)
def _halves(point: int) -> _Words:
    """The five digits of all numbers below 100,000, with a point after the first `point` of them, if any: (100000,)."""
    digits = np.arange(_HALF)[:, None] // 10 ** np.arange(4, -1, -1) % 10 + _ZERO
    if point:
        digits = np.insert(digits, point, ord("."), axis=1)
    text = np.zeros((_HALF, 8), np.uint8)
    text[:, : digits.shape[1]] = digits
    return text.view("<u8")[:, 0].astype(np.uint64)


@lru_cache(maxsize=1)
def _reds() -> _Words:
    """The float whose third byte is the row's number, for every byte, and the line's end: (256, 2)."""
    values = (np.arange(256, dtype="<u4") << 16).view("<f4")
    text = b"".join(f"{value:.10g}".encode().ljust(_WIDTH - 1, b"\0") + b"\n" for value in values.tolist())
    return np.frombuffer(text, "<u8").astype(np.uint64).reshape(256, 2)
