"""Cooperative perception in somebody else's CARLA loop: it senses, shares, fuses and detects; it never ticks or drives.

with carla_cp.attach(world, ego, [partner], "revqom@2KB", "fixed latency_ms=50") as team:
    while ...:
        world.tick()
        record = team.tick(world.get_snapshot())
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from carla_cp.codecs import parse_choice
from carla_cp.cooperation import Cooperation
from carla_cp.networks import agents_pool, load_networks, repeatable
from carla_cp.options import check_channel, find_checkpoint
from carla_cp.scenario.link_text import channel_of
from carla_cp.stopwatch import Stopwatch
from carla_cp.types import (
    AgentName,
    ChannelSpec,
    CodecChoice,
    ComputeSpec,
    LocalizationSpec,
    TeamSpec,
    TickRecord,
    Truth,
)
from carla_cp.world import Guest, LidarKinds

if TYPE_CHECKING:
    from carla_cp.world.guest import Actor, Partner, Snapshot, SomeWorld


class Attached:
    """A team in somebody else's world; `attach` makes one. Use it in a with statement, or close it."""

    def __init__(self, guest: Guest, team: Cooperation, open_things: ExitStack) -> None:
        self._guest, self._team, self._open_things = guest, team, open_things
        self._ticks = 0

    @property
    def agents(self) -> tuple[AgentName, ...]:
        """Who senses, the ego first, by the names that records bear."""
        return self._guest.agents

    def tick(self, snapshot: Snapshot) -> TickRecord:
        """What the team made of the caller's newest tick, to be called with the snapshot of every one.

        Perception results come from the eleventh tick or so, then at every other one, 50 ms after their capture.
        `plan`, `light` and the route's fields are None; `truth` is that of the snapshot, without collisions. Raises
        WorldError, one line, for a snapshot that is not the next, a vehicle that is gone, a sweep that never comes.
        """
        clock = Stopwatch()
        with repeatable():
            now = self._guest.advance(snapshot)
            ego, objects = self._guest.odometry(), self._guest.objects()
            clock.lap("sense")
            perceived = self._team.fuse(now, clock)
            sweeps = self._team.capture(self._guest.sweeps(), objects, clock)
            record = TickRecord(
                tick=self._ticks,
                time_us=now,
                ego=ego,
                light=None,
                plan=None,
                tracks=self._team.tracker.at(now),
                perceived=perceived,
                transmissions=self._team.settled(last=False),
                route_fraction=None,
                route_offset_m=None,
                truth=Truth(self._team.with_returns(objects), (), False),
                times=clock.times(),
                sweeps=sweeps,
            )
        self._ticks += 1
        return record

    def close(self) -> None:
        """Removes the team's LiDARs; everything else in the world stays as the caller has it."""
        self._open_things.close()

    def __enter__(self) -> Attached:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def attach(
    world: SomeWorld,
    ego: Actor,
    partners: Sequence[Partner],
    codec: str | CodecChoice,
    link: str | ChannelSpec = "fixed",
    *,
    checkpoint: str | Path = "mini",
    fusion: str | None = None,
    lidars: LidarKinds = LidarKinds(),  # noqa: B008 - frozen
    localization: LocalizationSpec = LocalizationSpec(),  # noqa: B008 - frozen
    compute: ComputeSpec = ComputeSpec(),  # noqa: B008 - frozen
    seed: int = 0,
    device: str = "cpu",
) -> Attached:
    """LiDARs on the ego and its partners, and what they share, in a synchronous `carla.World` at 20 Hz.

    A partner is a vehicle, or a roadside unit: the `carla.Transform` of its foot on the ground, or (name, transform).
    `codec` is NAME[@BUDGET] as of `--codec`, `link` MODEL [KEY=VALUE ...] with the keys of `<channel>`, `checkpoint` as
    of `--checkpoint`. Raises CodecError, ScenarioError, OptionError, CheckpointError or WorldError, each with one line
    that names the thing and the mend.
    """
    choice = parse_choice(codec) if isinstance(codec, str) else codec
    channel = channel_of(link)
    folder = find_checkpoint(str(checkpoint))
    with ExitStack() as stack:
        guest = Guest(world, ego, partners, lidars, seed)
        stack.callback(guest.close)
        name, *others = guest.agents
        check_channel(channel, name, others, (choice,), "link:")
        with repeatable():
            networks = load_networks(folder, device, fusion, (choice,))
        pool = stack.enter_context(agents_pool())
        spec = TeamSpec(name, guest.rsus, channel, localization, compute, 0)
        team = Cooperation(spec, choice, seed, networks.detector, networks.codec(choice), pool, guest.buildings())
        return Attached(guest, team, stack.pop_all())
