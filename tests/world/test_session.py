"""A session whose server cannot be found, or ends before it does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from carla_cp.world.errors import WorldError
from carla_cp.world.session import World
from tests.server.conftest import CROSSING


@contextmanager
def server() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server that the test may end, and its port."""
    command = [sys.executable, "-m", "carla_cp.server", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline().rpartition(":")[2])
        finally:
            process.kill()


def test_a_host_that_nobody_knows_is_named() -> None:
    with pytest.raises(WorldError, match=r"--host no-such-host.invalid --port 2000: .*; give a host"):
        World("no-such-host.invalid", 2000)


def test_a_server_that_is_gone_is_named_and_left_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    with server() as (process, port):
        world = World("127.0.0.1", port, timeout_s=60.0)
        world.load(CROSSING)
        process.kill()
        process.wait()
        monkeypatch.setattr("carla_cp.world.session.CONNECT_TIMEOUT_S", 0.2)
        with pytest.raises(WorldError, match=f"--port {port}: no CARLA server answers there"):
            world.load(CROSSING)
        world.close()


def test_a_session_that_is_closed_leaves_an_asynchronous_world() -> None:
    with server() as (_, port):
        world = World("127.0.0.1", port)
        world.load(CROSSING)
        world.close()
        other = World("127.0.0.1", port)
        assert not other._client.get_world().get_settings().synchronous_mode
        other.close()
