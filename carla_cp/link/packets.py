"""Messages <-> packets: every packet carries which message it belongs to, its place in it and a checksum."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from carla_cp.types import AgentName

_FIELDS = struct.Struct("<IIHH")  # sender, sequence, index, count
_CRC = struct.Struct("<I")  # of the fields and the body
HEADER_BYTES = _FIELDS.size + _CRC.size
MAX_PACKETS = 0xFFFF


@dataclass(frozen=True, slots=True)
class _Packet:
    message: tuple[int, int, int]  # sender, sequence, count: equal over the packets of one message
    index: int
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


def split(payload: bytes, mtu: int, sender: AgentName, sequence: int) -> list[bytes]:
    """The payload as packets of at most `mtu` bytes each, headers included, in order; none for an empty payload."""
    count = packet_count(len(payload), mtu)
    room = mtu - HEADER_BYTES
    who = zlib.crc32(sender.encode())
    packets = []
    for index in range(count):
        fields = _FIELDS.pack(who, sequence & 0xFFFFFFFF, index, count)
        body = payload[index * room : (index + 1) * room]
        packets.append(fields + _CRC.pack(zlib.crc32(body, zlib.crc32(fields))) + body)
    return packets


def reassemble(packets: Sequence[bytes]) -> bytes | None:
    """The payload, whatever order its packets came in; None unless all of it is there, intact and of one message.

    Repeated packets do no harm. Memory stays within the bytes given, whatever their headers claim.
    """
    bodies: dict[int, bytes] = {}
    message: tuple[int, int, int] | None = None
    for raw in packets:
        packet = _parse(raw)
        if packet is None or (message is not None and packet.message != message):
            return None
        message = packet.message
        if bodies.setdefault(packet.index, packet.body) != packet.body:
            return None
    if message is None or len(bodies) != message[2]:
        return None
    return b"".join(bodies[index] for index in range(len(bodies)))


def _parse(raw: bytes) -> _Packet | None:
    if len(raw) <= HEADER_BYTES:
        return None
    fields, body = raw[: _FIELDS.size], raw[HEADER_BYTES:]
    (crc,) = _CRC.unpack_from(raw, _FIELDS.size)
    if crc != zlib.crc32(body, zlib.crc32(fields)):
        return None
    sender, sequence, index, count = _FIELDS.unpack(fields)
    return _Packet((sender, sequence, count), index, body) if index < count else None
