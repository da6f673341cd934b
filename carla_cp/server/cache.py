"""Towns that were built before, in files beside other caches of the user: `$XDG_CACHE_HOME/carla_cp/maps`.

A file's name is a digest of the map's text, of the code that builds towns, and of the versions it builds on, so an
entry never goes stale. One that cannot be read is as good as none, and a folder that cannot be written stays empty.
A server that was killed while it wrote leaves a part of a file, which a later one removes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
import zipfile
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np

from carla_cp.server.mesh import Mesh
from carla_cp.server.town import Town

_BUILDERS = ("cache.py", "mesh.py", "opendrive.py", "road_faults.py", "roadside.py", "town.py")
_ON = ("carla", "numpy", "scipy")
_KEPT = 64  # files, the newest
_PART_S = 3600.0  # after which nobody writes a part any more
_LOG = logging.getLogger("carla_cp.server")


def folder() -> Path:
    """Where the towns lie."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "carla_cp" / "maps"


def load(opendrive: str) -> Town | None:
    """The town of a text, or None if it was not stored or is damaged."""
    path = _path(opendrive)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            mesh = Mesh(stored["vertices"], stored["triangles"], stored["labels"])
            obstacles, parts = stored["obstacles"], stored["parts"]
        if obstacles.ndim != 2 or obstacles.shape[1] != 7 or obstacles.dtype != np.float64:
            raise ValueError(f"the obstacles are {obstacles.dtype}{obstacles.shape}")
        if parts.shape != (len(obstacles) + 1,) or parts.dtype != np.int64 or parts[-1] != len(mesh.triangles):
            raise ValueError(f"the parts are {parts.dtype}{parts.shape}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        _LOG.info("%s is damaged (%s) and is built anew", path, error)
        return None
    with suppress(OSError):
        os.utime(path)
    return Town(mesh, obstacles, parts)


def save(opendrive: str, town: Town) -> None:
    """Stores a town, whole or not at all; the oldest files make room."""
    path = _path(opendrive)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                mesh = town.mesh
                np.savez(
                    file,
                    vertices=mesh.vertices,
                    triangles=mesh.triangles,
                    labels=mesh.labels,
                    obstacles=town.obstacles,
                    parts=town.parts,
                )
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
        _make_room(path.parent)
    except OSError as error:
        _LOG.info("%s cannot be written (%s)", path, error)


def _make_room(place: Path) -> None:
    with suppress(OSError):
        files = sorted(place.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        for path in files[:-_KEPT]:
            path.unlink(missing_ok=True)
        for part in place.glob("*.part"):
            if time.time() - part.stat().st_mtime > _PART_S:
                part.unlink(missing_ok=True)


def _path(opendrive: str) -> Path:
    return folder() / f"{hashlib.sha256(_CODE + opendrive.encode()).hexdigest()}.npz"


def _code() -> bytes:
    """What stands for the code and the versions."""
    digest = hashlib.sha256()
    for name in _BUILDERS:
        digest.update(Path(__file__).with_name(name).read_bytes())
    digest.update(" ".join(version(name) for name in _ON).encode())
    return digest.digest()


_CODE = _code()  # read as the modules are: a file that is edited under a running server does not name what it builds
