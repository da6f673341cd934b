"""Planners of other packages: classes in the entry point group `carla_cp.planners`."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping

from carla_cp.driving.base import PlannerModel
from carla_cp.plugins import check_name, joined

GROUP = "carla_cp.planners"


def with_plugins(
    ours: Mapping[str, type[PlannerModel]], found: Iterable[importlib.metadata.EntryPoint] | None = None
) -> dict[str, type[PlannerModel]]:
    """Our planners and those of the entry points `found` (default: all that are installed), by name.

    One that cannot be used is left out with a warning that says why: it must not keep the others from working.
    """
    return joined(GROUP, ours, _check, found)


def _check(name: str, kind: object, table: Mapping[str, type[PlannerModel]]) -> type[PlannerModel]:
    """The class. Raises ValueError for what is no planner, or takes another's place."""
    if not (isinstance(kind, type) and issubclass(kind, PlannerModel)):
        raise ValueError("it is no subclass of carla_cp.driving.base.PlannerModel")
    check_name(name, kind.name)
    if name in table:
        raise ValueError(f"the name is that of {table[name].__module__}")
    return kind
