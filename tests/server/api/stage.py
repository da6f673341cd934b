"""The world in which every row is tried: the crossing, with one of everything."""

from __future__ import annotations

import queue
import socket
from functools import cached_property
from pathlib import Path
from typing import Any

import carla

from tests.server.conftest import PATIENCE_S

CAR_AT = (-100.0, 5.25)
NEAR_LIGHT = (-17.0, 5.25)
SENSORS = (
    "sensor.lidar.ray_cast",
    "sensor.lidar.ray_cast_semantic",
    "sensor.other.gnss",
    "sensor.other.imu",
    "sensor.other.collision",
    "sensor.other.lane_invasion",
    "sensor.other.obstacle",
    "sensor.other.radar",
    "sensor.camera.rgb",
    "sensor.camera.depth",
)
PIXELS = (64, 48)


class ApiStage:
    """One client and one world for all rows; things come into being when a row first asks for them."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self.folder = port, folder
        self.client = carla.Client("127.0.0.1", port)
        self.client.set_timeout(PATIENCE_S)
        self._spawned: list[carla.Actor] = []
        self._manager: carla.TrafficManager | None = None

    @cached_property
    def world(self) -> carla.World:
        """The crossing, in synchronous mode."""
        world = self.client.load_world("crossing")
        settings = world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
        world.apply_settings(settings)
        return world

    @cached_property
    def map(self) -> carla.Map:
        return self.world.get_map()

    @cached_property
    def library(self) -> carla.BlueprintLibrary:
        return self.world.get_blueprint_library()

    def spawn(self, name: str, x: float, y: float, z: float = 0.3, parent: carla.Actor | None = None) -> carla.Actor:
        """A new actor, which the next tick shows."""
        place, blueprint = carla.Transform(carla.Location(x, y, z)), self.library.find(name)
        if name.startswith("sensor.camera"):
            for key, value in zip(("image_size_x", "image_size_y"), PIXELS, strict=True):
                blueprint.set_attribute(key, str(value))
        actor = self.world.spawn_actor(blueprint, place, attach_to=parent)
        self._spawned.append(actor)
        self.world.tick()
        return actor

    @cached_property
    def car(self) -> carla.Vehicle:
        return self.spawn("vehicle.tesla.model3", *CAR_AT)

    @cached_property
    def waiting(self) -> carla.Vehicle:
        """A car before a traffic light."""
        car = self.spawn("vehicle.tesla.model3", *NEAR_LIGHT)
        self.world.tick()
        return car

    @cached_property
    def driven(self) -> carla.Vehicle:
        """A car that nothing else is tried on."""
        return self.spawn("vehicle.audi.tt", -140.0, 5.25)

    @cached_property
    def walker(self) -> carla.Walker:
        return self.spawn("walker.pedestrian.0001", -50.0, -8.0)

    @cached_property
    def light(self) -> carla.TrafficLight:
        return self.world.get_traffic_light_from_opendrive_id("101")

    @cached_property
    def sensors(self) -> dict[str, carla.Sensor]:
        """One of each on the car."""
        return {name: self.spawn(name, 0.0, 0.0, 1.6, self.car) for name in SENSORS}

    @cached_property
    def told(self) -> dict[str, Any]:
        """The first message of each sensor that sends at every tick, and of those that need an event, one."""
        inboxes: dict[str, queue.SimpleQueue[Any]] = {name: queue.SimpleQueue() for name in SENSORS}
        for name, sensor in self.sensors.items():
            sensor.listen(inboxes[name].put)
        wall = self.spawn("static.prop.container", CAR_AT[0] + 4.0, CAR_AT[1] - 1.2)
        self.car.set_target_velocity(carla.Vector3D(12.0, -6.0, 0.0))
        for _ in range(20):
            self.world.tick()
        messages = {name: inbox.get(timeout=PATIENCE_S) for name, inbox in inboxes.items()}
        for sensor in self.sensors.values():
            sensor.stop()
        wall.destroy()
        self.car.set_target_velocity(carla.Vector3D())
        self.car.set_transform(carla.Transform(carla.Location(*CAR_AT, 0.0)))
        self.world.tick()
        return messages

    @property
    def manager(self) -> carla.TrafficManager:
        """A traffic manager that steers nothing: the world is not ticked any more once it is there."""
        if self._manager is None:
            self._manager = self.client.get_trafficmanager(free_port())
            self._manager.set_synchronous_mode(True)
        return self._manager

    def snap(self) -> carla.WorldSnapshot:
        return self.world.get_snapshot()

    def batch(self, command: object) -> carla.command.Response:
        """The answer to one command."""
        return self.client.apply_batch_sync([command], False)[0]

    def close(self) -> None:
        """Nothing is left in the world: the wheel may crash when a world ends under actors."""
        left = [actor.id for actor in self._spawned if actor.is_alive]
        self.client.apply_batch_sync([carla.command.DestroyActor(number) for number in left], False)
        settings = self.world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = False, None
        self.world.apply_settings(settings)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
