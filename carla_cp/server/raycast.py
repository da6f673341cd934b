"""Rays into the town and its movers, by Embree.

The town's scene is built once; the movers are merged into one mesh whose small scene is built anew each tick. A ray
is cast into both and the nearer hit wins. Both scenes are robust: without it Embree lets rays slip between triangles.
Distances differ by up to 6e-5 m between processor types, because Embree picks its instructions at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from carla_cp.server.mesh import Mesh, merge, transformed

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Mover:
    """One actor's mesh and where it stands."""

    actor_id: int  # CARLA's id, not 0
    mesh: Mesh  # actor frame
    matrix: npt.NDArray[np.float64]  # (4, 4) world_from_actor


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What N rays hit first."""

    distance: Floats  # (N,) [m], inf where nothing was hit
    actor_id: npt.NDArray[np.uint32]  # (N,) 0 for the town and for nothing
    label: npt.NDArray[np.uint8]  # (N,) Tag, 0 where nothing was hit
    cos: Floats  # (N,) |cosine| between the ray and the surface's normal, 0 where nothing was hit


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """An Embree scene of one mesh, and for each triangle its label and actor."""

    embree: EmbreeScene
    labels: npt.NDArray[np.uint8]
    actors: npt.NDArray[np.uint32]


class RayCaster:
    """Casts rays into a static mesh and the movers placed last; any number of threads gives the same bits."""

    def __init__(self, static: Mesh, threads: int = 2) -> None:
        if threads < 1:
            raise ValueError(f"threads is {threads}; give at least 1")
        self._static = _scene(static, np.zeros(len(static.triangles), np.uint32))
        self._movers: _Scene | None = None
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rays")

    def place(self, movers: Sequence[Mover]) -> None:
        """Replaces all movers; costs about 0.3 ms per mover, so call it only in ticks in which a sensor is due."""
        for mover in movers:
            if not 0 < mover.actor_id < 2**32:
                raise ValueError(f"a mover's actor id is {mover.actor_id}; it must be in 1..2^32-1 (0 is the town)")
        counts = [len(mover.mesh.triangles) for mover in movers]
        actors = np.repeat(np.array([mover.actor_id for mover in movers], np.uint32), counts)
        self._movers = _scene(merge([transformed(mover.mesh, mover.matrix) for mover in movers]), actors)

    def cast(self, origin: npt.ArrayLike, directions: Floats, max_range: float) -> Hits:
        """The first hit within `max_range` of each ray from `origin` (3,) along (N, 3) unit vectors, world frame."""
        count = len(directions)
        hits = Hits(
            np.empty(count, np.float32),
            np.empty(count, np.uint32),
            np.empty(count, np.uint8),
            np.empty(count, np.float32),
        )

        def part(rows: slice) -> None:
            found = self._first_hits(np.asarray(origin, np.float32), directions[rows], max_range)
            hits.distance[rows], hits.actor_id[rows], hits.label[rows], hits.cos[rows] = found

        self._in_parts(part, count)
        return hits

    def distances(self, origin: npt.ArrayLike, directions: Floats, max_range: float) -> Floats:
        """`cast(...).distance`, bit for bit, at a lower price."""
        result = np.empty(len(directions), np.float32)

        def part(rows: slice) -> None:
            origins = np.broadcast_to(np.asarray(origin, np.float32), directions[rows].shape)
            reach = np.full(len(origins), max_range, np.float32)
            for scene in self._scenes():
                reach = scene.embree.run(origins, directions[rows], dists=reach, query="DISTANCE")
            result[rows] = np.where(reach < np.float32(max_range), reach, np.inf)

        self._in_parts(part, len(directions))
        return result

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()

    def _scenes(self) -> list[_Scene]:
        return [scene for scene in (self._static, self._movers) if scene is not None and len(scene.labels)]

    def _in_parts(self, work: Callable[[slice], None], count: int) -> None:
        bounds = np.linspace(0, count, self._threads + 1).astype(int).tolist()
        parts = [slice(low, high) for low, high in pairwise(bounds) if high > low]
        if len(parts) <= 1:
            for rows in parts:
                work(rows)
        else:
            list(self._pool.map(work, parts))

    def _first_hits(self, origin: Floats, directions: Floats, max_range: float) -> tuple[npt.NDArray[Any], ...]:
        origins = np.broadcast_to(origin, directions.shape)
        reach = np.full(len(directions), max_range, np.float32)
        actor_id = np.zeros(len(directions), np.uint32)
        label = np.zeros(len(directions), np.uint8)
        cos = np.zeros(len(directions), np.float32)
        for scene in self._scenes():
            # The reach so far bounds the next cast, so a later scene's hit is always the nearer one.
            found = scene.embree.run(origins, directions, dists=reach, output=True)
            rows = np.flatnonzero(found["primID"] >= 0)
            triangle = found["primID"][rows]
            normal = found["Ng"][rows]
            along = np.einsum("ij,ij->i", normal, directions[rows])
            cos[rows] = np.abs(along) / np.sqrt(np.einsum("ij,ij->i", normal, normal))
            actor_id[rows], label[rows] = scene.actors[triangle], scene.labels[triangle]
            reach = found["tfar"]
        return np.where(reach < np.float32(max_range), reach, np.float32(np.inf)), actor_id, label, cos


def _scene(mesh: Mesh, actors: npt.NDArray[np.uint32]) -> _Scene:
    embree = EmbreeScene(robust=True)
    if len(mesh.triangles):
        TriangleMesh(embree, mesh.vertices, mesh.triangles)
        # Embree commits on the first cast, which must not happen in two threads at once.
        embree.run(np.zeros((1, 3), np.float32), np.array([[0, 0, 1]], np.float32))
    return _Scene(embree, mesh.labels, actors)
