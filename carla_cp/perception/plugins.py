"""Detectors of other packages: classes in the entry point group `carla_cp.detectors`, as `--checkpoint plugin:NAME`."""

from __future__ import annotations

import difflib
import importlib.metadata
from collections.abc import Iterable, Mapping
from pathlib import Path

from carla_cp.perception.base import OutsideDetector
from carla_cp.perception.config import CheckpointError
from carla_cp.plugins import check_name, joined

GROUP = "carla_cp.detectors"
PLUGIN = "plugin:"


def with_plugins(
    ours: Mapping[str, type[OutsideDetector]], found: Iterable[importlib.metadata.EntryPoint] | None = None
) -> dict[str, type[OutsideDetector]]:
    """The detectors given and those of the entry points `found` (default: all that are installed), by name.

    One that cannot be used is left out with a warning that says why: it must not keep the others from working.
    """
    return joined(GROUP, ours, _check, found)


def _check(name: str, kind: object, table: Mapping[str, type[OutsideDetector]]) -> type[OutsideDetector]:
    """The class. Raises ValueError for what is no detector."""
    if not (isinstance(kind, type) and issubclass(kind, OutsideDetector)):
        raise ValueError("it is no subclass of carla_cp.perception.base.OutsideDetector")
    check_name(name, kind.name)
    if name in table:
        raise ValueError(f"the name is that of {table[name].__module__}")
    return kind


DETECTORS: dict[str, type[OutsideDetector]] = with_plugins({})


def is_plugin(checkpoint: Path) -> bool:
    """Whether a checkpoint is `plugin:NAME`."""
    return str(checkpoint).startswith(PLUGIN)


def plugin_detector(checkpoint: Path) -> type[OutsideDetector]:
    """The class of `plugin:NAME`. Raises CheckpointError for a name that no installed package has."""
    name = str(checkpoint).removeprefix(PLUGIN)
    if name not in DETECTORS:
        near = difflib.get_close_matches(name, DETECTORS, n=2)
        there = f"there are: {', '.join(DETECTORS)}" if DETECTORS else f"no installed package has any in {GROUP}"
        hint = f"did you mean {' or '.join(PLUGIN + each for each in near)}?" if near else there
        raise CheckpointError(f"--checkpoint {checkpoint}: there is no detector {name!r}; {hint}")
    return DETECTORS[name]
