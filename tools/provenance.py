"""Where measured figures come from: the commit and the machine that a tool writes beside them."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent


def commit(tree: Path = ROOT, aside: Path | None = None) -> str:
    """The commit a working tree stands on, marked `-dirty` where the tree differs; "unknown" outside or without git.

    What differs in `aside`, a file of results, does not count.
    """
    inside = aside is not None and aside.resolve().is_relative_to(tree.resolve())
    but = (f":(exclude,top){aside.resolve().relative_to(tree.resolve())}",) if aside is not None and inside else ()
    try:
        name = _git(tree, "describe", "--always")
        changed = _git(tree, "status", "--porcelain", "--untracked-files=no", "--", ":(top)", *but)
    except OSError:
        return "unknown"
    return (name + ("-dirty" if changed else "")) if name else "unknown"


def _git(tree: Path, *arguments: str) -> str:
    command = ["git", "-C", str(tree), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> str:
    """System, processor, cores, and the versions that decide how fast the figures were and how they were rounded."""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {versions}"
