"""What the view shows beside the records, and what it remembers between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from carla_cp.types import (
    AgentName,
    CodecChoice,
    Collision,
    Episode,
    Perceived,
    Scenario,
    Sweep,
    TickRecord,
    Transmission,
)

HISTORY_S = 8.0
LINK_SHOWN_US = 300_000  # a link fades from view this long after its last message


@dataclass(frozen=True, slots=True)
class Station:
    """A sender that does not move."""

    name: AgentName
    x: float  # [m], world
    y: float


@dataclass(frozen=True, slots=True)
class ViewInfo:
    """What stays the same over an episode."""

    scenario: str
    codec: CodecChoice
    seed: int
    route: tuple[tuple[float, float], ...] = ()  # world x, y [m]
    agents: tuple[AgentName, ...] = ()  # the ego first; fixes their colours
    stations: tuple[Station, ...] = ()
    hazard: str | None = None  # rolename


def info_of(scenario: Scenario, codec: CodecChoice, seed: int) -> ViewInfo:
    """What the view shows of a scenario's episode."""
    return ViewInfo(
        scenario=scenario.name,
        codec=codec,
        seed=seed,
        route=tuple((pose.x, pose.y) for pose in scenario.route),
        agents=tuple(
            AgentName(name) for name in [*(c.rolename for c in scenario.connected), *(rsu.id for rsu in scenario.rsus)]
        ),
        stations=tuple(Station(AgentName(rsu.id), rsu.foot.x, rsu.foot.y) for rsu in scenario.rsus),
        hazard=scenario.hazards[0].rolename if scenario.hazards else None,
    )


def info_of_recording(episode: Episode) -> ViewInfo:
    """The same from a recording, which knows no scenario: the route is where the ego went."""
    sent = [item for record in episode.records for item in record.transmissions]
    names = [episode.ego, *sorted({item.sender for item in sent})]
    return ViewInfo(
        scenario=episode.scenario,
        codec=episode.codec,
        seed=episode.seed,
        route=tuple((record.ego.pose.x, record.ego.pose.y) for record in episode.records[::10]),
        agents=tuple(dict.fromkeys(names)),
        hazard=episode.hazard,
    )


@dataclass(frozen=True, slots=True)
class Moment:
    """One record's part of the speed's history."""

    time_us: int
    speed_mps: float
    brake: float


@dataclass(frozen=True, slots=True)
class Memory:
    """The newest of everything that not every record brings."""

    start_us: int | None = None  # of the episode's first record
    sweeps: tuple[Sweep, ...] = ()
    perceived: Perceived | None = None
    links: tuple[Transmission, ...] = ()  # the newest of each sender
    collision: Collision | None = None  # the first
    agents: tuple[AgentName, ...] = ()
    history: tuple[Moment, ...] = ()  # of the last seconds

    def after(self, record: TickRecord) -> Memory:
        """What is known once this record has been seen."""
        links = {item.sender: item for item in (*self.links, *record.transmissions)}
        recent = tuple(item for item in links.values() if record.time_us - item.sent_us <= LINK_SHOWN_US)
        now = Moment(record.time_us, record.ego.speed, 0.0 if record.plan is None else record.plan.control.brake)
        seen = [*self.agents, *(sweep.agent for sweep in record.sweeps), *(item.sender for item in recent)]
        return replace(
            self,
            start_us=record.time_us if self.start_us is None else self.start_us,
            sweeps=record.sweeps or self.sweeps,
            perceived=record.perceived or self.perceived,
            links=recent,
            collision=self.collision or next(iter(record.truth.collisions), None),
            agents=tuple(dict.fromkeys(seen)),
            history=(*(m for m in self.history if record.time_us - m.time_us <= HISTORY_S * 1e6), now),
        )
