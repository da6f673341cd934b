"""CARLA's Python API, member by member, through the official client."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import carla
import pytest

from tests.server.api.rows import ACCEPTED, CLIENT, REFUSED, WORKS, Row
from tests.server.api.stage import ApiStage
from tests.server.api.table import TABLE
from tests.server.conftest import CROSSING, MAPS, PATIENCE_S


def wheel_members() -> set[str]:
    """Class.member of every method and attribute; an enumeration, or a class without members, by its own name."""
    found = set()
    for prefix, module in (("", carla), ("command.", carla.command)):
        for name, kind in inspect.getmembers(module, inspect.isclass):
            if not name.startswith("__"):
                found |= {f"{prefix}{member}" for member in members(name, kind)}
    return found | {"command.FutureActor"}


def members(name: str, kind: type) -> set[str]:
    if issubclass(kind, int):
        return {name}
    own = {
        member for member, value in vars(kind).items() if not member.startswith("__") and not isinstance(value, kind)
    }
    return {f"{name}.{member}" for member in own} or {name}


def test_the_table_has_exactly_the_members_of_the_wheel() -> None:
    names = [row.name for row in TABLE]
    assert sorted(set(names) - wheel_members()) == []
    assert sorted(wheel_members() - set(names)) == []
    assert len(names) == len(set(names))


def test_every_row_says_what_a_user_needs_to_know() -> None:
    for row in TABLE:
        assert row.verdict in (WORKS, ACCEPTED, REFUSED, CLIENT)
        assert row.note or row.verdict != ACCEPTED, row.name


@dataclass(frozen=True, slots=True)
class Log:
    """What the server says on its standard error."""

    path: Path

    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return Log(tmp_path_factory.mktemp("server") / "stderr.txt")


@pytest.fixture(scope="session")
def api(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiStage]:
    """One server, one client and one world for all rows.

    They live as long as the session: the wheel may crash later when a client goes while one of its streams connects.
    """
    command = [sys.executable, "-m", "carla_cp.server", "--port", "0", "--parent-pid", str(os.getpid())]
    command += ["--map", str(CROSSING), "--maps", str(MAPS)]
    with log.path.open("wb") as stderr:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    assert server.stdout is not None
    stage = ApiStage(int(server.stdout.readline().rpartition(":")[2]), tmp_path_factory.mktemp("api"))
    yield stage
    stage.close()
    server.terminate()
    server.wait(PATIENCE_S)
    server.stdout.close()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_member_of_the_api_does_what_its_row_says(row: Row, api: ApiStage, log: Log) -> None:
    if row.logged:
        row.tried(api)
        api.client.get_server_version()  # answered after what came before it
        assert row.says in log.text()
    elif row.verdict == REFUSED:
        with pytest.raises((RuntimeError, IndexError, TypeError), match=row.says):
            row.tried(api)
    else:
        assert row.tried(api)
