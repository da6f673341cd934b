"""Runs tasks on a Ray cluster: one task of Ray is one episode, with a session and a server of its own on its node.

Every node needs this package, and the scenario's map and trace and the checkpoint under the paths that they have here:
the same checkout, or one that all share. Who plays what, and when, changes nothing in an episode.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from carla_cp.options import OptionError, RunOptions
from carla_cp.session import Task, open_session
from carla_cp.types import Scenario, TickRecord
from carla_cp.workers import Finished, Turn, Turns, end_without_server, play, told
from carla_cp.world import World

LOCAL = "local"  # an address: a cluster of this machine alone, which ends with us


class ClusterError(Exception):
    """A task of the cluster ended without a result."""


class Cluster(Protocol):
    """What we need of Ray."""

    def start(self, options: RunOptions, task: Task) -> Any:
        """Has `play_episode` called somewhere; returns a handle."""

    def first(self, handles: list[Any]) -> Any:
        """One that has ended."""

    def result(self, handle: Any) -> Finished:
        """What came of it; raises ClusterError where its process or node died."""


def play_on(cluster: Cluster, options: RunOptions, tasks: Iterable[Task]) -> Generator[Finished, None, None]:
    """Plays the tasks, `options.jobs` at a time and in no fixed order; one whose process died is played again."""
    turns = Turns(tasks)
    running: dict[Any, Turn] = {}
    while True:
        while len(running) < options.jobs and (turn := turns.next()) is not None:
            shipped = replace(turn.task, scenario=_anywhere(turn.task.scenario))
            running[cluster.start(_alone(options, shipped), shipped)] = turn
        if not running:
            return
        handle = cluster.first(list(running))
        turn = running.pop(handle)
        try:
            finished: Finished | None = replace(cluster.result(handle), task=turn.task)
        except ClusterError as error:
            finished = turns.again(turn, str(error))
        if finished is not None:
            yield finished


def play_episode(options: RunOptions, task: Task) -> Finished:
    """Plays one task in this process, in a session of its own; whatever goes wrong is its result."""
    for path in (task.scenario.map_file, task.scenario.channel.trace_file):
        if path is not None and not path.is_file():
            return Finished(task, None, f"{path} is not on this node; every node needs the same checkout in its place")
    try:
        with open_session(options, end_without_server) as session:
            return play(session, task, _nobody)
    except Exception as error:  # of this node, perhaps: the others go on
        return Finished(task, None, told(error))


@contextmanager
def ray_cluster(address: str) -> Iterator[Cluster]:
    """The Ray cluster at an address, `auto` and `local` included, until the block ends.

    Raises OptionError without Ray, and where no cluster answers.
    """
    try:
        import ray
    except ImportError:
        raise OptionError(
            f'--ray {address}: Ray is not installed; pip install "carla_cp[ray]", or leave out --ray and use --jobs'
        ) from None
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise OptionError(f"--ray {address}: {text}; give a head node's HOST:PORT, auto or {LOCAL}") from error
    try:
        yield _Ray(ray)
    finally:
        ray.shutdown()


class _Ray:
    """`Cluster` by Ray."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._play: Callable[..., Any] = ray.remote(num_cpus=1, max_retries=0)(play_episode).remote

    def start(self, options: RunOptions, task: Task) -> Any:
        return self._play(options, task)

    def first(self, handles: list[Any]) -> Any:
        return self._ray.wait(handles, num_returns=1)[0][0]

    def result(self, handle: Any) -> Finished:
        try:
            finished: Finished = self._ray.get(handle)
        except self._ray.exceptions.RayError as error:
            raise ClusterError(str(error).partition("\n")[0]) from error
        return finished


@contextmanager
def _nobody(task: Task, world: World) -> Iterator[Callable[[TickRecord], None]]:
    yield lambda record: None


def _anywhere(scenario: Scenario) -> Scenario:
    """The scenario with paths that mean the same in every folder."""
    trace = scenario.channel.trace_file
    channel = replace(scenario.channel, trace_file=None if trace is None else trace.resolve())
    return replace(scenario, map_file=scenario.map_file.resolve(), channel=channel)


def _alone(options: RunOptions, task: Task) -> RunOptions:
    """The run of one task, which is what a node gets."""
    checkpoint = options.checkpoint.resolve() if options.checkpoint.is_dir() else options.checkpoint
    return replace(
        options,
        scenarios=(task.scenario,),
        choices=(task.choice,),
        seeds=(task.seed,),
        checkpoint=checkpoint,
        out=Path(),
    )
