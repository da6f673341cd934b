"""What a row of the table of CARLA's Python API is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.server.api.stage import ApiStage

WORKS, ACCEPTED, REFUSED, CLIENT = "works", "accepted", "refused", "client-side only"
Try = Callable[[ApiStage], object]


@dataclass(frozen=True, slots=True)
class Row:
    """One member of a class of the wheel."""

    name: str  # Class.member; a class without members by its own name
    verdict: str
    tried: Try  # true when it does what CARLA's documentation says; of what is refused, the call
    says: str = ""  # of what is refused, a part of the error that the client raises
    note: str = ""
    logged: bool = False  # the client does not wait for this answer, so the server's log has the error


def works(name: str, tried: Try, note: str = "") -> Row:
    """The server has a part in it."""
    return Row(name, WORKS, tried, note=note)


def accepted(name: str, tried: Try, note: str) -> Row:
    """Returns as it does in CARLA, and changes nothing here."""
    return Row(name, ACCEPTED, tried, note=note)


def client(name: str, tried: Try, note: str = "") -> Row:
    """Computed in the client, from what it knows already."""
    return Row(name, CLIENT, tried, note=note)


def refused(name: str, tried: Try, says: str, note: str = "") -> Row:
    """Raises, with a text that tells why."""
    return Row(name, REFUSED, tried, says, note)


def logged(name: str, tried: Try, says: str) -> Row:
    """Refused on the server's log: the client does not wait for the answer."""
    return Row(
        name, REFUSED, tried, says, f"{says}; on the server's log, as the client does not wait for the answer", True
    )


def values(owner: str, verdict: str, make: Try, **members: object) -> list[Row]:
    """One row for each attribute of a value, with what it must be."""

    def row(member: str, expected: object) -> Row:
        return Row(f"{owner}.{member}", verdict, lambda stage: same(getattr(make(stage), member), expected))

    return [row(member, expected) for member, expected in members.items()]


def absent(owner: str, blueprint: str, members: str) -> list[Row]:
    """The members of what only a sensor sends that is not in the library."""
    says = f"'{blueprint}' not found"
    return [
        refused(f"{owner}.{member}", lambda stage: stage.library.find(blueprint), says, f"no {blueprint}")
        for member in members.split()
    ]


def same(found: object, expected: object) -> bool:
    """Whether a value is as expected; of floats to six digits, of a type any value of it."""
    if isinstance(expected, type):
        return isinstance(found, expected)
    if isinstance(expected, float):
        return isinstance(found, float) and abs(found - expected) <= 1e-6 * max(1.0, abs(expected))
    return bool(found == expected)
