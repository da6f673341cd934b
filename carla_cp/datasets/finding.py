"""Opens a folder of a public data set, whichever of the formats it has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import Literal, TypeAlias

from carla_cp.datasets.dair import INFO, dair_scenes
from carla_cp.datasets.source import Dataset, SceneSource
from carla_cp.datasets.v2v4real import parse_v2v4real
from carla_cp.opv2v import DatasetError, Scene, read_scene
from carla_cp.opv2v.reader import agent_folders, load_yaml, parse_opv2v

Format: TypeAlias = Literal["auto", "opv2v", "v2xset", "v2v4real", "dair"]
FORMATS: tuple[Format, ...] = ("auto", "opv2v", "v2xset", "v2v4real", "dair")


def open_dataset(folder: Path, format: Format = "auto") -> Dataset:
    """The data set in a folder: a folder of scenes at any depth, one scene, or DAIR-V2X-C's root or split file.

    `auto` tells the formats apart by what lies there. Scenes are in the order of their paths; hidden folders are left
    out, since a scene that is being written has a hidden name. Raises DatasetError where nothing can be read; broken
    frames are told when they are read.
    """
    if format not in FORMATS:
        raise DatasetError(f"format {format!r}; known: {', '.join(FORMATS)}")
    if not folder.exists():
        raise DatasetError(f"{folder}: no such folder")
    if format == "dair" or (format == "auto" and (folder.suffix == ".json" or (folder / INFO).exists())):
        return Dataset(folder, "dair", dair_scenes(folder))
    try:
        paths = sorted(scene_folders(folder)) if folder.is_dir() else []
    except OSError as error:
        raise DatasetError(f"{error.filename}: {error.strerror}; make it readable or move it away") from error
    if not paths:
        raise DatasetError(f"{folder}: holds no scene (SCENE/<agent id>/<tick>.yaml) and no {INFO}")
    chosen = _format_of(read_scene(paths[0])) if format == "auto" else format
    dialect = parse_v2v4real if chosen == "v2v4real" else parse_opv2v
    names = [path.relative_to(folder).as_posix() if path != folder else folder.name for path in paths]
    scenes: tuple[SceneSource, ...] = tuple(map(read_scene, paths, repeat(dialect), names))
    if format == "auto" and chosen == "opv2v" and any(agent.startswith("-") for s in scenes for agent in s.agents):
        chosen = "v2xset"
    return Dataset(folder, chosen, scenes)


def scene_folders(folder: Path) -> Iterator[Path]:
    """The folders at or below `folder` that hold agents with ticks; nothing below a scene is looked at."""
    names = agent_folders(folder)
    if any(_holds_ticks(folder / name) for name in names):
        yield folder
        return
    for name in names:
        yield from scene_folders(folder / name)


def _holds_ticks(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(entry.name.endswith(".yaml") and entry.name[:-5].isdecimal() for entry in entries)


def _format_of(scene: Scene) -> Format:
    """By the first file that can be read: V2V4Real's pose is a matrix, and OPV2V's six numbers."""
    for stem in scene.stems:
        with suppress(DatasetError):
            pose = load_yaml(scene.folder / scene.agents[0] / f"{stem}.yaml").get("lidar_pose")
            return "v2v4real" if isinstance(pose, list) and isinstance(next(iter(pose), None), list) else "opv2v"
    return "opv2v"
