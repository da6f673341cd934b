"""Somebody else's CARLA program: a client of its own, cars on a road, and a loop that ticks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import carla

from tests.server.conftest import CROSSING

LANE_Y = 5.25  # of the crossing, heading +x


class Somebody:
    """A synchronous world with three cars in a lane: `hero`, one without a name, and `cav`, whom it hides."""

    def __init__(self, host: str, port: int) -> None:
        self.client = carla.Client(host, port)
        self.client.set_timeout(200.0)
        self.world = self.client.generate_opendrive_world(CROSSING.read_text(encoding="utf-8"))
        self.settle(True, 0.05)
        self.hero, self.between, self.cav = (
            self.spawn(name, x) for name, x in (("hero", -60.0), ("", -48.0), ("cav", -36.0))
        )
        self.mast = carla.Transform(carla.Location(-40.0, -9.0, 0.0))

    def settle(self, synchronous: bool, step_s: float) -> None:
        """Applies the settings."""
        settings = self.world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = synchronous, step_s
        self.world.apply_settings(settings)

    def spawn(self, name: str, x: float) -> carla.Actor:
        """A car with its brake on."""
        blueprint = self.world.get_blueprint_library().find("vehicle.tesla.model3")
        blueprint.set_attribute("role_name", name)
        car = self.world.spawn_actor(blueprint, carla.Transform(carla.Location(x, LANE_Y, 0.3)))
        car.apply_control(carla.VehicleControl(brake=1.0))
        return car

    def tick(self) -> carla.WorldSnapshot:
        """One step of the loop."""
        self.world.tick()
        return self.world.get_snapshot()

    @property
    def actors(self) -> list[str]:
        """What is in the world after another tick."""
        self.world.tick()
        return sorted(actor.type_id for actor in self.world.get_actors())


@contextmanager
def somebody(address: tuple[str, int]) -> Iterator[Somebody]:
    """A program in a fresh world, which it leaves empty and asynchronous."""
    program = Somebody(*address)
    try:
        yield program
    finally:
        cars = [car for car in (program.hero, program.between, program.cav) if car.is_alive]
        program.client.apply_batch_sync([carla.command.DestroyActor(car.id) for car in cars], False)
        program.world.apply_settings(carla.WorldSettings(synchronous_mode=False))
