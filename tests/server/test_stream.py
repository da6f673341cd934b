"""Tokens and subscriptions without any simulation."""

from __future__ import annotations

import asyncio
import struct

import pytest

from carla_cp.server.stream import WORLD_STREAM, Streams


def test_a_token_names_stream_port_protocol_and_address() -> None:
    streams = Streams("127.0.0.1")
    streams.port = 2001
    assert struct.unpack("<IHBB", streams.token(9)[:8]) == (9, 2001, 1, 1)
    assert streams.token(9)[8:] == bytes([127, 0, 0, 1]) + bytes(12)
    assert struct.unpack_from("<IHBB", Streams("0.0.0.0").token(9))[3] == 0


def test_an_unknown_stream_cannot_be_announced() -> None:
    with pytest.raises(KeyError):
        Streams("127.0.0.1").announce(77)


async def _received(sent_before: list[bytes], sent_after: list[bytes], announced: bool) -> tuple[list[bytes], bool]:
    streams = Streams("127.0.0.1")
    server = await asyncio.start_server(streams.serve, "127.0.0.1", 0)
    stream_id = streams.open()
    if announced:
        streams.announce(stream_id)
    wanted = streams.wanted(stream_id)
    for message in sent_before:
        streams.send(stream_id, message)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(struct.pack("<I", stream_id))
    await asyncio.sleep(0.05)
    for message in sent_after:
        streams.send(stream_id, message)
    await asyncio.sleep(0.05)
    data = await reader.read(1000)
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.05)
    assert not streams.wanted(stream_id)
    server.close()
    await server.wait_closed()
    found = []
    while data:
        (size,) = struct.unpack_from("<I", data)
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found, wanted


def test_who_was_announced_gets_the_last_message_that_came_before() -> None:
    assert asyncio.run(_received([b"old", b"kept"], [b"new"], True)) == ([b"kept", b"new"], True)


def test_who_was_not_announced_gets_only_what_comes_after() -> None:
    assert asyncio.run(_received([b"old"], [b"new"], False)) == ([b"new"], False)


def test_the_worlds_last_snapshot_is_always_kept() -> None:
    async def play() -> bytes:
        streams = Streams("127.0.0.1")
        server = await asyncio.start_server(streams.serve, "127.0.0.1", 0)
        streams.send(WORLD_STREAM, b"snapshot")
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(struct.pack("<I", WORLD_STREAM))
        data = await reader.readexactly(12)
        writer.close()
        await writer.wait_closed()
        server.close()
        return data

    assert asyncio.run(play()) == struct.pack("<I", 8) + b"snapshot"
