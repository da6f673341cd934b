"""Which of our source files something rests on, found by following the imports that they state."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def reachable(modules: Iterable[str], walls: Collection[str] = ()) -> tuple[Path, ...]:
    """The files of these modules and of all of ours that they import, wherever in a file, sorted; with their packages.

    What a module in `walls` imports is not followed, and a wall is not counted. Raises ValueError for a module that has
    no file.
    """
    found: set[Path] = set()
    waiting = list(modules)
    for name in waiting:
        if _file(name) is None:
            raise ValueError(f"{name}: no such module of {PACKAGE.name}")
    while waiting:
        for name in _with_packages(waiting.pop()):
            path = _file(name)
            if path is not None and path not in found and name not in walls:
                found.add(path)
                waiting.extend(_imported(path))
    return tuple(sorted(found))


def _with_packages(name: str) -> list[str]:
    """`a`, `a.b` and `a.b.c` of `a.b.c`: an import runs them all."""
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _file(name: str) -> Path | None:
    place = PACKAGE.parent.joinpath(*name.split("."))
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in files if path.is_file()), None)


def _imported(path: Path) -> list[str]:
    """What a file imports of ours; of `from a import b` both `a` and `a.b`, which may be a module."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.partition(".")[0] == PACKAGE.name]
