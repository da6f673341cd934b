"""Reads scenes in OPV2V's layout, the published ones as well as ours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from carla_cp.opv2v.layout import TICK_US, TWO_WHEELED, Opv2vError
from carla_cp.opv2v.pcd import read_pcd
from carla_cp.types import AgentFrame, AgentName, Frame, ObjectClass, Pose, Sweep

_Loader: type = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class Scene:
    """A scene folder; frames are read when asked for."""

    def __init__(self, folder: Path, agents: tuple[AgentName, ...], ticks: tuple[int, ...]) -> None:
        self.folder = folder
        self.name = folder.name
        self.agents = agents  # folder names, the ego first
        self.ticks = ticks  # those of the ego

    def __len__(self) -> int:
        """Number of frames: the ticks that the ego has."""
        return len(self.ticks)

    def __iter__(self) -> Iterator[Frame]:
        """Every frame in order."""
        return (self.frame(index) for index in range(len(self)))

    def frame(self, index: int) -> Frame:
        """All agents at the index-th tick, the ego first; an agent without files at that tick is left out."""
        tick = self.ticks[index]
        stems = [(agent, self.folder / agent / f"{tick:06d}") for agent in self.agents]
        present = [(agent, stem) for agent, stem in stems if stem.with_suffix(".yaml").exists()]
        return Frame(tick * TICK_US, tuple(_read_agent(agent, stem, tick) for agent, stem in present))


def read_scene(folder: Path) -> Scene:
    """The scene in a folder. The ego is OpenCOOD's: the first vehicle in the text order of the agents' ids.

    Raises Opv2vError where there is no vehicle with ticks; reading a frame raises it for a broken yaml file, and
    PcdError for a broken cloud.
    """
    if not folder.is_dir():
        raise Opv2vError(f"{folder}: no such scene folder")
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    vehicles = [name for name in names if not name.startswith("-")]
    roadside = [name for name in names if name.startswith("-")]
    if not vehicles:
        raise Opv2vError(f"{folder}: holds no folder of a vehicle (SCENE/<id>/<tick>.yaml)")
    ticks = sorted(int(path.stem) for path in (folder / vehicles[0]).glob("*.yaml") if path.stem.isdigit())
    if not ticks:
        raise Opv2vError(f"{folder / vehicles[0]}: holds no <tick>.yaml")
    return Scene(folder, tuple(AgentName(name) for name in vehicles + roadside), tuple(ticks))


def _read_agent(agent: AgentName, stem: Path, tick: int) -> AgentFrame:
    path = stem.with_suffix(".yaml")
    try:
        data = yaml.load(path.read_bytes(), Loader=_Loader)
        pose = _pose(data["lidar_pose"])
        height = pose.z - float(data["true_ego_pos"][2])
        vehicles, walkers = data["vehicles"] or {}, data.get("walkers") or {}
        rows = [_row(body) for body in (*vehicles.values(), *walkers.values())]
        labels = [_label(body) for body in vehicles.values()] + [ObjectClass.PEDESTRIAN] * len(walkers)
        ids = [int(name) for name in (*vehicles, *walkers)]
    except (KeyError, TypeError, ValueError, IndexError, yaml.YAMLError) as error:
        raise Opv2vError(f"{path}: not an OPV2V frame ({type(error).__name__}: {error})") from error
    # The file has one pose only, so the agent believes the truth; an evaluation adds the noise it wants.
    sweep = Sweep(agent, tick * TICK_US, read_pcd(stem.with_suffix(".pcd")), pose, height)
    boxes = np.array(rows, np.float64).reshape(-1, 7)
    return AgentFrame(sweep, pose, boxes, np.array(ids, np.int64), np.array(labels, np.int64))


def _pose(values: Sequence[float]) -> Pose:
    x, y, z, roll, yaw, pitch = (float(value) for value in values)
    return Pose(x, y, z, math.radians(roll), math.radians(pitch), math.radians(yaw))


def _row(body: Mapping[str, Sequence[float]]) -> list[float]:
    centre = [float(a) + float(b) for a, b in zip(body["location"], body["center"], strict=True)]
    length, width, height = (2.0 * float(half) for half in body["extent"])
    return [*centre, length, width, height, math.radians(float(body["angle"][1]))]


def _label(body: Mapping[str, object]) -> ObjectClass:
    return ObjectClass.CYCLIST if body.get("bp_id") in TWO_WHEELED else ObjectClass.VEHICLE
