"""Starts the embedded server as a child process and stops it again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from carla_cp.world.errors import WorldError

STOP_TIMEOUT_S = 5.0


@contextmanager
def embedded_server(died: Callable[[], None] | None = None) -> Iterator[tuple[str, int]]:
    """The host and port of a server that lives as long as the context does, and dies with this process.

    It runs in a session of its own, so that Ctrl-C reaches only us and we end it in order. A server that ends before
    it is told to is noticed by the client after a minute only; `died` is called at once, in a thread of its own.
    """
    command = [sys.executable, "-m", "carla_cp.server", "--port", "0", "--parent-pid", str(os.getpid())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    told = threading.Event()
    try:
        address = _address(process)
        if died is not None:
            threading.Thread(target=_watch, args=(process, told, died), daemon=True).start()
        yield address
    finally:
        told.set()
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _watch(process: subprocess.Popen[str], told: threading.Event, died: Callable[[], None]) -> None:
    process.wait()
    if not told.is_set():
        died()


def _address(process: subprocess.Popen[str]) -> tuple[str, int]:
    """Reads `... on HOST:PORT` from the server's start-up line."""
    line = process.stdout.readline() if process.stdout is not None else ""
    host, _, port = line.strip().rpartition(" ")[2].rpartition(":")
    if not host or not port.isdigit():
        raise WorldError(
            f"the embedded server did not start (it said {line.strip()!r}); run `python -m carla_cp.server`"
        )
    return host, int(port)
