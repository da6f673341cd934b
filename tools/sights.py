"""Who sees a hazard when, and whether that leaves the ego alone too little time to stop and its team enough.

A situation tells ways of sharing apart only if `TTC at the ego's first sight < t_stop < TTC at the team's first sight
- (latency + 1 / rate)`. The ego drives on as if the hazard were not there, into it; times count back from when it gets
in the hazard's way, for whoever stops later stands there.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from carla_cp.driving.planner import PlannerConfig
from carla_cp.driving.tracker import TrackerConfig
from carla_cp.types import AgentName, FloatArray, Scenario, TruthObject, VehicleState

# LiDAR points on a hazard with which an agent sees it: from 5 to 9 of them on, `mini` finds 0.83 of vehicles, 0.94 of
# cyclists and 0.93 of pedestrians, from 3 to 4 half of vehicles and cyclists (tools/returns_needed.py on our val data).
RETURNS = 5
RATE_HZ = 10.0  # of sensing and sharing
STEP_S = 0.05
CRASHES = 0.7  # of the seeds, in which the ego alone must be too late; the team never may be
# From the capture that first shows a road user to brakes: as many detections as make its speed known, one more until a
# conflict with it is confirmed, fused one step after the last capture; the control acts in the step after that.
_YIELDING = PlannerConfig().yielding
T_REACT_S = (_YIELDING.trusted_hits - 1 + _YIELDING.confirmations - 1) / RATE_HZ + 2 * STEP_S


@dataclass(frozen=True, slots=True)
class Look:
    """What there was to see at one capture."""

    time_us: int
    ego: VehicleState
    objects: tuple[TruthObject, ...]
    returns: tuple[tuple[AgentName, int], ...]  # on the hazard, of each agent, 0 where its detector does not reach

    def seen_by(self, agents: Sequence[AgentName]) -> bool:
        """Whether any of these agents has enough returns."""
        return any(count >= RETURNS for agent, count in self.returns if agent in agents)


@dataclass(frozen=True, slots=True)
class Contact:
    """The ego's first touch."""

    time_us: int
    other: str  # rolename
    way_us: int  # from when on the ego was in the other's way
    way_speed_mps: float  # of the ego then


@dataclass(frozen=True, slots=True, eq=False)
class Drive:
    """One seed's scenario, played with an ego that knows of everybody but the hazard."""

    scenario: Scenario  # drawn
    seed: int
    looks: tuple[Look, ...]
    contact: Contact | None
    nearest_m: float  # that the ego came to the hazard
    buildings: FloatArray  # (N, 7) world frame
    hardest_brake_mps2: float  # that the planner wanted
    braked_for: str  # the plan's reason then

    @property
    def ego(self) -> AgentName:
        """Who drives."""
        return AgentName(self.scenario.ego.rolename)

    @property
    def hazard(self) -> str | None:
        """Rolename of the hazard."""
        return self.scenario.hazards[0].rolename if self.scenario.hazards else None

    @property
    def agents(self) -> tuple[AgentName, ...]:
        """The ego and all who can tell it."""
        return tuple(agent for agent, _ in self.looks[0].returns)


@dataclass(frozen=True, slots=True)
class Sights:
    """When whom the hazard of one seed is visible to, in seconds before the ego is in its way; None: never."""

    ttc_solo_s: float | None
    ttc_team_s: float | None
    early: tuple[AgentName, ...]  # the agents that see it before the ego does
    t_stop_s: float
    delay_s: float  # until what the team sees is with the ego

    @property
    def margin_s(self) -> float:
        """What is left to the team when it has seen, told and stopped; negative: it is too late."""
        return (self.ttc_team_s or 0.0) - self.delay_s - self.t_stop_s

    @property
    def short_s(self) -> float:
        """What the ego alone lacks; negative: it can stop."""
        return self.t_stop_s - (self.ttc_solo_s or 0.0)


def first_look(drive: Drive, agents: Sequence[AgentName]) -> Look | None:
    """From when on any of these agents sees the hazard; None: never, or no hazard is there."""
    return lasting_sight(drive.looks, lambda look: look.seen_by(agents)) if drive.looks else None


def early_agents(drive: Drive) -> tuple[AgentName, ...]:
    """The others who see the hazard at all before the ego sees it for good: what they tell helps the ego."""
    own = first_look(drive, [drive.ego])
    firsts = [(agent, _held(drive.looks, _seen_by(agent))[:1]) for agent in drive.agents[1:]]
    return tuple(agent for agent, held in firsts if held and (own is None or held[0].time_us < own.time_us))


def _seen_by(agent: AgentName) -> Callable[[Look], bool]:
    return lambda look: look.seen_by([agent])


def sights_of(drive: Drive) -> Sights | None:
    """The sights of a drive that ends at its hazard; None if the ego touches nothing, or something else."""
    contact = drive.contact
    if contact is None or contact.other != drive.hazard:
        return None

    def ttc(agents: Sequence[AgentName]) -> float | None:
        look = first_look(drive, agents)
        return None if look is None else (contact.way_us - look.time_us) / 1e6

    channel, compute = drive.scenario.channel, drive.scenario.compute
    return Sights(
        ttc_solo_s=ttc([drive.ego]),
        ttc_team_s=ttc(drive.agents),
        early=early_agents(drive),
        t_stop_s=stopping_time(contact.way_speed_mps) + compute.detect_ms / 1e3,
        delay_s=(compute.encode_ms + channel.latency_ms + channel.jitter_ms) / 1e3 + 1.0 / RATE_HZ,
    )


def stopping_time(speed_mps: float) -> float:
    """How long before its way, reached at this speed, a road user must be seen to be stopped for [s]."""
    return speed_mps / (2.0 * PlannerConfig().hardest_brake_mps2) + T_REACT_S


def lasting_sight(looks: Sequence[Look], seen: Callable[[Look], bool]) -> Look | None:
    """The first look of a sight that lasts: enough for a track, which from there to the end never dies.

    A glimpse that no other one is near makes no track; one that is lost for longer than a track lives is forgotten.
    """
    memory_us = TrackerConfig().death_s * 1e6
    first: Look | None = None
    lost_us = looks[-1].time_us
    for look in reversed(_held(looks, seen)):
        if lost_us - look.time_us > memory_us:
            break
        first, lost_us = look, look.time_us
    return first


def _held(looks: Sequence[Look], seen: Callable[[Look], bool]) -> list[Look]:
    """The looks of which there are enough at a time for a track."""
    config = TrackerConfig()
    glimpses = [look for look in looks if seen(look)]
    times = [look.time_us for look in glimpses]
    near_us = config.birth_window_s * 1e6
    return [
        look for look in glimpses if sum(abs(look.time_us - other) <= near_us for other in times) >= config.birth_hits
    ]


@dataclass(frozen=True, slots=True)
class Spread:
    """Least, middle and greatest of some values."""

    least: float
    median: float
    most: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """Of one value or more."""
        return Spread(min(values), statistics.median(values), max(values))

    def __str__(self) -> str:
        return f"{self.least:.2f}/{self.median:.2f}/{self.most:.2f}"
