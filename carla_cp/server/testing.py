"""A pytest fixture: a CARLA server of its own for a test session.

In a `conftest.py`: `from carla_cp.server.testing import carla_server, carla_server_options`. A test that takes
`carla_server` gets where it listens; a fixture `carla_server_options` of your own gives the server other options.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import carla
import pytest

_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class CarlaServer:
    """Where a server listens."""

    host: str
    port: int

    def client(self, timeout_s: float = 60.0) -> carla.Client:
        """A new client of it."""
        client = carla.Client(self.host, self.port)
        client.set_timeout(timeout_s)
        return client


@contextmanager
def running(options: Sequence[str] = ()) -> Iterator[CarlaServer]:
    """A server in a process of its own, on a free port, that ends with the context or with this process.

    `options` are those of `python -m carla_cp.server`. Raises RuntimeError if it does not start.
    """
    command = [sys.executable, "-m", "carla_cp.server", "--port", "0", "--parent-pid", str(os.getpid()), *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield _address(server)
    finally:
        server.terminate()
        try:
            server.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        if server.stdout is not None:
            server.stdout.close()


def _address(server: subprocess.Popen[str]) -> CarlaServer:
    line = server.stdout.readline() if server.stdout is not None else ""
    host, _, port = line.strip().rpartition(" ")[2].rpartition(":")
    if not port.isdigit():
        raise RuntimeError(f"the server did not start: status {server.wait(_STOP_S)}; its error is on stderr")
    return CarlaServer(host, int(port))


@pytest.fixture(scope="session")
def carla_server_options() -> Sequence[str]:
    """Options of `python -m carla_cp.server`; override it for other maps."""
    return ()


@pytest.fixture(scope="session")
def carla_server(carla_server_options: Sequence[str]) -> Iterator[CarlaServer]:
    """One server for all tests of the session. Each test loads a world of its own, so that none sees another's."""
    with running(carla_server_options) as server:
        yield server
