"""A server of our own in a process of its own, and the official client on it."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import carla
import pytest

from carla_cp.server.testing import running

PATIENCE_S = 200.0  # for what takes a second; the cores may be busy with other things
MAPS = Path(__file__).resolve().parents[2] / "scenarios" / "maps"
CROSSING = MAPS / "crossing.xodr"


@contextmanager
def running_server(*arguments: str) -> Iterator[int]:
    """The RPC port of a server that ends with the context."""
    with running(arguments) as server:
        yield server.port


@pytest.fixture(scope="session")
def crossing_port() -> Iterator[int]:
    """A server with the crossing, shared by tests that each load a world of their own."""
    with running_server("--map", str(CROSSING), "--maps", str(MAPS)) as port:
        yield port


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Towns that tests build are not kept among the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


class Stage:
    """A fresh synchronous world on the crossing."""

    def __init__(self, port: int) -> None:
        self.client = carla.Client("127.0.0.1", port)
        self.client.set_timeout(PATIENCE_S)
        self.world = self.client.load_world("crossing")
        settings = self.world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
        self.world.apply_settings(settings)
        self.library = self.world.get_blueprint_library()
        self._listening: list[carla.Sensor] = []
        self._spawned: list[carla.Actor] = []

    def spawn(self, name: str, x: float, y: float, yaw: float = 0.0, **attributes: str) -> carla.Actor:
        """An actor on the ground."""
        blueprint = self._blueprint(name, attributes)
        place = carla.Transform(carla.Location(x, y, 0.3), carla.Rotation(yaw=yaw))
        self._spawned.append(self.world.spawn_actor(blueprint, place))
        return self._spawned[-1]

    def sense(self, name: str, parent: carla.Actor, z: float = 0.0, **attributes: str) -> queue.SimpleQueue[object]:
        """What a sensor on a vehicle sends from now on."""
        place = carla.Transform(carla.Location(z=z))
        sensor = self.world.spawn_actor(self._blueprint(name, attributes), place, attach_to=parent)
        inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
        sensor.listen(inbox.put)
        self._listening.append(sensor)
        return inbox

    def _blueprint(self, name: str, attributes: dict[str, str]) -> carla.ActorBlueprint:
        blueprint = self.library.find(name)
        for key, value in attributes.items():
            blueprint.set_attribute(key, value)
        return blueprint

    def ticks(self, count: int, each: Callable[[], None] | None = None) -> int:
        """Ticks so often; returns the last frame."""
        frame = 0
        for _ in range(count):
            frame = self.world.tick()
            if each is not None:
                each()
        return frame

    def close(self) -> None:
        """Back to asynchronous mode, and nothing left: the wheel may crash when a world ends under actors."""
        for sensor in self._listening:
            sensor.stop()
        left = [actor.id for actor in (*self._listening, *self._spawned) if actor.is_alive]
        self.client.apply_batch_sync([carla.command.DestroyActor(number) for number in left], False)
        settings = self.world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = False, None
        self.world.apply_settings(settings)


@pytest.fixture
def stage(crossing_port: int) -> Iterator[Stage]:
    """A fresh world on the shared server."""
    result = Stage(crossing_port)
    yield result
    result.close()
