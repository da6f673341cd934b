"""The rows of an ascii PCD file: byte for byte what printf's `%.10g` writes of float32 numbers, in a third of the time.

A number from 0.001 to ten million is scaled to an integer of ten digits, whose halves are looked up as text. The
scaled value is exact in double precision (24 bits of float32 times at most 28 bits of a power of five), so that it is
rounded as printf rounds: half to even. Other numbers are left to Python.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from carla_cp.types import PointArray

_DIGITS = 10
_HALF = 100_000
_LOWEST = -3  # decimal exponents that are scaled here; below, the product would not be exact
_HIGHEST = 6
_CHUNK = 8192  # points that are written at a time, in what the processor's cache holds
_WIDTH = 18  # of one number: sign, "0.", two zeros, ten digits, or what Python writes; and what separates it
_ZERO, _POINT, _MINUS, _SPACE, _NEWLINE = b"0.- \n"

_Text = npt.NDArray[np.uint8]  # characters; 0 is none


def ascii_rows(points: PointArray, red: npt.NDArray[np.uint8]) -> bytes:
    """One line `x y z rgb` for each point (N, 3 or more); `red` (N,) is the byte that `rgb` holds."""
    canvas = np.empty((min(len(points), _CHUNK), 4, _WIDTH), np.uint8)
    parts = []
    for start in range(0, len(points), _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = canvas[: len(red[rows])]
        part[:] = 0
        for axis in range(3):
            _write_numbers(part[:, axis], points[rows, axis].astype(np.float64))
        part[:, 3] = _reds()[red[rows]]
        part[:, :3, -1] = _SPACE
        part[:, 3, -1] = _NEWLINE
        parts.append(part.tobytes().translate(None, b"\0"))
    return b"".join(parts)


@lru_cache(maxsize=1)
def _halves() -> _Text:
    """The five digits of every number below 100,000: (100000, 5)."""
    numbers = np.arange(_HALF)[:, None] // 10 ** np.arange(4, -1, -1)
    return np.asarray(numbers % 10 + _ZERO, np.uint8)


@lru_cache(maxsize=1)
def _reds() -> _Text:
    """The float whose third byte is the row's number, for every byte: (256, _WIDTH)."""
    values = (np.arange(256, dtype="<u4") << 16).view("<f4")
    return np.stack([_by_python(float(value)) for value in values])


def _by_python(value: float) -> _Text:
    text = np.zeros(_WIDTH, np.uint8)
    written = f"{value:.10g}".encode()
    text[: len(written)] = np.frombuffer(written, np.uint8)
    return text


def _write_numbers(canvas: _Text, values: npt.NDArray[np.float64]) -> None:
    """Fills the rows (N, _WIDTH) of a canvas, its last column excepted."""
    size = np.abs(values)
    exponent = np.full(len(values), _LOWEST - 1)
    for power in range(_LOWEST, _HIGHEST + 2):
        exponent += size >= 10.0**power
    for power in range(_LOWEST, _HIGHEST + 1):
        rows = np.flatnonzero(exponent == power)
        if len(rows):
            canvas[rows] = _scaled(size[rows], power)
    canvas[np.signbit(values) & (exponent >= _LOWEST), 0] = _MINUS
    for row in np.flatnonzero((exponent < _LOWEST) | (exponent > _HIGHEST) | ~np.isfinite(values)):
        canvas[row] = _by_python(float(values[row]))


def _scaled(size: npt.NDArray[np.float64], power: int) -> _Text:
    """The text of numbers in [10^power, 10^(power + 1)), the sign's column left free: (N, _WIDTH)."""
    scaled = np.rint(size * 10.0 ** (_DIGITS - 1 - power)).astype(np.int64)
    high = scaled // _HALF
    digits = np.concatenate([_halves().take(high, axis=0), _halves().take(scaled - high * _HALF, axis=0)], axis=1)
    whole = max(power + 1, 0)  # digits before the point
    _drop_trailing_zeros(digits, whole)
    text = np.zeros((len(size), _WIDTH), np.uint8)
    lead = b"0." + b"0" * (-power - 1) if power < 0 else b""
    start = 1 + len(lead)
    text[:, 1:start] = np.frombuffer(lead, np.uint8)
    text[:, start : start + whole] = digits[:, :whole]
    if whole:
        text[:, start + whole] = np.where(digits[:, whole] > 0, _POINT, 0)
        start += 1
    text[:, start + whole : start + _DIGITS] = digits[:, whole:]
    return text


def _drop_trailing_zeros(digits: _Text, whole: int) -> None:
    rows = np.flatnonzero(digits[:, -1] == _ZERO)
    kept = digits.take(rows, axis=0)
    used = _DIGITS - np.argmax(kept[:, ::-1] != _ZERO, axis=1)
    kept[np.arange(_DIGITS) >= np.maximum(used, whole)[:, None]] = 0
    digits[rows] = kept
