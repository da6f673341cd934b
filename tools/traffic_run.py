"""One run of CARLA's TrafficManager on a map: cars drive, and everything about them is measured.

The TrafficManager is part of the official client. It runs in the process that calls `drive`, which must be one of its
own: the client can wait for ever in `tick` (a lost wake-up of its own), and an error in its threads ends the process.
"""

from __future__ import annotations

import hashlib
import resource
import socket
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import carla
import numpy as np
from traffic_measures import DT_S, CarRow, Findings, Watch

from carla_cp.world import embedded_server

_LULL_S = 0.001  # between ticks: makes the client's lost wake-up rare
_FREE_M, _FREE_S = 10.0, 3.0  # a car may appear where no other is so near, or may be in so many seconds
_SAY_TICKS = 20
_TIMEOUT_S = 240.0  # of a call: a large map takes its time to load
_LIDAR = "sensor.lidar.ray_cast"


@dataclass(frozen=True, slots=True)
class TrafficPlan:
    """What drives where: everything that a run depends on."""

    map_file: Path
    cars: int
    ticks: int
    seed: int
    lane_changes: bool = False  # as it is in CARLA unless told otherwise
    compared: bool = False  # one car carries a LiDAR; every snapshot and cloud enters the digest


@dataclass(frozen=True, slots=True)
class TrafficResult:
    """What one run found."""

    findings: Findings
    ticks_per_s: float  # of the time spent in `world.tick()`: server and TrafficManager
    server_ms: float  # processor time of the server for each tick, loading the map included
    cycle_s: float  # of the junction with the longest cycle of its lights, 0 without lights
    digest: str  # of what the plan has compared


def drive(plan: TrafficPlan, say: Callable[[int], None]) -> TrafficResult:
    """Runs the plan on an embedded server of its own; `say` hears of every few ticks."""
    before = _children_s()
    with embedded_server() as (host, port):
        client = carla.Client(host, port)
        client.set_timeout(_TIMEOUT_S)
        client.generate_opendrive_world(plan.map_file.read_text(encoding="utf-8"))
        traffic = Traffic(client, plan)
        try:
            result = traffic.run(say)
        finally:
            traffic.close()
    return replace(result, server_ms=(_children_s() - before) / plan.ticks * 1e3)


def _children_s() -> float:
    """Processor time of the child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True, slots=True, eq=False)
class _Car:
    """A car, and its size, which cannot be asked for once it is gone."""

    actor: carla.Vehicle
    length: float
    width: float


class Traffic:
    """A synchronous world, a TrafficManager, and the cars that it drives."""

    def __init__(self, client: carla.Client, plan: TrafficPlan) -> None:
        self._plan = plan
        self._client = client
        self._world = client.get_world()
        _synchronise(self._world, True)
        self._map = self._world.get_map()
        self._points = _entries(self._map)
        self._draw = np.random.default_rng([plan.seed, zlib.crc32(b"traffic")])
        library = self._world.get_blueprint_library()
        self._models = sorted(
            (model for model in library.filter("vehicle.*") if model.get_attribute("base_type") == "car"),
            key=lambda model: model.id,
        )
        self._port = _free_port()
        self._manager = client.get_trafficmanager(self._port)
        self._manager.set_synchronous_mode(True)
        self._manager.set_random_device_seed(plan.seed)
        self._cars: dict[int, _Car] = {}
        self._clouds: list[carla.LidarMeasurement] = []
        self._lidar: carla.Sensor | None = None
        self._digest = hashlib.sha256()

    def run(self, say: Callable[[int], None]) -> TrafficResult:
        """Drives all ticks."""
        self._world.tick()
        self._fill()
        if self._plan.compared:
            self._look(next(iter(self._cars.values())).actor)
        watch = Watch(self._map)
        spent = 0.0
        for tick in range(self._plan.ticks):
            start = time.perf_counter()
            frame = self._world.tick()
            spent += time.perf_counter() - start
            self._note(frame, watch)
            if tick % 20 == 19:
                self._fill()
            if tick % _SAY_TICKS == 0:
                say(tick)
            time.sleep(_LULL_S)
        rate = self._plan.ticks / spent
        return TrafficResult(watch.findings(), rate, 0.0, _cycle_s(self._world), self._digest.hexdigest())

    def _note(self, frame: int, watch: Watch) -> None:
        snapshot = self._world.get_snapshot()
        if self._plan.compared:
            for actor in sorted(snapshot, key=lambda actor: actor.id):
                self._digest.update(repr(_values(actor)).encode())
        rows = []
        for car_id, car in list(self._cars.items()):
            seen = snapshot.find(car_id)
            if seen is None or not car.actor.is_alive:  # the TrafficManager took it away
                del self._cars[car_id]
                continue
            pose, velocity = seen.get_transform(), seen.get_velocity()
            place = (pose.location.x, pose.location.y, pose.location.z, np.radians(pose.rotation.yaw))
            rows.append(CarRow(car_id, *place, velocity.x, velocity.y, car.length, car.width))
        watch.see(rows)
        self._take_cloud(frame)

    def _look(self, car: carla.Vehicle) -> None:
        model = self._world.get_blueprint_library().find(_LIDAR)
        model.set_attribute("rotation_frequency", "20")
        place = carla.Transform(carla.Location(z=2.0))
        self._lidar = self._world.spawn_actor(model, place, attach_to=car)
        self._lidar.listen(self._clouds.append)

    def _take_cloud(self, frame: int) -> None:
        if self._lidar is None:
            return
        patience = time.monotonic() + 10.0
        while not self._clouds or self._clouds[-1].frame < frame:
            if time.monotonic() > patience:
                raise RuntimeError(f"no cloud of frame {frame} came within 10 s")
            time.sleep(_LULL_S)
        for cloud in self._clouds:
            self._digest.update(bytes(cloud.raw_data))
        self._clouds.clear()

    def _fill(self) -> None:
        """As many cars as the plan wants: those that left the map at a dead end come back elsewhere."""
        missing = self._plan.cars - len(self._cars)
        if missing <= 0:
            return
        taken = [_reach(car.actor) for car in self._cars.values() if car.actor.is_alive]
        for index in self._draw.permutation(len(self._points)):
            place = self._points[int(index)]
            if missing == 0:
                break
            model = self._models[int(self._draw.integers(len(self._models)))]
            if any(other.distance(place.location) < reach for other, reach in taken):
                continue
            car = self._world.try_spawn_actor(model, place)
            if car is not None:
                car.set_autopilot(True, self._port)
                self._manager.auto_lane_change(car, self._plan.lane_changes)
                half = car.bounding_box.extent
                self._cars[car.id] = _Car(car, 2 * half.x, 2 * half.y)
                taken.append((place.location, _FREE_M))
                missing -= 1

    def close(self) -> None:
        """Ends the TrafficManager in the order that it needs, then the cars."""
        if self._lidar is not None:
            self._lidar.stop()
        for car in self._cars.values():
            if car.actor.is_alive:
                car.actor.set_autopilot(False, self._port)
        self._world.tick()
        self._manager.set_synchronous_mode(False)
        self._client.apply_batch([carla.command.DestroyActor(car_id) for car_id in self._cars])
        _synchronise(self._world, False)


def _synchronise(world: carla.World, on: bool) -> None:
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = on, DT_S if on else None
    world.apply_settings(settings)


def _entries(world_map: carla.Map) -> list[carla.Transform]:
    """The spawn points on lanes that do not end with the map."""
    onward = {(start.road_id, start.lane_id) for start, _ in world_map.get_topology()}
    lanes = [(point, world_map.get_waypoint(point.location)) for point in world_map.get_spawn_points()]
    return [point for point, lane in lanes if (lane.road_id, lane.lane_id) in onward]


def _values(actor: carla.ActorSnapshot) -> tuple[float, ...]:
    pose = actor.get_transform()
    vectors = (pose.location, actor.get_velocity(), actor.get_angular_velocity(), actor.get_acceleration())
    turned = (pose.rotation.pitch, pose.rotation.yaw, pose.rotation.roll)
    return (actor.id, *turned, *(value for v in vectors for value in (v.x, v.y, v.z)))


def _reach(car: carla.Vehicle) -> tuple[carla.Location, float]:
    """Where a car is, and around it how far no other may appear."""
    return car.get_location(), _FREE_M + _FREE_S * car.get_velocity().length()


def _cycle_s(world: carla.World) -> float:
    """The longest cycle of lights: as if each light of a junction had its turn after the others."""
    lights = list(world.get_actors().filter("traffic.traffic_light"))
    turn = {light.id: light.get_green_time() + light.get_yellow_time() + light.get_red_time() for light in lights}
    return max((sum(turn[other.id] for other in light.get_group_traffic_lights()) for light in lights), default=0.0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
