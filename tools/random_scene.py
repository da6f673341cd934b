"""A random traffic situation on one of our maps, as a `Scenario` value: what `generate_data.py` simulates.

Everything gathers around one focus, mostly a junction, so that the connected agents' views overlap and hide things
from each other: queues at red lights, crossing traffic (now and then one that ignores its light), parked cars, trucks
and buses, cyclists, and people on the pavement and on the road.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from lidar_models import mixed_lidar
from places import Track, apart, beside
from road_users import BICYCLE, BUS, CAR, MOTORCYCLE, TRUCK, VAN, WALKER, Kind

from carla_cp.geometry import rotated_iou
from carla_cp.types import (
    ActorSpec,
    ChannelSpec,
    ConnectedVehicleSpec,
    FloatArray,
    LidarSpec,
    LightState,
    Pose,
    RsuSpec,
    Scenario,
    SignalSpec,
)
from carla_cp.world import Roads

REACH_M = 55.0  # of the scene around its focus
AGENT_RANGE_M = 50.0  # of the other agents around the ego
RUN_UP_M = 45.0  # a track starts at most this far before the place its vehicle is put
TRACK_M = 190.0
LANE_M = 3.5
PAVEMENT_M = 2.75  # from the middle of an outer lane to the middle of the sidewalk


@dataclass(frozen=True, slots=True)
class SceneSize:
    """Numbers of road users and agents, each drawn evenly between two bounds, and what the agents carry."""

    agents: tuple[int, int] = (2, 5)
    vehicles: tuple[int, int] = (15, 35)
    two_wheelers: tuple[int, int] = (2, 5)
    walkers: tuple[int, int] = (4, 12)
    rsu_probability: float = 0.5
    mixed_lidars: bool = False  # each agent has a LiDAR model of its own; else all have OPV2V's


def random_scenario(roads: Roads, map_file: Path, name: str, seed: int, size: SceneSize = SceneSize()) -> Scenario:
    """The scenario of one seed: the same map, seed and size give the same one."""
    return _Scene(roads, seed, size).scenario(map_file, name)


class _Scene:
    """Puts road users down one after another, none on top of another."""

    def __init__(self, roads: Roads, seed: int, size: SceneSize) -> None:
        self._roads, self._seed, self._size = roads, seed, size
        self._draw = np.random.default_rng([seed, zlib.crc32(b"random scene")])
        self._junctions = roads.junction_centres()
        self._lanes = roads.lane_points(2.0)
        self._focus = self._choose_focus()
        self._taken: list[list[float]] = []
        self._users: list[tuple[Kind, ActorSpec]] = []

    def scenario(self, map_file: Path, name: str) -> Scenario:
        tracks = self._tracks()
        signals, red = self._lights(tracks)
        total = self._count(self._size.vehicles)
        self._queues([track for track in tracks if track.stops and track.stops[0].signal_id in red], total // 3)
        self._parked(int(total * self._draw.uniform(0.05, 0.3)))
        self._moving(tracks, red, total - len(self._users))
        self._two_wheelers(tracks)
        self._walkers()
        rsus, count = self._rsus(), self._count(self._size.agents)
        rsus = rsus[: count - 1]  # the ego is always there
        agents = self._agents(count - len(rsus))
        ego, *others = agents
        actors = tuple(replace(actor, rolename=f"agent{n}") for n, actor in enumerate(others, 1))
        chosen = {actor.rolename for actor in agents}
        actors += tuple(actor for _, actor in self._users if actor.rolename not in chosen)
        return Scenario(
            name=name,
            type="random traffic",
            source=map_file,
            map_file=map_file,
            ego=replace(ego, rolename="ego"),
            actors=actors,
            route=(),
            timeout_s=60.0,
            connected=tuple(self._connected(n) for n in range(len(agents))),
            rsus=rsus,
            signals=signals,
            hazards=(),
            channel=ChannelSpec(),
            seed=self._seed,
        )

    # ------------------------------------------------------------------------------------------------- the place

    def _choose_focus(self) -> FloatArray:
        """Near a junction mostly, else somewhere on a road."""
        if len(self._junctions) and self._draw.random() < 0.85:
            return np.asarray(
                self._junctions[self._draw.integers(len(self._junctions))] + self._draw.uniform(-12, 12, 2)
            )
        inner = self._lanes[np.abs(self._lanes[:, :2]).max(axis=1) < 110.0]
        return np.asarray(inner[self._draw.integers(len(inner)), :2])

    def _near(self, rows: FloatArray, reach_m: float) -> FloatArray:
        return np.asarray(rows[np.hypot(*(rows[:, :2] - self._focus).T) < reach_m])

    def _tracks(self) -> list[Track]:
        """Ways that lead through the scene, each from a lane outside the junctions."""
        open_road = self._lanes[self._lanes[:, 3] == 0.0]
        starts = self._near(open_road, REACH_M + 25.0)
        chosen = starts[self._draw.permutation(len(starts))[:90]]
        tracks = []
        for x, y, _, _ in chosen:
            path = self._roads.lane_path(float(x), float(y), TRACK_M, self._draw)
            if len(path) > 15:
                tracks.append(Track(path, self._roads.stop_lines(path[: int(2 * RUN_UP_M)])))
        return tracks

    def _lights(self, tracks: list[Track]) -> tuple[tuple[SignalSpec, ...], frozenset[str]]:
        """One phase per junction is green for the whole scene: the approaches along one axis."""
        heading: dict[str, float] = {}
        place: dict[str, FloatArray] = {}
        for track in tracks:
            for stop in track.stops:
                pose = track.pose(max(stop.s_m - 1.0, 0.0))
                heading.setdefault(stop.signal_id, pose.yaw)
                place.setdefault(stop.signal_id, np.array([pose.x, pose.y]))
        green: dict[int, float] = {}
        states = []
        for signal in sorted(heading):
            junction = int(np.hypot(*(self._junctions - place[signal]).T).argmin())
            axis = green.setdefault(junction, heading[signal] + (math.pi / 2 if self._draw.random() < 0.5 else 0.0))
            along = abs(math.cos(heading[signal] - axis)) > math.cos(math.radians(40))
            states.append(SignalSpec(signal, LightState.GREEN if along else LightState.RED))
        return tuple(states), frozenset(item.signal_id for item in states if item.state is LightState.RED)

    # --------------------------------------------------------------------------------------------------- traffic

    def _queues(self, tracks: list[Track], most: int) -> None:
        """Cars that stand before red lights, one line per lane."""
        for track in tracks:
            s_m = track.stops[0].s_m - self._draw.uniform(1.0, 3.0)
            for _ in range(int(self._draw.integers(0, 5))):
                kind = self._kind()
                s_m -= kind.length_m / 2
                if s_m < 0 or len(self._users) >= most or not self._put(kind, track.pose(s_m), 0.0, ()):
                    break
                s_m -= kind.length_m / 2 + self._draw.uniform(0.8, 3.0)

    def _parked(self, count: int) -> None:
        """Cars half on the sidewalk, in rows."""
        edge = self._outer_lanes(REACH_M)
        while count > 0 and len(edge):
            index, row = int(self._draw.integers(len(edge))), int(self._draw.integers(1, 5))
            for x, y, yaw, _ in edge[index : index + 4 * row : 4]:
                kind = CAR if self._draw.random() < 0.8 else VAN
                backwards = math.pi if self._draw.random() < 0.15 else 0.0
                place = beside(x, y, yaw, 2.55 + self._draw.uniform(-0.1, 0.2), backwards)
                count -= int(self._put(kind, place, 0.0, ()))
            count -= 1

    def _moving(self, tracks: list[Track], red: frozenset[str], count: int) -> None:
        for number in self._draw.integers(len(tracks), size=8 * max(count, 0)):
            if count <= 0:
                return
            track, kind = tracks[number], self._kind()
            s_m = self._draw.uniform(0.0, min(RUN_UP_M, len(track.path) - 12.0))
            runs = self._draw.random() < 0.06
            speed = self._draw.uniform(8.0, 16.0) if runs else self._draw.uniform(*kind.speed_mps)
            held = [stop.s_m - s_m for stop in track.stops if stop.signal_id in red and stop.s_m > s_m]
            if held and not runs:
                speed = min(speed, math.sqrt(4.0 * max(held[0] - kind.length_m / 2, 0.5)))
            count -= int(self._drive(kind, track, s_m, 0.0, speed, obeys=not runs))

    def _two_wheelers(self, tracks: list[Track]) -> None:
        count = self._count(self._size.two_wheelers)
        for number in self._draw.integers(len(tracks), size=6 * count):
            if count <= 0:
                return
            kind, right_m = (BICYCLE, 1.1) if self._draw.random() < 0.6 else (MOTORCYCLE, 0.0)
            s_m = self._draw.uniform(0.0, min(RUN_UP_M, len(tracks[number].path) - 12.0))
            count -= int(
                self._drive(kind, tracks[number], s_m, right_m, self._draw.uniform(*kind.speed_mps), obeys=True)
            )

    def _walkers(self) -> None:
        """People along the sidewalks, and some across the road."""
        edge = self._outer_lanes(40.0)
        if not len(edge):
            return
        for _ in range(self._count(self._size.walkers)):
            x, y, yaw, _ = edge[int(self._draw.integers(len(edge)))]
            back = math.pi if self._draw.random() < 0.5 else 0.0
            if self._draw.random() < 0.35:
                start = beside(x, y, yaw, self._draw.uniform(-4.0, PAVEMENT_M), back - math.pi / 2)
            else:
                start = beside(x, y, yaw, PAVEMENT_M + self._draw.uniform(-0.7, 0.7), back)
            walk_m = self._draw.uniform(8.0, 16.0)
            end = (start.x + walk_m * math.cos(start.yaw), start.y + walk_m * math.sin(start.yaw))
            stands = self._draw.random() < 0.2
            path = () if stands else ((start.x, start.y), end)
            self._put(WALKER, replace(start, z=1.0), self._draw.uniform(*WALKER.speed_mps), path)

    def _drive(self, kind: Kind, track: Track, s_m: float, right_m: float, speed: float, obeys: bool) -> bool:
        ahead = track.path[int(s_m) :]
        if right_m:
            side = np.gradient(ahead, axis=0)
            ahead = ahead + right_m * np.stack([-side[:, 1], side[:, 0]], 1) / np.hypot(*side.T)[:, None]
        path = tuple((float(x), float(y)) for x, y in ahead)
        return self._put(kind, track.pose(s_m, right_m), speed, path, obeys)

    def _put(
        self, kind: Kind, start: Pose, speed: float, path: tuple[tuple[float, float], ...], obeys: bool = True
    ) -> bool:
        """Adds a road user if the place is free, with room ahead of and behind what drives."""
        room = 1.0 + (0.6 * speed if path and kind is not WALKER else 0.0)
        box = [start.x, start.y, 0.0, kind.length_m + 2 * room, kind.width_m, 1.0, start.yaw]
        if self._taken and (rotated_iou(np.array([box]), np.array(self._taken)) > 0).any():
            return False
        self._taken.append([*box[:3], kind.length_m, kind.width_m, 1.0, start.yaw])
        blueprint = kind.blueprints[int(self._draw.integers(len(kind.blueprints)))]
        name = f"{kind.name}{len(self._users)}"
        self._users.append((kind, ActorSpec(name, blueprint, start, float(speed), path, obeys_lights=obeys)))
        return True

    # ---------------------------------------------------------------------------------------------------- agents

    def _agents(self, count: int) -> list[ActorSpec]:
        """Connected cars: the ego near the focus, the others in its range, none of them hidden by a higher roof."""
        cars = [actor for kind, actor in self._users if kind is CAR]
        order = [cars[index] for index in self._draw.permutation(len(cars))]
        off = [math.hypot(car.start.x - self._focus[0], car.start.y - self._focus[1]) for car in order]
        inner = [car for car, distance in zip(order, off, strict=True) if distance < 35.0]
        ego = inner[0] if inner else order[int(np.argmin(off))]
        near = [car for car in order if car is not ego and apart(car.start, ego.start) < AGENT_RANGE_M]
        alone = [min((car for car in order if car is not ego), key=lambda car: apart(car.start, ego.start))]
        return [ego, *(near or alone)[: max(count, 1) - 1]]

    def _connected(self, number: int) -> ConnectedVehicleSpec:
        mount = Pose(x=float(self._draw.uniform(-0.5, 0.0)), z=float(self._draw.uniform(1.88, 2.1)))
        name = "ego" if number == 0 else f"agent{number}"
        return ConnectedVehicleSpec(name, self._lidar(LidarSpec(mount), name))

    def _lidar(self, usual: LidarSpec, agent: str) -> LidarSpec:
        return mixed_lidar(usual, self._seed, agent) if self._size.mixed_lidars else usual

    def _rsus(self) -> tuple[RsuSpec, ...]:
        """A unit on the sidewalk beside the lane that ends nearest to the junction, looking into it."""
        edge = self._outer_lanes(REACH_M)
        if not len(self._junctions) or not len(edge) or self._draw.random() >= self._size.rsu_probability:
            return ()
        centre = self._junctions[np.hypot(*(self._junctions - self._focus).T).argmin()]
        ends = edge[np.argsort(np.hypot(*(edge[:, :2] - centre).T), kind="stable")][:8]
        x, y, yaw, _ = ends[int(self._draw.integers(len(ends)))]
        place = beside(x, y, yaw, PAVEMENT_M + 1.2, 0.0)
        facing = math.atan2(centre[1] - place.y, centre[0] - place.x)
        mount = Pose(z=float(self._draw.uniform(4.0, 6.0)))
        lidar = self._lidar(LidarSpec(mount, lower_fov_deg=-30.0), "rsu")
        return (RsuSpec("rsu", Pose(place.x, place.y, 0.0, 0.0, 0.0, facing), lidar),)

    # ----------------------------------------------------------------------------------------------------- helps

    def _count(self, bounds: tuple[int, int]) -> int:
        return int(self._draw.integers(bounds[0], bounds[1] + 1))

    def _kind(self) -> Kind:
        return (CAR, VAN, TRUCK, BUS)[int(self._draw.choice(4, p=[0.72, 0.12, 0.11, 0.05]))]

    def _outer_lanes(self, reach_m: float) -> FloatArray:
        """Places on lanes outside junctions with no lane to their right."""
        near = self._near(self._lanes[self._lanes[:, 3] == 0.0], reach_m)
        right = near[:, :2] + LANE_M * np.stack([-np.sin(near[:, 2]), np.cos(near[:, 2])], axis=1)
        gaps = np.hypot(*(right[:, None] - self._lanes[None, :, :2]).transpose(2, 0, 1)).min(axis=1, initial=99.0)
        return np.asarray(near[gaps > 2.2])
