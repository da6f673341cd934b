"""Where measured figures come from: the commit and the machine that a tool writes beside them."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent


def commit(tree: Path = ROOT) -> str:
    """The commit a working tree stands on, marked `-dirty` where the tree differs; "unknown" outside or without git."""
    command = ["git", "-C", str(tree), "describe", "--always", "--dirty"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return said.stdout.strip() or "unknown"


def machine() -> str:
    """System, processor, cores, and the versions that decide how fast the figures were and how they were rounded."""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {versions}"
