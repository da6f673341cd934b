"""What a codec is fuzzed with: real messages, and what becomes of them in hostile hands."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from carla_cp.codecs import Codec
from carla_cp.codecs.base import ViewLike
from carla_cp.codecs.bitstream import HEADER_BYTES, MAX_PACKETS, cut

BUDGETS = (200, 300, 500, 1000, 1500, 2000, 3000, 6000)  # of the messages that it starts from, in bytes
SMALL_PACKET = 300  # of a message in several packets
WHOLE_SHARE = 0.02  # of payloads that start from a full-rate message: it takes as long as a hundred others
LONGEST = 1 << 17  # of full-rate messages that are mutated; longer ones are cut there
SEALED_SHARE = 0.6
CROWD_SHARE = 0.004  # of payloads of very many packets
_NUMBER_AT, _PRINT_AT = 1, 2  # in a header: codec, fingerprint
_FIELDS_BYTES = HEADER_BYTES - 4
_HEADER_FREE = 6  # what follows until the length says who, when and where
_LENGTH = struct.Struct("<H")
_ODD = (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF)
_ODD_WORDS = (0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Real messages of one codec."""

    codec: str  # NAME or NAME:VARIANT
    small: tuple[bytes, ...]
    whole: tuple[bytes, ...]  # at full rate


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet before it is sealed."""

    fields: bytes  # of the header, without its checksum
    body: bytes


def corpus_of(name: str, codec: Codec[object], views: Sequence[ViewLike]) -> Corpus:
    """Messages of all views at several budgets, in long packets and short ones, and at the full rate in long ones."""
    small: list[bytes] = []
    whole: list[bytes] = []
    for view in views:
        budgets = (None,) if codec.fixed_rate else (*BUDGETS, None)
        for budget in budgets:
            kept = whole if budget is None else small
            kept.append(codec.encode(view, budget))
            if budget is not None and budget > 2 * SMALL_PACKET:
                kept.append(codec.encode(view, budget, packet_bytes=SMALL_PACKET))
    small = [message for message in dict.fromkeys(small) if message]
    whole = [message for message in dict.fromkeys(whole) if message]
    if not whole:
        raise ValueError(f"codec {name} has nothing to say of any view: give others with --data")
    return Corpus(name, tuple(small or whole), tuple(whole))


def payloads(
    rng: np.random.Generator, corpora: Sequence[Corpus], which: int, count: int
) -> Iterator[tuple[bool, bytes]]:
    """`count` payloads for codec `which` of the corpora, each with whether it was sealed again."""
    for _ in range(count):
        sealed = bool(rng.random() < SEALED_SHARE)
        yield sealed, _sealed(rng, corpora, which) if sealed else _broken(rng, corpora, which)


def sealed_payloads(rng: np.random.Generator, corpora: Sequence[Corpus], which: int, count: int) -> Iterator[bytes]:
    """`count` payloads with right lengths and checksums."""
    for _ in range(count):
        yield _sealed(rng, corpora, which)


def seal(packet: Packet) -> bytes:
    """The packet with its length and its checksum."""
    length = HEADER_BYTES + len(packet.body)
    fields = packet.fields[: -_LENGTH.size] + _LENGTH.pack(length if length < 65536 else 0)
    return fields + struct.pack("<I", zlib.crc32(packet.body, zlib.crc32(fields))) + packet.body


def packets_of(message: bytes) -> list[Packet]:
    """Those of a whole message."""
    return [Packet(packet[:_FIELDS_BYTES], packet[HEADER_BYTES:]) for packet in cut(message)]


def _message(rng: np.random.Generator, corpus: Corpus) -> bytes:
    return _one(rng, corpus.whole if rng.random() < WHOLE_SHARE else corpus.small)


def _one(rng: np.random.Generator, several: Sequence[bytes]) -> bytes:
    return several[int(rng.integers(len(several)))]


def _broken(rng: np.random.Generator, corpora: Sequence[Corpus], which: int) -> bytes:
    """Whatever bytes: a message that was hit anywhere, cut or spliced, or none at all."""
    kind = rng.random()
    if kind < 0.1:
        return rng.bytes(int(rng.integers(0, 600)))
    message = _message(rng, corpora[which])[:LONGEST]
    if kind < 0.3:
        return message[: int(rng.integers(0, len(message) + 1))]
    if kind < 0.5:
        other = _message(rng, corpora[int(rng.integers(len(corpora)))])[:LONGEST]
        return message[: int(rng.integers(0, len(message) + 1))] + other[int(rng.integers(0, len(other))) :]
    return _mutated(rng, message)


def _sealed(rng: np.random.Generator, corpora: Sequence[Corpus], which: int) -> bytes:
    """Packets that all pass the checksum, of one header."""
    corpus = corpora[which]
    packets = packets_of(_message(rng, corpus))
    bodies = [packet.body[:LONGEST] for packet in packets]
    kind = rng.random()
    if kind < CROWD_SHARE:
        bodies = _crowd(rng, bodies)
    elif kind < 0.1:
        bodies = [rng.bytes(int(rng.integers(0, 400))) for _ in range(int(rng.integers(1, 4)))]
    elif kind < 0.25:
        bodies = _shuffled(rng, bodies + [packet.body for packet in packets_of(_message(rng, corpus))])
    elif kind < 0.4:
        bodies = _spliced(rng, bodies, _foreign(rng, corpora, which))
    if kind >= 0.2:
        for _ in range(int(rng.integers(1, 3))):
            hit = int(rng.integers(len(bodies)))
            bodies[hit] = _mutated(rng, bodies[hit])
    fields = _odd_header(rng, packets[0].fields) if rng.random() < 0.2 else packets[0].fields
    return b"".join(seal(Packet(fields, body)) for body in _bounded(bodies))


def _bounded(bodies: list[bytes]) -> list[bytes]:
    """Only the last may be longer than the length field can say."""
    return [body[: 65535 - HEADER_BYTES] for body in bodies[:-1]] + bodies[-1:]


def _foreign(rng: np.random.Generator, corpora: Sequence[Corpus], which: int) -> list[bytes]:
    """Bodies of another codec or of another message of this one."""
    other = corpora[int(rng.integers(len(corpora)))] if rng.random() < 0.5 else corpora[which]
    return [packet.body[:LONGEST] for packet in packets_of(_message(rng, other))]


def _spliced(rng: np.random.Generator, bodies: list[bytes], others: list[bytes]) -> list[bytes]:
    """One body begins as it was and goes on as another, or gives its place to it."""
    at, other = int(rng.integers(len(bodies))), _one(rng, others)
    own = bodies[at]
    begin, end = int(rng.integers(0, len(own) + 1)), int(rng.integers(0, len(other) + 1))
    if rng.random() < 0.5:  # what follows keeps its place, as fields do
        end = min(begin, len(other))
    return [*bodies[:at], own[:begin] + other[end:], *bodies[at + 1 :]]


def _shuffled(rng: np.random.Generator, bodies: list[bytes]) -> list[bytes]:
    """Some of them, in any order, some twice."""
    drawn = rng.integers(len(bodies), size=int(rng.integers(1, min(2 * len(bodies), 40) + 1)))
    return [bodies[place] for place in drawn.tolist()]


def _crowd(rng: np.random.Generator, bodies: list[bytes]) -> list[bytes]:
    """Very many short packets, no two alike."""
    body = _one(rng, bodies)
    count = int(rng.integers(MAX_PACKETS // 8, MAX_PACKETS + 2))
    keep = min(len(body), int(rng.integers(4, 64)))
    body = body[:keep] if rng.random() < 0.5 else body[: len(body) % 4 + keep // 4 * 4]
    tails = rng.bytes(4 * count)
    return [body[:-4] + tails[4 * place : 4 * place + 4] for place in range(count)]


def _odd_header(rng: np.random.Generator, fields: bytes) -> bytes:
    """Another sender, time or pose; once in ten, what the receiver must refuse."""
    changed = bytearray(fields)
    start = 0 if rng.random() < 0.1 else _HEADER_FREE
    for _ in range(int(rng.integers(1, 5))):
        changed[int(rng.integers(start, len(fields) - _LENGTH.size))] = _odd_byte(rng)
    return bytes(changed)


def _odd_byte(rng: np.random.Generator) -> int:
    return _ODD[int(rng.integers(len(_ODD)))] if rng.random() < 0.4 else int(rng.integers(256))


def _mutated(rng: np.random.Generator, data: bytes) -> bytes:
    """One to four changes of any kind."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        _CHANGES[int(rng.integers(len(_CHANGES)))](rng, changed)
    return bytes(changed)


def _place(rng: np.random.Generator, data: bytearray) -> int:
    """Anywhere, but half of the time near the beginning, where counts stand, or near the end, where coders start."""
    kind = rng.random()
    if kind < 0.35:
        return int(rng.integers(0, min(len(data), 12) + 1))
    if kind < 0.5:
        return max(len(data) - int(rng.integers(0, 9)), 0)
    return int(rng.integers(0, len(data) + 1))


def _flip(rng: np.random.Generator, data: bytearray) -> None:
    at = _place(rng, data)
    if at < len(data):
        data[at] ^= 1 << int(rng.integers(8))


def _set(rng: np.random.Generator, data: bytearray) -> None:
    at = _place(rng, data)
    data[at : at + 1] = bytes([_odd_byte(rng)])


def _word(rng: np.random.Generator, data: bytearray) -> None:
    at, width = _place(rng, data), int(rng.integers(1, 3)) * 2
    odd = _ODD_WORDS[int(rng.integers(len(_ODD_WORDS)))]
    data[at : at + width] = (odd & (1 << 8 * width) - 1).to_bytes(width, "little")


def _drop(rng: np.random.Generator, data: bytearray) -> None:
    at = _place(rng, data)
    del data[at : at + int(rng.choice((1, 2, 4, 8, 64)))]


def _insert(rng: np.random.Generator, data: bytearray) -> None:
    at = _place(rng, data)
    data[at:at] = rng.bytes(int(rng.choice((1, 2, 4, 8, 64))))


def _repeat(rng: np.random.Generator, data: bytearray) -> None:
    at = _place(rng, data)
    data[at:at] = data[at : at + int(rng.integers(1, 65))]


def _blank(rng: np.random.Generator, data: bytearray) -> None:
    at, length = _place(rng, data), int(rng.integers(1, 65))
    data[at : at + length] = bytes([_ODD[int(rng.integers(len(_ODD)))]]) * len(data[at : at + length])


def _truncate(rng: np.random.Generator, data: bytearray) -> None:
    del data[int(rng.integers(0, len(data) + 1)) :]


def _truncate_words(rng: np.random.Generator, data: bytearray) -> None:
    """Entropy-coded words are four bytes each: what remains is likely to look whole."""
    del data[max(len(data) - 4 * int(rng.integers(0, len(data) // 4 + 1)), 0) :]


_CHANGES: tuple[Callable[[np.random.Generator, bytearray], None], ...] = (
    _flip,
    _flip,
    _set,
    _set,
    _word,
    _word,
    _drop,
    _insert,
    _repeat,
    _blank,
    _truncate,
    _truncate_words,
)
