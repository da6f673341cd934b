"""The server process: two listening sockets, one simulation, and the clock that drives it when no client does."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable

from carla_cp.server.rpc import RpcServer
from carla_cp.server.simulation import Simulation
from carla_cp.server.stream import Streams

_PAIR_TRIES = 50
_PARENT_POLL_S = 0.5
_PR_SET_PDEATHSIG = 1


class PortError(Exception):
    """No two ports could be had; one line that names them."""


def listen_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Sockets on a port and the one after it; port 0 takes any free pair. Raises PortError."""
    for _ in range(1 if port else _PAIR_TRIES):
        try:
            first = _bind(host, port)
        except OSError as error:
            raise PortError(f"--host {host} --port {port}: {error.strerror}; give another, or --port 0") from error
        second = first.getsockname()[1] + 1
        try:
            return first, _bind(host, second)
        except (OSError, OverflowError) as error:
            first.close()
            reason = f"port {second}, which the streams need: {error}"
    raise PortError(f"--host {host} --port {port}: {reason}; give another, or --port 0")


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else asyncio leaves Nagle on
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(64)
    except BaseException:
        listener.close()
        raise
    return listener


async def serve(
    sockets: tuple[socket.socket, socket.socket], simulation: Simulation, streams: Streams, ready: Callable[[], None]
) -> None:
    """Serves until it is cancelled or told to end by SIGTERM or SIGINT; calls `ready` once it listens."""
    turn = asyncio.Lock()
    rpc = RpcServer(simulation, turn)
    servers = [await asyncio.start_server(rpc.serve, sock=sockets[0], limit=1 << 20)]
    servers.append(await asyncio.start_server(streams.serve, sock=sockets[1]))
    ready()
    try:
        await _run_free(rpc, simulation, turn)
    finally:
        for server in servers:
            server.close()


async def _run_free(rpc: RpcServer, simulation: Simulation, turn: asyncio.Lock) -> None:
    """Ticks in real time whenever no client is in charge of the clock."""
    loop = asyncio.get_running_loop()
    next_s = loop.time()
    while True:
        next_s = max(next_s + simulation.step_s, loop.time())
        await asyncio.sleep(next_s - loop.time())
        async with turn:
            if not simulation.settings.synchronous_mode:
                await rpc.run_free()


def die_with(parent: int) -> None:
    """Has the kernel end this process when its parent thread ends, and leaves if the parent is gone already."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)


async def watch_parent(parent: int) -> None:
    """Returns when the parent is gone."""
    while os.getppid() == parent:
        await asyncio.sleep(_PARENT_POLL_S)
