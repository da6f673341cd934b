"""Codecs of other packages: classes in the entry point group `carla_cp.codecs`."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping
from typing import Any

from carla_cp.codecs.base import Codec
from carla_cp.plugins import check_name, joined

GROUP = "carla_cp.codecs"


def with_plugins(
    ours: Mapping[str, type[Codec[Any]]], found: Iterable[importlib.metadata.EntryPoint] | None = None
) -> dict[str, type[Codec[Any]]]:
    """Our codecs and those of the entry points `found` (default: all that are installed), by name.

    One that cannot be used is left out with a warning that says why: it must not keep the others from working.
    """
    return joined(GROUP, ours, _check, found)


def _check(name: str, kind: object, table: Mapping[str, type[Codec[Any]]]) -> type[Codec[Any]]:
    """The class. Raises ValueError for what is no codec, or takes another's place."""
    if not (isinstance(kind, type) and issubclass(kind, Codec)):
        raise ValueError("it is no subclass of carla_cp.codecs.Codec")
    check_name(name, kind.name)
    if not 128 <= kind.number <= 255:
        raise ValueError(f"its number {kind.number} is not in [128, 255], the range for codecs from elsewhere")
    for other in table.values():
        if other.name == name or other.number == kind.number:
            raise ValueError(f"name or number {kind.number} is that of codec {other.name}")
    return kind
