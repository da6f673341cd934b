"""Bytes of a message: packets with one header for all codecs, and symbols that decode alike on every machine.

A message is one packet or several in a row; each can be read without the others. Its header takes 40 bytes: mark and
version 1, codec 1, fingerprint 4, sender 6, time 5, pose 17, length of the packet 2 (0: to the message's end), CRC-32
of all 4. Grid, tap and channel counts are fixed by the fingerprint. Symbols go through an asymmetric numeral system
(Duda, 2013; `constriction`, Bamler, 2022) whose probabilities are integers over 2**16: no rounding can tell two ends
apart.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import constriction
import numpy as np
import numpy.typing as npt

from carla_cp.geometry import Pose
from carla_cp.types import AgentName, FloatArray, IntArray

HEADER_BYTES = 40
MAX_PACKETS = 4096  # of a message
TABLE_TOTAL = 1 << 16
SLACK_BITS = 8 + 64  # of a body beside its symbols: the layout byte, the coder's rounding
_MARK = 0xC2
_FIELDS = struct.Struct("<BBI6s5sii3s3hH")
_LENGTH = struct.Struct("<H")
_LENGTH_AT = _FIELDS.size - _LENGTH.size
_CRC = struct.Struct("<I")
_ALPHABET = "\0abcdefghijklmnopqrstuvwxyz0123456789_-."
_NAME_CHARACTERS = 9
_ANGLE_STEP = 2 * math.pi / 65536
_LINES = 8  # tries before a search halves what is left


class PayloadError(ValueError):
    """The bytes are no message of this codec with these weights; the only error that decoding raises."""


@dataclass(frozen=True, slots=True)
class Header:
    """What precedes every body: who, when, where, and which weights."""

    codec: int  # [0, 255], `Codec.number`
    fingerprint: int  # 32 bits, of the weights on both ends
    sender: AgentName
    time_us: int  # [0, 2**40): twelve days
    world_from_agent: Pose


def pack(header: Header, body: bytes) -> bytes:
    """A packet: 40 bytes of header, then the body. A longer one than 65,535 bytes must be a message's last.

    Poses keep millimetres and 16-bit angles. Names of up to nine characters out of `a-z0-9_-.` come back as they are,
    others as `~` and eight hexadecimal digits. Raises ValueError for times and positions out of range.
    """
    pose = header.world_from_agent
    x, y, z = (round(value * 1000) for value in (pose.x, pose.y, pose.z))
    angles = (_wrap16(round(value / _ANGLE_STEP)) for value in (pose.roll, pose.pitch, pose.yaw))
    length = HEADER_BYTES + len(body)
    try:
        time, z_bytes = header.time_us.to_bytes(5, "little"), z.to_bytes(3, "little", signed=True)
        name = _name_code(header.sender).to_bytes(6, "little")
        fields = _FIELDS.pack(
            _MARK, header.codec, header.fingerprint, name, time, x, y, z_bytes, *angles, length if length < 65536 else 0
        )
    except (OverflowError, struct.error) as error:
        raise ValueError(f"time {header.time_us} us at {pose} does not fit a message header: {error}") from error
    return fields + _CRC.pack(zlib.crc32(body, zlib.crc32(fields))) + body


def cut(payload: bytes, most: int = MAX_PACKETS) -> tuple[bytes, ...]:
    """The packets of a message, at most so many.

    Raises PayloadError for more, and where a packet's end lies beyond the message's, or at its start.
    """
    packets: list[bytes] = []
    at = 0
    while at < len(payload):
        if len(payload) - at < HEADER_BYTES:
            raise PayloadError(f"{len(payload) - at} bytes are fewer than a header's {HEADER_BYTES}")
        length = _LENGTH.unpack_from(payload, at + _LENGTH_AT)[0] or len(payload) - at
        if not HEADER_BYTES <= length <= len(payload) - at or len(packets) == most:
            raise PayloadError(f"packet {len(packets)} cannot be {length} of {len(payload) - at} bytes")
        packets.append(payload[at : at + length])
        at += length
    return tuple(packets)


def unpack(packet: bytes, codec: int, fingerprint: int) -> tuple[Header, bytes]:
    """The header and the body of a packet. Raises PayloadError unless it is whole and meant for this codec."""
    if len(packet) < HEADER_BYTES:
        raise PayloadError(f"{len(packet)} bytes are fewer than a header's {HEADER_BYTES}")
    fields, body = packet[: _FIELDS.size], packet[HEADER_BYTES:]
    if zlib.crc32(body, zlib.crc32(fields)) != _CRC.unpack_from(packet, _FIELDS.size)[0]:
        raise PayloadError("the checksum does not match")
    mark, number, weights, name, time, x, y, z, roll, pitch, yaw, length = _FIELDS.unpack(fields)
    if mark != _MARK or length not in (0, len(packet)):
        raise PayloadError(f"{len(packet)} bytes start with {mark:#x} and length {length}")
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
        self._runs: list[tuple[npt.NDArray[np.int32], Table]] = []

    def put(self, symbols: IntArray, table: Table) -> None:
        """Appends symbols in [0, len(table))."""
        if len(symbols):
            self._runs.append((symbols.astype(np.int32), table))

    def put_in_context(self, symbols: IntArray, contexts: IntArray, tables: Sequence[Table]) -> None:
        """Appends symbols, each with the table of its context; those of one context go in one call, in order."""
        order, runs = _by_context(contexts, tables)
        ordered = symbols[order].astype(np.int32)
        self._runs += [(ordered[start:end], table) for start, end, table in runs]

    def to_bytes(self) -> bytes:
        """All of them: the entropy plus at most eight bytes, a multiple of four."""
        coder = constriction.stream.stack.AnsCoder()
        for symbols, table in reversed(self._runs):
            coder.encode_reverse(symbols, table.model)
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

    def take_in_context(self, contexts: IntArray, tables: Sequence[Table]) -> IntArray:
        """The next `len(contexts)` symbols, as `put_in_context` wrote them."""
        symbols = np.zeros(len(contexts), np.int64)
        order, runs = _by_context(contexts, tables)
        for start, end, table in runs:
            symbols[order[start:end]] = self.take(end - start, table)
        return symbols

    def finish(self) -> None:
        """Raises PayloadError where symbols are left over or were missing."""
        if not self._coder.is_empty():
            raise PayloadError("the symbols do not end where the message does")


def _by_context(
    contexts: IntArray, tables: Sequence[Table]
) -> tuple[npt.NDArray[np.intp], list[tuple[int, int, Table]]]:
    """The places of symbols by context, ascending in each; and of each context that occurs start, end and table."""
    order = np.argsort(contexts.astype(np.int16), kind="stable")  # 16 bits: a radix sort
    ends = np.cumsum(np.bincount(contexts, minlength=len(tables))).tolist()
    runs = zip([0, *ends], ends, tables, strict=False)
    return order, [(start, end, table) for start, end, table in runs if end > start]


def largest(high: int, fits: Callable[[int], bool]) -> int:
    """The largest count in [0, high] that fits, where fewer always fit if more do; 0 is taken to fit."""
    low = 0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def nearly_largest(high: int, size: Callable[[int], float], limit: float, start: int, close: float = 0.99) -> int:
    """A count in [0, high] whose size is at most `limit`, and at least `close` times it where any count's is.

    Otherwise the largest that fits. Sizes never fall as counts rise, and rise about evenly: `start` is tried first,
    then where the line through the last two ends, so that few are asked for; 0 is taken to fit.
    """
    low, beyond, best = 0, high + 1, 0.0
    before, tried, rounds = (0, 0.0), max(start, 1), 0
    while beyond - low > 1 and best < close * limit:
        tried = min(max(tried, low + 1), beyond - 1) if rounds < _LINES else (low + beyond) // 2
        found = size(tried)
        low, best, beyond = (tried, found, beyond) if found <= limit else (low, best, tried)
        slope = max((found - before[1]) / (tried - before[0]), 1e-9) if tried != before[0] else 1.0
        before, tried = (tried, found), tried + round(min((limit * (1 + close) / 2 - found) / slope, 1e9))
        rounds += 1
    return low
