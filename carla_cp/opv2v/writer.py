"""Writes scenes in OPV2V's layout, each whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import yaml

from carla_cp.geometry import count_returns
from carla_cp.opv2v.frame_yaml import Scan, frame_yaml, six
from carla_cp.opv2v.layout import TICK_US, Opv2vError
from carla_cp.opv2v.pcd import write_pcd
from carla_cp.types import AgentName, LidarSpec, Pose, Scenario, Sweep, TruthObject, VehicleState
from carla_cp.whole import whole_folder, write_whole

_Dumper: type = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper


def agent_ids(sweeps: Sequence[Sweep], objects: Iterable[TruthObject]) -> dict[AgentName, int]:
    """The OPV2V id of every sweeping agent: a vehicle's actor id; roadside units are -1, -2 ... in their order."""
    known = {AgentName(thing.rolename): thing.id for thing in objects}
    roadside = [sweep.agent for sweep in sweeps if sweep.agent not in known]
    units = {agent: -number for number, agent in enumerate(roadside, 1)}
    return {sweep.agent: units[sweep.agent] if sweep.agent in units else known[sweep.agent] for sweep in sweeps}


def scans_from_sweeps(
    sweeps: Sequence[Sweep],
    objects: Sequence[TruthObject],
    ids: Mapping[AgentName, int],
    plans: Mapping[AgentName, tuple[tuple[float, float], ...]] | None = None,
) -> tuple[Scan, ...]:
    """What the agents saw at one tick, ready to be written.

    `objects` are all actors of the world at the sweeps' time, connected vehicles and the ego included; each agent
    lists those of a detected class that hold at least one of its points. The sweeps' poses are taken for the true ones.
    """
    detectable = tuple(thing for thing in objects if thing.label is not None)
    bodies = {AgentName(thing.rolename): thing for thing in objects}
    scans = []
    for sweep in sweeps:
        own = bodies.get(sweep.agent)
        seen = tuple(thing for thing in _with_returns(sweep, detectable) if own is None or thing.id != own.id)
        state = own.state if own is not None else _standing(sweep)
        plan = (plans or {}).get(sweep.agent, ())
        scans.append(Scan(ids[sweep.agent], sweep, sweep.world_from_lidar, state, seen, plan))
    return tuple(scans)


def _with_returns(sweep: Sweep, objects: tuple[TruthObject, ...]) -> tuple[TruthObject, ...]:
    boxes = np.array([thing.box for thing in objects], np.float64).reshape(-1, 7)
    hits = count_returns(sweep.world_from_lidar, sweep.points, boxes)
    return tuple(thing for thing, count in zip(objects, hits, strict=True) if count > 0)


def _standing(sweep: Sweep) -> VehicleState:
    lidar = sweep.world_from_lidar
    foot = Pose(lidar.x, lidar.y, lidar.z - sweep.sensor_height_m, 0.0, 0.0, lidar.yaw)
    return VehicleState(foot, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0, 0.0, 0.0, 0.0)


class SceneWriter:
    """Writes one scene; as a context, the folder appears under its name only once it is complete.

    A kill leaves at most a folder `.<name>.partial`, which the next writer of the same scene replaces.
    """

    def __init__(self, folder: Path, protocol: Mapping[str, object], binary: bool = False) -> None:
        if folder.exists():
            raise Opv2vError(f"{folder} exists; remove it or choose another folder")
        self._writing = whole_folder(folder)
        self._protocol = protocol
        self._binary = binary
        self._width = 0
        self.frames = 0

    def __enter__(self) -> SceneWriter:
        self._partial = self._writing.__enter__()
        write_whole(self._partial / "data_protocol.yaml", _dump(self._protocol))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writing.__exit__(kind, error, trace)

    def add(self, scans: Sequence[Scan]) -> None:
        """Writes one frame: every agent's scan of the same tick; raises Opv2vError for a time between two ticks."""
        for scan in scans:
            tick, rest = divmod(scan.sweep.time_us, TICK_US)
            if rest:
                raise Opv2vError(f"time {scan.sweep.time_us} us is no multiple of {TICK_US} us")
            folder = self._partial / self._folder_name(scan.agent_id, scans)
            folder.mkdir(exist_ok=True)
            write_pcd(folder / f"{tick:06d}.pcd", scan.sweep.points, self._binary)
            write_whole(folder / f"{tick:06d}.yaml", frame_yaml(scan))
        self.frames += 1

    def _folder_name(self, agent_id: int, scans: Sequence[Scan]) -> str:
        # Equal widths make the text order, by which readers choose the ego, the order of the ids.
        self._width = self._width or max(len(str(scan.agent_id)) for scan in scans)
        return str(agent_id) if agent_id < 0 else f"{agent_id:0{self._width}d}"


def write_scene(
    folder: Path, protocol: Mapping[str, object], frames: Iterable[Sequence[Scan]], binary: bool = False
) -> None:
    """Writes a whole scene: for each frame the scans of all its agents."""
    with SceneWriter(folder, protocol, binary) as writer:
        for scans in frames:
            writer.add(scans)


def protocol_of(scenario: Scenario, seed: int) -> dict[str, object]:
    """The content of `data_protocol.yaml`: the published file's keys, as far as they mean something here."""
    starts = [{"spawn_position": six(actor.start)} for actor in scenario.actors if actor.blueprint.startswith("v")]
    by_name = {actor.rolename: actor for actor in (scenario.ego, *scenario.actors)}
    cars = [
        {
            "spawn_position": six(by_name[car.rolename].start),
            "sensing": {"perception": {"lidar": _lidar_yaml(car.lidar)}},
            "v2x": {"communication_range": scenario.channel.range_m, "enabled": True, "loc_noise": 0.0},
        }
        for car in scenario.connected
    ]
    units = [
        {"spawn_position": six(unit.foot), "sensing": {"perception": {"lidar": _lidar_yaml(unit.lidar)}}}
        for unit in scenario.rsus
    ]
    return {
        "carla_traffic_manager": {"sync_mode": True, "vehicle_list": starts},
        "current_time": scenario.name,
        "description": f"{scenario.type} on {scenario.map_file.name}",
        "scenario": {"single_cav_list": cars, "rsu_list": units},
        "world": {"fixed_delta_seconds": TICK_US / 1e6, "seed": seed, "sync_mode": True},
    }


def _lidar_yaml(lidar: LidarSpec) -> dict[str, float]:
    return {
        "channels": lidar.channels,
        "dropoff_general_rate": lidar.dropoff_general_rate,
        "dropoff_intensity_limit": lidar.dropoff_intensity_limit,
        "dropoff_zero_intensity": lidar.dropoff_zero_intensity,
        "lower_fov": lidar.lower_fov_deg,
        "noise_stddev": lidar.noise_stddev_m,
        "points_per_second": lidar.points_per_second,
        "range": lidar.range_m,
        "rotation_frequency": lidar.rotation_frequency_hz,
        "upper_fov": lidar.upper_fov_deg,
    }


def _dump(value: Mapping[str, object]) -> bytes:
    return bytes(yaml.dump(dict(value), Dumper=_Dumper, default_flow_style=False, encoding="utf-8"))
