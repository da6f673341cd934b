"""Runs tasks one after another here, or several at a time in processes that each own a session."""

from __future__ import annotations

import multiprocessing
import os
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

from carla_cp.lifeline import end_with_parent
from carla_cp.options import RunOptions
from carla_cp.session import Session, Task, open_session
from carla_cp.spectators import Spectators
from carla_cp.types import Episode, TickRecord
from carla_cp.world import World, WorldError

ATTEMPTS = 3
SERVER_DIED = 3  # exit status of a process whose server ended
DEATH_S = 0.5  # within which we hear that a server ended, where that is why an episode failed
Watching: TypeAlias = Callable[[Task, World], AbstractContextManager[Callable[[TickRecord], None]]]  # one episode


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """What came of a task: its episode, or the error that ended it."""

    task: Task
    episode: Episode | None
    error: str = ""


def play_here(options: RunOptions, tasks: Iterable[Task], watching: Watching) -> Generator[Finished, None, None]:
    """Plays the tasks in order in this process; one that fails does not stop the rest.

    One whose embedded server died is played again on a new one, up to ATTEMPTS times.
    """
    turns = Turns(tasks)
    turn = turns.next()
    while turn is not None:
        lost = threading.Event()
        with open_session(options, lost.set) as session:
            while turn is not None and not lost.is_set():
                finished: Finished | None = play(session, turn.task, watching)
                if finished is not None and finished.episode is None and lost.wait(DEATH_S):
                    finished = turns.again(turn, finished.error)
                if finished is not None:
                    yield finished
                turn = turns.next()


def play(session: Session, task: Task, watching: Watching) -> Finished:
    """Plays one task; whatever goes wrong in it is its result, and whoever watches is told of the failure."""
    try:
        with watching(task, session.world) as watch:
            return Finished(task, session.play(task, watch))
    except Exception as error:  # one bad episode must not end the others
        return Finished(task, None, told(error))


def told(error: Exception) -> str:
    """An error in one line; one that is not the world's with its kind and place."""
    text = " ".join(str(error).split())
    if isinstance(error, WorldError):
        return text
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {text} ({Path(place.filename).name}, line {place.lineno})"


def play_in_processes(options: RunOptions, tasks: Iterable[Task]) -> Generator[Finished, None, None]:
    """Plays the tasks in `options.jobs` processes, in no fixed order; none of them outlives this generator.

    A task is taken when a process is free for it. A process that dies in the middle of a task (the CARLA client is
    native code), or whose server does, is replaced, and its task played again, up to ATTEMPTS times.
    """
    with open_session(options):  # bad input is told once, by us, before any process starts
        pass
    turns = Turns(tasks)
    with ExitStack() as stack:
        busy: list[_Worker] = []
        while len(busy) < options.jobs and (turn := turns.next()) is not None:
            worker = _Worker(options, turn)
            stack.callback(worker.stop)
            busy.append(worker)
        while busy:
            ready = connection.wait([worker.pipe for worker in busy])
            for worker in [worker for worker in busy if worker.pipe in ready]:
                finished = worker.take(turns)
                if finished is not None:
                    yield finished
                turn = turns.next()
                if turn is None:
                    busy.remove(worker)
                else:
                    worker.give(turn)


@dataclass(frozen=True, slots=True)
class Turn:
    """A task to play, and for which time."""

    task: Task
    attempt: int


class Turns:
    """What is left to play: tasks that something ended which was not theirs, then new ones, as they are asked for."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._new = iter(tasks)
        self._again: deque[Turn] = deque()

    def next(self) -> Turn | None:
        """The next to play; None when nothing is left."""
        if self._again:
            return self._again.popleft()
        task = next(self._new, None)
        return None if task is None else Turn(task, 1)

    def again(self, turn: Turn, error: str) -> Finished | None:
        """Has it played once more; a failure where it was played ATTEMPTS times."""
        if turn.attempt >= ATTEMPTS:
            return Finished(turn.task, None, f"{ATTEMPTS} times, at last: {error}")
        self._again.append(Turn(turn.task, turn.attempt + 1))
        return None


class _Worker:
    """One process with a session of its own, and what it plays."""

    def __init__(self, options: RunOptions, turn: Turn) -> None:
        self._options = options
        self._start()
        self.give(turn)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(self._options, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, turn: Turn) -> None:
        """Has it play one."""
        self._turn = turn
        with suppress(ConnectionError):  # it died while it had nothing to do; take() will tell
            self.pipe.send(turn.task)

    def take(self, turns: Turns) -> Finished | None:
        """What came of it; None when the process died and the task is to be played again."""
        try:
            finished: Finished = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.stop()
            status = self._process.exitcode
            self._start()
            return turns.again(
                self._turn, "its server died" if status == SERVER_DIED else f"its process ended: {status}"
            )
        return finished

    def stop(self) -> None:
        """Ends the process; its server ends with it."""
        self._process.terminate()
        self._process.join()
        self.pipe.close()


def _work(options: RunOptions, tasks: Connection[Finished, Task]) -> None:
    end_with_parent()
    with (
        suppress(KeyboardInterrupt, EOFError),
        open_session(options, end_without_server) as session,
        Spectators(options) as watchers,
    ):
        while True:
            tasks.send(play(session, tasks.recv(), watchers.watching))


def end_without_server() -> None:
    """Ends a process of episodes, which is of no use without its server; another takes its place."""
    os._exit(SERVER_DIED)
