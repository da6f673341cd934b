"""Bytes of a message: one header for all codecs, and entropy-coded symbols that decode alike on every machine.

The header takes 40 bytes: mark and version 2, codec 1, fingerprint 4, sender 6, time 6, pose 17, CRC-32 of all 4.
Grid, tap and channel counts are fixed by the fingerprint. Symbols go through an asymmetric numeral system (Duda,
2013; `constriction`, Bamler, 2022) whose probabilities are integers over 2**16: no rounding can tell two ends apart.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import constriction
import numpy as np
import numpy.typing as npt

from carla_cp.geometry import Pose
from carla_cp.types import AgentName, FloatArray, IntArray

HEADER_BYTES = 40
TABLE_TOTAL = 1 << 16
_MARK = b"C\x01"
_FIELDS = struct.Struct("<2sBI6s6sii3s3h")
_CRC = struct.Struct("<I")
_ALPHABET = "\0abcdefghijklmnopqrstuvwxyz0123456789_-."
_NAME_CHARACTERS = 9
_ANGLE_STEP = 2 * math.pi / 65536


class PayloadError(ValueError):
    """The bytes are no message of this codec with these weights; the only error that decoding raises."""


@dataclass(frozen=True, slots=True)
class Header:
    """What precedes every body: who, when, where, and which weights."""

    codec: int  # [0, 255], `Codec.number`
    fingerprint: int  # 32 bits, of the weights on both ends
    sender: AgentName
    time_us: int  # [0, 2**48)
    world_from_agent: Pose


def pack(header: Header, body: bytes) -> bytes:
    """The message: 40 bytes of header, then the body.

    Poses keep millimetres and 16-bit angles. Names of up to nine characters out of `a-z0-9_-.` come back as they are,
    others as `~` and eight hexadecimal digits. Raises ValueError for times and positions out of range.
    """
    pose = header.world_from_agent
    x, y, z = (round(value * 1000) for value in (pose.x, pose.y, pose.z))
    angles = (_wrap16(round(value / _ANGLE_STEP)) for value in (pose.roll, pose.pitch, pose.yaw))
    try:
        time, z_bytes = header.time_us.to_bytes(6, "little"), z.to_bytes(3, "little", signed=True)
        name = _name_code(header.sender).to_bytes(6, "little")
        fields = _FIELDS.pack(_MARK, header.codec, header.fingerprint, name, time, x, y, z_bytes, *angles)
    except (OverflowError, struct.error) as error:
        raise ValueError(f"time {header.time_us} us at {pose} does not fit a message header: {error}") from error
    return fields + _CRC.pack(zlib.crc32(body, zlib.crc32(fields))) + body


def unpack(payload: bytes, codec: int, fingerprint: int) -> tuple[Header, bytes]:
    """The header and the body of a message. Raises PayloadError unless it is whole and meant for this codec."""
    if len(payload) < HEADER_BYTES:
        raise PayloadError(f"{len(payload)} bytes are fewer than a header's {HEADER_BYTES}")
    fields, body = payload[: _FIELDS.size], payload[HEADER_BYTES:]
    if zlib.crc32(body, zlib.crc32(fields)) != _CRC.unpack_from(payload, _FIELDS.size)[0]:
        raise PayloadError("the checksum does not match")
    mark, number, weights, name, time, x, y, z, roll, pitch, yaw = _FIELDS.unpack(fields)
    if mark != _MARK:
        raise PayloadError(f"the message starts with {mark!r}, not with {_MARK!r}")
    if number != codec or weights != fingerprint:
        raise PayloadError(
            f"sent by codec {number} with weights {weights:08x}, received by codec {codec} with {fingerprint:08x}"
        )
    pose = Pose(
        x=x / 1000,
        y=y / 1000,
        z=int.from_bytes(z, "little", signed=True) / 1000,
        roll=roll * _ANGLE_STEP,
        pitch=pitch * _ANGLE_STEP,
        yaw=yaw * _ANGLE_STEP,
    )
    sender = _name_of(int.from_bytes(name, "little"))
    return Header(number, weights, sender, int.from_bytes(time, "little"), pose), body


def _wrap16(value: int) -> int:
    return (value + 32768) % 65536 - 32768


def _name_code(name: AgentName) -> int:
    base: int = len(_ALPHABET)
    if 0 < len(name) <= _NAME_CHARACTERS and all(letter in _ALPHABET[1:] for letter in name):
        return sum(_ALPHABET.index(letter) * int(base**place) for place, letter in enumerate(name))
    return int(base**_NAME_CHARACTERS) + zlib.crc32(name.encode())


def _name_of(code: int) -> AgentName:
    base: int = len(_ALPHABET)
    if code >= base**_NAME_CHARACTERS:
        return AgentName(f"~{(code - int(base**_NAME_CHARACTERS)) & 0xFFFFFFFF:08x}")
    letters = (_ALPHABET[code // base**place % base] for place in range(_NAME_CHARACTERS))
    return AgentName("".join(letters).rstrip("\0").replace("\0", "~"))


class Table:
    """The integer probabilities of one alphabet."""

    def __init__(self, weights: npt.ArrayLike) -> None:
        self.weights: IntArray = np.asarray(weights, np.int64)
        if self.weights.ndim != 1 or self.weights.min() < 1 or self.weights.sum() != TABLE_TOTAL:
            raise ValueError(f"a table needs weights of at least 1 that add up to {TABLE_TOTAL}, got {self.weights}")

    @staticmethod
    def uniform(symbols: int) -> Table:
        """All symbols alike."""
        return Table.from_counts(np.ones(symbols))

    @staticmethod
    def from_counts(counts: npt.ArrayLike) -> Table:
        """The table that is nearest to the relative counts and gives every symbol at least 1."""
        values = np.asarray(counts, np.float64) + 1e-9
        free = TABLE_TOTAL - len(values)
        weights = 1 + np.floor(values / values.sum() * free).astype(np.int64)
        weights[int(np.argmax(weights))] += TABLE_TOTAL - int(weights.sum())
        return Table(weights)

    @cached_property
    def bits(self) -> FloatArray:
        """What each symbol costs, (symbols,)."""
        return np.asarray(np.log2(TABLE_TOTAL) - np.log2(self.weights))

    @cached_property
    def model(self) -> constriction.stream.model.Categorical:
        """The coder's view of it; the probabilities are dyadic, hence exact."""
        return constriction.stream.model.Categorical(self.weights / TABLE_TOTAL, perfect=False)


class SymbolWriter:
    """Collects symbols in the order in which they will be read."""

    def __init__(self) -> None:
        self._runs: list[tuple[IntArray, Table]] = []

    def put(self, symbols: IntArray, table: Table) -> None:
        """Appends symbols in [0, len(table))."""
        if len(symbols):
            self._runs.append((symbols, table))

    def to_bytes(self) -> bytes:
        """All of them: the entropy plus at most eight bytes, a multiple of four."""
        coder = constriction.stream.stack.AnsCoder()
        for symbols, table in reversed(self._runs):
            coder.encode_reverse(symbols.astype(np.int32), table.model)
        return bytes(coder.get_compressed().astype("<u4").tobytes())


class SymbolReader:
    """Reads what a SymbolWriter wrote; the caller bounds every count."""

    def __init__(self, data: bytes) -> None:
        if len(data) % 4:
            raise PayloadError(f"{len(data)} bytes of symbols are no multiple of four")
        words = np.frombuffer(data, "<u4").astype(np.uint32)
        if len(words) and words[-1] == 0:
            raise PayloadError("the symbols end in a zero word, which no writer makes")
        self._coder = constriction.stream.stack.AnsCoder(words)

    def take(self, count: int, table: Table) -> IntArray:
        """The next `count` symbols."""
        if not count:
            return np.zeros(0, np.int64)
        return np.asarray(self._coder.decode(table.model, count), np.int64)

    def finish(self) -> None:
        """Raises PayloadError where symbols are left over or were missing."""
        if not self._coder.is_empty():
            raise PayloadError("the symbols do not end where the message does")


def largest(high: int, fits: Callable[[int], bool]) -> int:
    """The largest count in [0, high] that fits, where fewer always fit if more do; 0 is taken to fit."""
    low = 0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
