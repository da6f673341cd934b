"""Codecs of other packages: classes in the entry point group `carla_cp.codecs`."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from carla_cp.codecs.base import Codec

GROUP = "carla_cp.codecs"


def with_plugins(
    ours: Mapping[str, type[Codec[Any]]], found: Iterable[importlib.metadata.EntryPoint] | None = None
) -> dict[str, type[Codec[Any]]]:
    """Our codecs and those of the entry points `found` (default: all that are installed), by name.

    One that cannot be used is left out with a warning that says why: it must not keep the others from working.
    """
    table = dict(ours)
    points = importlib.metadata.entry_points(group=GROUP) if found is None else found
    for point in sorted(points, key=lambda each: each.name):
        try:
            kind = point.load()
            _check(point.name, kind, table)
        except Exception as error:  # whatever a foreign package does when it is imported
            warnings.warn(f"codec {point.name} of {point.value} is left out: {error}", stacklevel=2)
        else:
            table[point.name] = kind
    return table


def _check(name: str, kind: object, table: Mapping[str, type[Codec[Any]]]) -> None:
    """Raises ValueError for what is no codec, or takes another's place."""
    if not (isinstance(kind, type) and issubclass(kind, Codec)):
        raise ValueError("it is no subclass of carla_cp.codecs.Codec")
    if kind.name != name:
        raise ValueError(f"it calls itself {kind.name!r}; entry point and `name` must agree")
    if not 128 <= kind.number <= 255:
        raise ValueError(f"its number {kind.number} is not in [128, 255], the range for codecs from elsewhere")
    for other in table.values():
        if other.name == name or other.number == kind.number:
            raise ValueError(f"name or number {kind.number} is that of codec {other.name}")
