"""Link models of other packages: classes in the entry point group `carla_cp.links`."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Iterable, Mapping

from carla_cp.link.base import LinkModel

GROUP = "carla_cp.links"


def with_plugins(
    ours: Mapping[str, type[LinkModel]], found: Iterable[importlib.metadata.EntryPoint] | None = None
) -> dict[str, type[LinkModel]]:
    """Our models and those of the entry points `found` (default: all that are installed), by name.

    One that cannot be used is left out with a warning that says why: it must not keep the others from working.
    """
    table = dict(ours)
    points = importlib.metadata.entry_points(group=GROUP) if found is None else found
    for point in sorted(points, key=lambda each: each.name):
        try:
            kind = point.load()
            _check(point.name, kind, table)
        except Exception as error:  # whatever a foreign package does when it is imported
            warnings.warn(f"link {point.name} of {point.value} is left out: {error}", stacklevel=2)
        else:
            table[point.name] = kind
    return table


def _check(name: str, kind: object, table: Mapping[str, type[LinkModel]]) -> None:
    """Raises ValueError for what is no link model, or takes another's place."""
    if not (isinstance(kind, type) and issubclass(kind, LinkModel)):
        raise ValueError("it is no subclass of carla_cp.link.base.LinkModel")
    if kind.name != name:
        raise ValueError(f"it calls itself {kind.name!r}; entry point and `name` must agree")
    if name in table:
        raise ValueError(f"the name is that of {table[name].__module__}")
