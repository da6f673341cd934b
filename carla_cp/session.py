"""What an episode needs besides its scenario: a server, the networks, and whoever watches."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from carla_cp.driving.planners import PLANNERS
from carla_cp.episode import run_episode
from carla_cp.heap import keep_freed_memory
from carla_cp.networks import Networks, agents_pool, load_networks, repeatable
from carla_cp.options import RunOptions
from carla_cp.scenario import draw_scenario
from carla_cp.types import AgentName, CodecChoice, Episode, Scenario, TickRecord
from carla_cp.world import World, check_apart, embedded_server


@dataclass(frozen=True, slots=True)
class Task:
    """One episode to run; the scenario is not drawn yet."""

    scenario: Scenario
    choice: CodecChoice
    seed: int

    @property
    def name(self) -> str:
        """`intersection/revqom@2000/0`: where its results lie, and how messages call it."""
        return f"{self.scenario.name}/{self.choice.label}/{self.seed}"


@dataclass(frozen=True, slots=True)
class Session:
    """A connected world and loaded networks."""

    world: World
    networks: Networks
    pool: Executor  # where agents look at their sweeps, side by side
    planner: str = "fixed"  # in PLANNERS

    def check(self, scenarios: Sequence[Scenario], seeds: Sequence[int]) -> None:
        """Raises WorldError for a blueprint that this server does not have, and for one actor inside another."""
        for scenario in scenarios:
            self.world.check_blueprints(scenario)
        shapes = self.world.shapes(scenarios)
        for scenario in scenarios:
            check_apart(scenario, seeds, shapes)

    def play(self, task: Task, watch: Callable[[TickRecord], None]) -> Episode:
        """Runs one episode from a freshly loaded map; `watch` sees every record as it comes, with its sweeps."""
        began = time.perf_counter()
        detector, codec = self.networks.detector, self.networks.codec(task.choice)
        self.world.load(task.scenario.map_file)
        drawn = draw_scenario(task.scenario, task.seed)
        ticks = run_episode(
            self.world, drawn, task.choice, task.seed, detector, codec, self.pool, PLANNERS[self.planner]
        )
        records: list[TickRecord] = []
        while True:
            try:
                record = next(ticks)
            except StopIteration as stop:
                wall_s, ego = time.perf_counter() - began, AgentName(drawn.ego.rolename)
                facts = task.scenario.name, task.choice, task.seed, stop.value
                return Episode(*facts, tuple(records), wall_s, ego, _hazard(drawn))
            watch(record)
            records.append(replace(record, sweeps=()))


def _hazard(scenario: Scenario) -> str | None:
    return scenario.hazards[0].rolename if scenario.hazards else None


@contextlib.contextmanager
def open_session(options: RunOptions, died: Callable[[], None] | None = None) -> Iterator[Session]:
    """Loads the networks, then connects, to an embedded server of its own unless `--host` names another.

    `died` is called, in a thread of its own, when the embedded server ends before its time. Raises CheckpointError,
    CodecError or WorldError, each with one line that names the thing and the mend.
    """
    keep_freed_memory()
    with contextlib.ExitStack() as stack:
        stack.enter_context(repeatable())
        networks = load_networks(options.checkpoint, options.device, options.fusion, options.choices)
        if options.host is None:
            host, port = stack.enter_context(embedded_server(died))
        else:
            host, port = options.host, options.port
        world = World(host, port)
        stack.callback(world.close)
        pool = stack.enter_context(agents_pool())
        session = Session(world, networks, pool, options.planner)
        session.check(options.scenarios, options.seeds)
        yield session
