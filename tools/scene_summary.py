"""What lies in the scenes of a data set, and how much room scenes will take."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from carla_cp.opv2v.layout import TWO_WHEELED

BYTES_PER_POINT = {False: 54.0, True: 16.0}  # by whether the clouds are binary
RETURNS_PER_RAY = 0.9  # most rays hit the road; OPV2V's drop-off takes a tenth of them
YAML_BYTES = 12_000  # of one agent at one tick
_OBJECT = re.compile(rb"^  (\d+):(?:\n    .*){4}\n    bp_id: (\S+)$", re.MULTILINE)  # as frame_yaml writes it


@dataclass(slots=True)
class Counts:
    """What was counted."""

    scenes: Counter[str] = field(default_factory=Counter)  # by map
    frames: int = 0
    views: int = 0  # one agent's files at one tick
    objects: Counter[str] = field(default_factory=Counter)  # by class, over all frames; seen by any agent
    size: int = 0  # [byte]


def count_scenes(folders: Sequence[Path]) -> Counts:
    """Counts what lies in folders that `generate_data.py` made: `<map>_<seed>_<number>`."""
    counts = Counts()
    for folder in folders:
        counts.scenes[folder.name.rsplit("_", 2)[0]] += 1
        _count_scene(folder, counts)
    return counts


def _count_scene(folder: Path, counts: Counts) -> None:
    seen: dict[str, dict[bytes, str]] = {}
    for path in (path for path in folder.rglob("*") if path.is_file()):
        counts.size += path.stat().st_size
        if path.suffix == ".yaml" and path.parent != folder:
            counts.views += 1
            found = _OBJECT.findall(path.read_bytes())
            seen.setdefault(path.stem, {}).update((number, _class_of(name.decode())) for number, name in found)
    counts.frames += len(seen)
    for things in seen.values():
        counts.objects.update(things.values())


def _class_of(blueprint: str) -> str:
    if blueprint.startswith("walker."):
        return "pedestrians"
    return "cyclists" if blueprint in TWO_WHEELED else "vehicles"


def summary(folders: Sequence[Path]) -> str:
    """Three lines: scenes, frames, agents and bytes; objects; maps."""
    counts = count_scenes(folders)
    frames = max(counts.frames, 1)
    objects = ", ".join(
        f"{counts.objects[name] / frames:.1f} {name}" for name in ("vehicles", "cyclists", "pedestrians")
    )
    maps = ", ".join(f"{name} {number}" for name, number in sorted(counts.scenes.items()))
    return (
        f"{len(folders)} scenes, {counts.frames} frames, {counts.views / frames:.2f} agents a frame, "
        f"{counts.size / 1e9:.2f} GB\nobjects a frame: {objects}\nscenes by map: {maps or 'none'}"
    )


def expected_bytes(views: float, rays: int, binary: bool) -> float:
    """About how many bytes so many views by LiDARs of so many rays take."""
    return views * (rays * RETURNS_PER_RAY * BYTES_PER_POINT[binary] + YAML_BYTES)
