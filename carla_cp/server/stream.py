"""The streaming port: tokens, subscriptions, and messages that wait for a subscriber who was announced."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import struct
from dataclasses import dataclass, field

WORLD_STREAM = 1
_MAX_WAITING = 256 << 20  # bytes a slow subscriber may let pile up before it is cut off
_LOG = logging.getLogger("carla_cp.server")


@dataclass(slots=True, eq=False)
class _Stream:
    subscribers: list[asyncio.StreamWriter] = field(default_factory=list)
    announced: int = 0  # clients that hold a token and have not connected yet
    kept: bytes = b""


class Streams:
    """All streams of one server. Stream ids are never used twice."""

    def __init__(self, host: str) -> None:
        self._address = ipaddress.ip_address(host)
        self._streams = {WORLD_STREAM: _Stream()}
        self._last = WORLD_STREAM
        self.port = 0

    def open(self) -> int:
        """The id of a new stream."""
        self._last += 1
        self._streams[self._last] = _Stream()
        return self._last

    def close(self, stream_id: int) -> None:
        """Nothing is sent on this stream any more; its subscribers hang up by themselves."""
        self._streams[stream_id] = _Stream()

    def token(self, stream_id: int) -> bytes:
        """The 24 bytes that tell a client where to connect; an unspecified address means the RPC host."""
        known = not self._address.is_unspecified
        kind = {4: 1, 6: 2}[self._address.version] if known else 0
        address = self._address.packed.ljust(16, b"\0") if known else bytes(16)
        return struct.pack("<IHBB", stream_id, self.port, 1, kind) + address

    def announce(self, stream_id: int) -> None:
        """A client is about to subscribe: from now on it must miss nothing. Raises KeyError for an unknown id."""
        self._streams[stream_id].announced += 1

    def wanted(self, stream_id: int) -> bool:
        """Whether anybody listens or is about to."""
        stream = self._streams[stream_id]
        return bool(stream.subscribers or stream.announced)

    def send(self, stream_id: int, message: bytes) -> None:
        """Sends to every subscriber; kept for those announced, and always on the world's stream."""
        stream = self._streams[stream_id]
        if stream.announced or stream_id == WORLD_STREAM:
            stream.kept = message
        for writer in list(stream.subscribers):
            if writer.transport.get_write_buffer_size() > _MAX_WAITING:
                _LOG.warning("stream %d: a subscriber does not read; cut off", stream_id)
                writer.transport.abort()
            else:
                writer.write(struct.pack("<I", len(message)))
                writer.write(message)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One subscriber's connection, until it hangs up."""
        stream = None
        try:
            (stream_id,) = struct.unpack("<I", await reader.readexactly(4))
            stream = self._streams.get(stream_id)
            if stream is not None:
                self._subscribe(stream, writer)
                while await reader.read(4096):
                    pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # hung up, or the server ends
        finally:
            if stream is not None and writer in stream.subscribers:
                stream.subscribers.remove(writer)
            writer.close()

    def _subscribe(self, stream: _Stream, writer: asyncio.StreamWriter) -> None:
        if stream.kept:
            writer.write(struct.pack("<I", len(stream.kept)))
            writer.write(stream.kept)
        stream.subscribers.append(writer)
        stream.announced = max(0, stream.announced - 1)
        if not stream.announced and stream is not self._streams[WORLD_STREAM]:
            stream.kept = b""
