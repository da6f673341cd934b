from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from carla_cp.world import embedded_server


def children() -> set[int]:
    """The servers that this process has started."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"carla_cp.server" in (entry / "cmdline").read_bytes():
                found.add(int(entry.name))
    return found


@pytest.mark.parametrize("killed", [True, False])
def test_only_a_server_that_ends_by_itself_is_told_of(killed: bool) -> None:
    before, died = children(), threading.Event()
    with embedded_server(died.set):
        (server,) = children() - before
        if killed:
            os.kill(server, signal.SIGKILL)
            assert died.wait(200.0)
    assert children() == before
    assert died.is_set() == killed
