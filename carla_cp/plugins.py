"""Classes of other packages in one of our tables: those that stand in an entry point group."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

Kind = TypeVar("Kind")
Check = Callable[[str, object, Mapping[str, Kind]], Kind]  # name, class and table so far; raises ValueError, with why


def joined(
    group: str,
    ours: Mapping[str, Kind],
    check: Check[Kind],
    found: Iterable[importlib.metadata.EntryPoint] | None = None,
) -> dict[str, Kind]:
    """Our classes and those of the entry points `found` (default: all that are installed in the group), by name.

    One that cannot be used is left out with a warning that says why: it must not keep the others from working.
    """
    table = dict(ours)
    points = importlib.metadata.entry_points(group=group) if found is None else found
    what = group.rpartition(".")[2].removesuffix("s")
    for point in sorted(points, key=lambda each: each.name):
        try:
            kind = check(point.name, point.load(), table)
        except Exception as error:  # whatever a foreign package does when it is imported
            warnings.warn(f"{what} {point.name} of {point.value} is left out: {error}", stacklevel=3)
        else:
            table[point.name] = kind
    return table


def release(group: str, name: str) -> str:
    """Name and version of the installed distribution that has an entry point of that name; "" where none has."""
    points = importlib.metadata.entry_points(group=group, name=name)
    return ", ".join(sorted(f"{point.dist.name} {point.dist.version}" for point in points if point.dist is not None))


def check_name(name: str, called: str) -> None:
    """Raises ValueError where a class calls itself otherwise than its entry point."""
    if called != name:
        raise ValueError(f"it calls itself {called!r}; entry point and `name` must agree")
