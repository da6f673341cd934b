"""Messages <-> packets: every packet carries which message it belongs to, its place in it and a checksum.

A message may be cut into parts, each of use without the others: what arrives are the parts that are whole. The highest
bits of a packet's index and count say that it begins and ends a part.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from carla_cp.types import AgentName

_FIELDS = struct.Struct("<IIHH")  # sender, sequence, index, count; flags in the highest bits of these
_CRC = struct.Struct("<I")  # of the fields and the body
HEADER_BYTES = _FIELDS.size + _CRC.size
MAX_PACKETS = 0x7FFF
_FLAG = 0x8000


@dataclass(frozen=True, slots=True)
class _Packet:
    message: tuple[int, int, int]  # sender, sequence, count: equal over the packets of one message
    index: int
    begins: bool  # a part
    ends: bool
    body: bytes


def packet_count(payload_bytes: int, mtu: int) -> int:
    """How many packets of at most `mtu` bytes a payload takes; 0 for an empty one.

    Raises:
        ValueError: the MTU leaves no room behind the header, or the payload needs more packets than the header counts.
    """
    room = mtu - HEADER_BYTES
    if room < 1:
        raise ValueError(f"mtu_bytes {mtu} must be more than the packet header's {HEADER_BYTES} bytes")
    count = -(-payload_bytes // room)
    if count > MAX_PACKETS:
        raise ValueError(f"{payload_bytes} bytes need {count} packets, at most {MAX_PACKETS} fit: raise mtu_bytes")
    return count


def split(parts: Sequence[bytes], mtu: int, sender: AgentName, sequence: int) -> list[bytes]:
    """The parts of a message as packets of at most `mtu` bytes each, headers included, in order.

    Raises ValueError as `packet_count` does.
    """
    room = mtu - HEADER_BYTES
    counts = [packet_count(len(part), mtu) for part in parts]
    who, total = zlib.crc32(sender.encode()), sum(counts)
    if total > MAX_PACKETS:
        raise ValueError(f"{len(parts)} parts need {total} packets, at most {MAX_PACKETS} fit: raise mtu_bytes")
    packets: list[bytes] = []
    for part, count in zip(parts, counts, strict=True):
        for place in range(count):
            index = len(packets) | (_FLAG if place == 0 else 0)
            fields = _FIELDS.pack(who, sequence & 0xFFFFFFFF, index, total | (_FLAG if place == count - 1 else 0))
            body = part[place * room : (place + 1) * room]
            packets.append(fields + _CRC.pack(zlib.crc32(body, zlib.crc32(fields))) + body)
    return packets


def reassemble(packets: Sequence[bytes]) -> bytes | None:
    """The parts that are whole, joined, whatever order the packets came in; None unless there is one.

    None, too, for packets that are damaged or of several messages. Repeated packets do no harm. Memory stays within
    the bytes given, whatever their headers claim.
    """
    known: dict[int, _Packet] = {}
    message: tuple[int, int, int] | None = None
    for raw in packets:
        packet = _parse(raw)
        if packet is None or (message is not None and packet.message != message):
            return None
        message = packet.message
        if known.setdefault(packet.index, packet) != packet:
            return None
    return b"".join(_whole_parts([known[index] for index in sorted(known)])) or None


def _whole_parts(packets: Sequence[_Packet]) -> Iterator[bytes]:
    """The parts of which every packet is there, of packets in order."""
    part: list[bytes] = []
    expected = -1  # the next packet of the part that is being read; -1 where none is
    for packet in packets:
        if packet.begins:
            part, expected = [], packet.index
        if packet.index != expected:
            expected = -1
            continue
        part.append(packet.body)
        expected += 1
        if packet.ends:
            yield b"".join(part)
            expected = -1


def _parse(raw: bytes) -> _Packet | None:
    if len(raw) <= HEADER_BYTES:
        return None
    fields, body = raw[: _FIELDS.size], raw[HEADER_BYTES:]
    (crc,) = _CRC.unpack_from(raw, _FIELDS.size)
    if crc != zlib.crc32(body, zlib.crc32(fields)):
        return None
    sender, sequence, index, count = _FIELDS.unpack(fields)
    begins, ends, index, count = bool(index & _FLAG), bool(count & _FLAG), index & ~_FLAG, count & ~_FLAG
    return _Packet((sender, sequence, count), index, begins, ends, body) if index < count else None
