"""The import rules of the design: dependencies only go down, and each simulator or window library has one owner."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "carla_cp"
ROWS = (
    ("run",),
    ("cluster",),
    ("workers",),
    ("spectators", "forecast"),
    ("session", "conditions", "attached"),
    ("options",),
    ("report", "view", "recording", "datasets", "opv2v", "metrics"),
    ("episode",),
    ("cooperation",),
    ("stopwatch", "networks"),
    ("codecs",),
    ("world", "perception", "link", "driving"),
    ("scenario", "geometry"),
    ("types", "heap", "whole", "lifeline", "plugins", "sources"),
)
PEERS = {
    "report",
    "view",
    "recording",
    "datasets",
    "opv2v",
    "metrics",
    "scenario",
    "geometry",
}  # rows whose parts may import each other
LEVEL = {name: level for level, row in enumerate(ROWS) for name in row}
OWNERS = {"carla": {"world", "server"}, "pygame": {"view"}}


def modules() -> list[tuple[str, Path]]:
    """Every source file with the name of the part of the house that it belongs to."""
    files = sorted(path for path in PACKAGE.rglob("*.py"))
    return [(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path) for path in files]


def imports(path: Path) -> list[str]:
    """Dotted names of everything a file imports."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            found.extend(f"{node.module}.{alias.name}" for alias in node.names if node.module == "carla_cp")
    return found


def parts_imported(path: Path) -> set[str]:
    """The parts of carla_cp that a file imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("carla_cp.")}


@pytest.mark.parametrize(("part", "path"), modules(), ids=lambda value: str(value).rpartition("carla_cp/")[2])
def test_imports_only_go_down(part: str, path: Path) -> None:
    if part == "__init__":
        return
    if part == "server":
        assert parts_imported(path) <= {"server", "geometry"}
        return
    assert part in LEVEL, f"{part} has no row in the design; add it to ROWS"
    for other in parts_imported(path) - {part, "__version__"}:
        assert LEVEL[other] >= LEVEL[part], f"{path.name} imports {other} from above"
        same_row = LEVEL[other] == LEVEL[part]
        assert not same_row or part in PEERS, f"{path.name} imports its neighbour {other}"


@pytest.mark.parametrize("library", OWNERS)
def test_each_simulator_and_window_library_has_one_owner(library: str) -> None:
    users = {part for part, path in modules() if library in {name.split(".")[0] for name in imports(path)}}
    assert users <= OWNERS[library]
