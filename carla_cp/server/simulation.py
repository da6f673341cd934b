"""The server's whole state: settings, the episode, the frame counter, and what a tick sends."""

from __future__ import annotations

from collections.abc import Iterator

from carla_cp.server.episode import Episode
from carla_cp.server.maps import MapLibrary
from carla_cp.server.sensing import sense
from carla_cp.server.sensors import GRAVITY
from carla_cp.server.snapshot import MAP_CHANGED, snapshot
from carla_cp.server.stream import WORLD_STREAM, Streams
from carla_cp.server.wire import Raw, Settings

DEFAULT_STEP_S = 0.05
_WEATHER = (10.0, 0.0, 0.0, 5.0, 0.0, 60.0, 0.0, 0.0, 0.2, 0.0, 1.0, 0.03, 0.0331, 0.0)


class Simulation:
    """One world at a time. Not for use from two threads."""

    def __init__(self, maps: MapLibrary, streams: Streams) -> None:
        self.maps, self.streams = maps, streams
        self.settings = Settings()
        self.frame = 0
        self.weather: Raw = list(_WEATHER)
        self.gravity = GRAVITY  # [m/s^2] that IMUs feel
        self.traffic_managers: list[tuple[str, int]] = []
        self.episode = Episode(1, maps.get(maps.first), streams)
        self._flags = MAP_CHANGED
        self._publish()

    @property
    def step_s(self) -> float:
        """Simulated seconds of one tick; where the client fixes none, a twentieth of a second."""
        return self.settings.fixed_delta_seconds or DEFAULT_STEP_S

    def load(self, name: str, reset_settings: bool) -> None:
        """A new episode on the map of this name ("" is the present one); raises MapError and then changes nothing."""
        loaded = self.maps.get(name) if name else self.episode.map
        episode = Episode(self.episode.number + 1, loaded, self.streams)
        self.episode.close()
        self.episode = episode
        self.weather = list(_WEATHER)
        if reset_settings:
            self.settings = Settings()
        self._flags = MAP_CHANGED
        self.frame += 1
        self._publish()

    def announce(self, flag: int) -> None:
        """The next snapshot bears this flag."""
        self._flags |= flag

    def tick(self) -> None:
        """One frame further, and its snapshot sent.

        A world that runs free with nothing in it stands still, so that what a script sees after it has loaded a map
        and switched to synchronous mode does not depend on how long that took.
        """
        self.frame += 1
        if self.settings.synchronous_mode or self.episode.populated:
            self.episode.advance(self.step_s)
        self._publish()

    def sense(self) -> Iterator[None]:
        """Computes and sends what the sensors saw in the last tick, one message at each step of the iteration."""
        for stream_id, message in sense(self.episode, self.streams, self.frame, self.step_s, self.gravity):
            self.streams.send(stream_id, message)
            yield

    def _publish(self) -> None:
        episode = self.episode
        records = episode.records()
        seconds = episode.time_us / 1e6
        message = snapshot(episode.number, self.frame, seconds, self.step_s, self._flags, records)
        self.streams.send(WORLD_STREAM, message)
        self._flags = 0
