"""The commit and the machine beside measured figures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
NOBODY = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost", "-c", "commit.gpgsign=false")


@pytest.fixture(scope="module")
def provenance() -> ModuleType:
    sys.path.insert(0, str(TOOLS))
    try:
        import provenance
    finally:
        sys.path.remove(str(TOOLS))
    return provenance


def git(tree: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(tree), *NOBODY, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_tree_that_differs_from_its_commit_is_marked(provenance: ModuleType, tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "one")
    head = git(tmp_path, "rev-parse", "--short", "HEAD")
    assert provenance.commit(tmp_path) == head
    (tmp_path / "file").write_text("two")
    assert provenance.commit(tmp_path) == f"{head}-dirty"


def test_a_tree_without_history_is_unknown(
    provenance: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit(tmp_path) == "unknown"


def test_without_git_the_commit_is_unknown(provenance: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert provenance.commit() == "unknown"


def test_the_machine_has_a_system_cores_and_versions(provenance: ModuleType) -> None:
    assert provenance.machine().startswith(os.uname().sysname)
    assert f"{os.cpu_count()} cores" in provenance.machine()
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}." in provenance.machine()
    assert "torch " in provenance.machine()
