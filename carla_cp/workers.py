"""Runs tasks one after another here, or several at a time in processes that each own a session."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import TypeAlias

from carla_cp.lifeline import end_with_parent
from carla_cp.options import RunOptions
from carla_cp.session import Session, Task, open_session
from carla_cp.spectators import Spectators
from carla_cp.types import Episode, TickRecord
from carla_cp.world import WorldError

ATTEMPTS = 3
Watching: TypeAlias = Callable[[Task], AbstractContextManager[Callable[[TickRecord], None]]]  # around one episode


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """What came of a task: its episode, or the error that ended it."""

    task: Task
    episode: Episode | None
    error: str = ""


def play_here(session: Session, tasks: Sequence[Task], watching: Watching) -> Iterator[Finished]:
    """Plays the tasks in order in this process; one that fails does not stop the rest."""
    for task in tasks:
        yield play(session, task, watching)


def play(session: Session, task: Task, watching: Watching) -> Finished:
    """Plays one task; a world that fails is its result, and whoever watches is told of the failure."""
    try:
        with watching(task) as watch:
            return Finished(task, session.play(task, watch))
    except (WorldError, RuntimeError) as error:
        return Finished(task, None, " ".join(str(error).split()))


def play_in_processes(options: RunOptions, tasks: Sequence[Task]) -> Iterator[Finished]:
    """Plays the tasks in `options.jobs` processes, in no fixed order; none of them outlives this generator.

    A process that dies in the middle of a task (the CARLA client is native code) is replaced, and its task played
    again, up to ATTEMPTS times.
    """
    with open_session(options):  # bad input is told once, by us, before any process starts
        pass
    waiting = deque((task, 1) for task in tasks)
    with ExitStack() as stack:
        workers = [_Worker(options) for _ in range(min(options.jobs, len(tasks)))]
        for worker in workers:
            stack.callback(worker.stop)
            worker.give(waiting)
        busy = [worker for worker in workers if worker.task is not None]
        while busy:
            ready = connection.wait([worker.pipe for worker in busy])
            for worker in [worker for worker in busy if worker.pipe in ready]:
                finished = worker.take(waiting)
                if finished is not None:
                    yield finished
                worker.give(waiting)
            busy = [worker for worker in workers if worker.task is not None]


class _Worker:
    """One process with a session of its own, and the task it plays."""

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self.task: Task | None = None
        self._attempt = 0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(self._options, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, waiting: deque[tuple[Task, int]]) -> None:
        """Starts the next task that waits, if any."""
        self.task = None
        if waiting:
            self.task, self._attempt = waiting.popleft()
            self.pipe.send(self.task)

    def take(self, waiting: deque[tuple[Task, int]]) -> Finished | None:
        """What came of the task; None when the process died and the task waits again."""
        assert self.task is not None
        try:
            finished: Finished = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.stop()
            status = self._process.exitcode
            self._start()
            if self._attempt < ATTEMPTS:
                waiting.append((self.task, self._attempt + 1))
                return None
            return Finished(self.task, None, f"its process ended {ATTEMPTS} times, the last time with status {status}")
        return finished

    def stop(self) -> None:
        """Ends the process; its server ends with it."""
        self._process.terminate()
        self._process.join()
        self.pipe.close()


def _work(options: RunOptions, tasks: Connection[Finished, Task]) -> None:
    end_with_parent()
    with suppress(KeyboardInterrupt, EOFError), open_session(options) as session, Spectators(options) as spectators:
        while True:
            tasks.send(play(session, tasks.recv(), lambda task: spectators.watching(task, session.world)))
