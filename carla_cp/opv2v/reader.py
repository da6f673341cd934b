"""Reads scenes in OPV2V's layout, the published ones as well as ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import yaml

from carla_cp.opv2v.ground import height_over_ground
from carla_cp.opv2v.layout import TICK_US, TWO_WHEELED, Note, Opv2vError, Reading
from carla_cp.opv2v.pcd import read_cloud
from carla_cp.types import AgentFrame, AgentName, FloatArray, Frame, IntArray, ObjectClass, PointArray, Pose, Sweep

NOMINAL_HEIGHT_M = 1.9  # OPV2V's sensor over the road, where neither the file nor the cloud tells
UNIT_TOLERANCE_M = 0.5
FARTHEST_M = 1e8  # world coordinates may be a map projection's
_Loader: type = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """What the yaml file of one agent at one tick says."""

    world_from_lidar: Pose
    sensor_height_m: float | None  # over the ground; None: not told
    boxes: FloatArray  # (M, 7) world frame
    ids: IntArray  # (M,)
    labels: IntArray  # (M,) ObjectClass


Dialect: TypeAlias = Callable[[AgentName, Mapping[str, Any]], Annotation]


class Scene:
    """A scene folder; frames are read when asked for."""

    def __init__(
        self, folder: Path, name: str, agents: tuple[AgentName, ...], stems: tuple[str, ...], dialect: Dialect
    ) -> None:
        self.folder = folder
        self.name = name
        self.agents = agents  # folder names, the ego first
        self.stems = stems  # names of the ego's files without their suffix
        self.ticks = tuple(int(stem) for stem in stems)
        self._dialect = dialect

    def __len__(self) -> int:
        """Number of frames: the ticks that the ego has."""
        return len(self.ticks)

    def __iter__(self) -> Iterator[Frame]:
        """Every frame in order."""
        return (self.frame(index) for index in range(len(self)))

    def frame(self, index: int) -> Frame:
        """All agents at the index-th tick, the ego first; an agent without files at that tick is left out."""
        return self.read(index).frame

    def read(self, index: int) -> Reading:
        """The frame and what was noticed in its files; raises DatasetError for a file that is missing or broken."""
        notes: list[Note] = []
        agents = []
        for agent in self.agents:
            stem = self.folder / agent / self.stems[index]
            if agent != self.agents[0] and not stem.with_suffix(".yaml").exists():
                notes.append(Note("agent without files at a tick", f"{stem}.yaml"))
                continue
            agents.append(_read_agent(agent, stem, self.ticks[index], self._dialect, notes))
        frame = Frame(self.ticks[index] * TICK_US, tuple(agents))
        if not any(len(agent.ids) for agent in frame.agents):
            notes.append(Note("frame without objects", f"{self.folder / self.agents[0] / self.stems[index]}.yaml"))
        return Reading(frame, tuple(notes))


def read_scene(folder: Path, dialect: Dialect | None = None, name: str = "") -> Scene:
    """The scene in a folder. The ego is OpenCOOD's: the first vehicle in the text order of the agents' ids.

    `dialect` reads the yaml files' content; without one they are OPV2V's. The scene is named after the folder unless a
    name is given. Raises Opv2vError where there is no vehicle with ticks; reading a frame raises it for a broken yaml
    file, and PcdError for a broken cloud.
    """
    if not folder.is_dir():
        raise Opv2vError(f"{folder}: no such scene folder")
    names = agent_folders(folder)
    vehicles = [name for name in names if not name.startswith("-")]
    roadside = [name for name in names if name.startswith("-")]
    if not vehicles:
        raise Opv2vError(f"{folder}: holds no folder of a vehicle (SCENE/<id>/<tick>.yaml)")
    stems = sorted((path.stem for path in (folder / vehicles[0]).glob("*.yaml") if _is_tick(path)), key=int)
    if not stems:
        raise Opv2vError(f"{folder / vehicles[0]}: holds no <tick>.yaml")
    agents = tuple(AgentName(name) for name in vehicles + roadside)
    return Scene(folder, name or folder.name, agents, tuple(stems), dialect or parse_opv2v)


def agent_folders(folder: Path) -> list[str]:
    """The names of a scene's agents in text order."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def parse_opv2v(agent: AgentName, data: Mapping[str, Any]) -> Annotation:
    """What OPV2V's and V2XSet's files say: objects in the world frame.

    `true_ego_pos` lies on the ground; a file may lack it.
    """
    pose = pose_of(data["lidar_pose"])
    vehicles, walkers = data["vehicles"] or {}, data.get("walkers") or {}
    rows = [box_row(body) for body in (*vehicles.values(), *walkers.values())]
    labels = [_label(body) for body in vehicles.values()] + [ObjectClass.PEDESTRIAN] * len(walkers)
    ids = [int(name) for name in (*vehicles, *walkers)]
    foot = data.get("true_ego_pos")
    height = None if foot is None else pose.z - float(foot[2])
    boxes = np.array(rows, np.float64).reshape(-1, 7)
    return Annotation(pose, height, boxes, np.array(ids, np.int64), np.array(labels, np.int64))


def pose_of(values: Sequence[float]) -> Pose:
    """The pose of the file's six numbers x, y, z [m], roll, yaw, pitch [degrees]."""
    x, y, z, roll, yaw, pitch = (float(value) for value in values)
    return Pose(x, y, z, math.radians(roll), math.radians(pitch), math.radians(yaw))


def box_row(body: Mapping[str, Any]) -> list[float]:
    """An object's box as a row of a box array, in the frame of its `location`."""
    centre = [float(a) + float(b) for a, b in zip(body["location"], body["center"], strict=True)]
    length, width, height = (2.0 * float(half) for half in body["extent"])
    return [*centre, length, width, height, math.radians(float(body["angle"][1]))]


def load_yaml(path: Path) -> Mapping[str, Any]:
    """The mapping that a yaml file holds; raises Opv2vError."""
    try:
        data = yaml.load(path.read_bytes(), Loader=_Loader)
    except OSError as error:
        raise Opv2vError(f"{path}: {error.strerror}; copy it again", "missing yaml") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        fault = " ".join(str(error).split())
        raise Opv2vError(f"{path}: no yaml ({fault}); copy it again", "broken yaml") from error
    if not isinstance(data, dict):
        raise Opv2vError(f"{path}: no yaml mapping; copy it again", "broken yaml")
    return data


def _read_agent(agent: AgentName, stem: Path, tick: int, dialect: Dialect, notes: list[Note]) -> AgentFrame:
    path = stem.with_suffix(".yaml")
    data = load_yaml(path)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            said = dialect(agent, data)
    except KeyError as error:
        raise Opv2vError(f"{path}: not an OPV2V frame: lacks the key {error}", "yaml without a key") from error
    except (TypeError, AttributeError, ValueError, IndexError, OverflowError) as error:
        raise Opv2vError(f"{path}: not an OPV2V frame ({type(error).__name__}: {error})", "broken yaml") from error
    _check(path, said)
    cloud = stem.with_suffix(".pcd")
    points, dropped = read_cloud(cloud)
    if dropped:
        notes.append(Note("cloud with points that are not finite (left out)", str(cloud)))
    if not len(points):
        notes.append(Note("empty cloud", str(cloud)))
    # The file has one pose only, so the agent believes the truth; an evaluation adds the noise it wants.
    pose = said.world_from_lidar
    sweep = Sweep(agent, tick * TICK_US, points, pose, _height(agent, said, points))
    return AgentFrame(sweep, pose, said.boxes, said.ids, said.labels)


def _check(path: Path, said: Annotation) -> None:
    pose = said.world_from_lidar
    numbers = (pose.x, pose.y, pose.z, pose.roll, pose.pitch, pose.yaw, said.sensor_height_m or 0.0)
    if not (np.abs(numbers) < FARTHEST_M).all() or not (np.abs(said.boxes) < FARTHEST_M).all():
        raise Opv2vError(f"{path}: a pose or box is not finite or huge; export it again", "value that is not finite")
    if (said.boxes[:, 3:6] < 0).any():
        raise Opv2vError(f"{path}: an extent is negative; export the frame again", "negative extent")


def _height(agent: AgentName, said: Annotation, points: PointArray) -> float:
    """The file's, else the cloud's; a roadside unit's is also the cloud's where the file's misses the ground.

    V2XSet states a unit's own place, which hangs in the air, as `true_ego_pos`.
    """
    stated = said.sensor_height_m
    if stated is not None and not agent.startswith("-"):
        return stated
    seen = height_over_ground(points, said.world_from_lidar)
    if stated is None:
        return NOMINAL_HEIGHT_M if seen is None else seen
    return stated if seen is None or abs(seen - stated) < UNIT_TOLERANCE_M else seen


def _is_tick(path: Path) -> bool:
    return path.stem.isascii() and path.stem.isdecimal()


def _label(body: Mapping[str, Any]) -> ObjectClass:
    return ObjectClass.CYCLIST if body.get("bp_id") in TWO_WHEELED else ObjectClass.VEHICLE
