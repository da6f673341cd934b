"""Writes `docs/server-api.md`: what the embedded server does with CARLA's Python API and with its remote calls.

    python tools/server_api.py

The rows are those that `tests/server/test_api.py` tries through the official client, one by one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from carla_cp.server.table import TABLE as CALLS
from carla_cp.whole import write_whole
from tests.server.api.rows import ACCEPTED, CLIENT, REFUSED, WORKS, Row
from tests.server.api.table import TABLE

PAGE = Path(__file__).resolve().parents[1] / "docs" / "server-api.md"
VERDICTS = (WORKS, ACCEPTED, REFUSED, CLIENT)
HEAD = """# What the embedded server does with CARLA 0.9.16's API

Written by `python tools/server_api.py`; do not edit. Each member of each class of the `carla` package is tried by
`pytest tests/server/test_api.py` through the official client.

* *works*: as CARLA's documentation says.
* *accepted*: the program goes on as it would with CARLA, and nothing changes here.
* *refused*: the client raises an error that tells why; where it does not wait for the answer, the server's log tells.
* *client-side only*: computed in the client, from what it knows already.
"""


def page() -> str:
    """The whole text."""
    return "\n".join([HEAD, *counts(TABLE), "", *classes(TABLE), "", *notes(TABLE), "", *calls()]) + "\n"


def counts(rows: Sequence[Row]) -> Iterator[str]:
    """How many members there are of each verdict."""
    numbers = [sum(row.verdict == verdict for row in rows) for verdict in VERDICTS]
    yield "| members | " + " | ".join(VERDICTS) + " |"
    yield "|---" * (len(VERDICTS) + 1) + "|"
    yield f"| {len(rows)} | " + " | ".join(map(str, numbers)) + " |"


def classes(rows: Sequence[Row]) -> Iterator[str]:
    """One line for each class, its members sorted into the verdicts."""
    yield "## Classes"
    yield ""
    yield "| class | " + " | ".join(VERDICTS) + " |"
    yield "|---" * (len(VERDICTS) + 1) + "|"
    for owner in sorted({owner_of(row) for row in rows}):
        own = [row for row in rows if owner_of(row) == owner]
        yield f"| `{owner}` | " + " | ".join(_names(own, verdict) for verdict in VERDICTS) + " |"


def owner_of(row: Row) -> str:
    """The class of a member."""
    return row.name.rpartition(".")[0] or row.name


def _names(rows: Sequence[Row], verdict: str) -> str:
    names = sorted(row.name.rpartition(".")[2] for row in rows if row.verdict == verdict)
    return " ".join("all" if name == owner_of(rows[0]) else f"`{name}`" for name in names)


def notes(rows: Sequence[Row]) -> Iterator[str]:
    """What is to be said of members, those of one class together of which the same is to be said."""
    yield "## Notes"
    yield ""
    said: dict[tuple[str, str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.name):
        if row.note or row.says:
            said.setdefault((owner_of(row), row.verdict, row.note or row.says), []).append(row)
    for (owner, verdict, text), members in said.items():
        yield f"* `{owner}` {_names(members, verdict)} {verdict}: {text}"


def calls() -> Iterator[str]:
    """The remote calls, as `python -m carla_cp.server --list-calls` prints them."""
    yield "## Remote calls"
    yield ""
    yield "| call | | |"
    yield "|---|---|---|"
    for name, function in CALLS.items():
        yield f"| `{name}` | {function.verdict} | {function.note} |"


if __name__ == "__main__":
    write_whole(PAGE, page())
