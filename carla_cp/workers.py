"""Runs tasks one after another here, or several at a time in processes that each own a session."""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue

from carla_cp.options import RunOptions
from carla_cp.session import Session, Task, open_session
from carla_cp.types import Episode, TickRecord
from carla_cp.world import WorldError

POLL_S = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """What came of a task: its episode, or the error that ended it."""

    task: Task
    episode: Episode | None
    error: str = ""


def play_here(session: Session, tasks: Sequence[Task], watch: Callable[[Task, TickRecord], None]) -> Iterator[Finished]:
    """Plays the tasks in order in this process; one that fails does not stop the rest."""
    for task in tasks:
        yield play(session, task, lambda record, task=task: watch(task, record))  # type: ignore[misc]


def play(session: Session, task: Task, watch: Callable[[TickRecord], None]) -> Finished:
    """Plays one task; a world that fails is its result."""
    try:
        return Finished(task, session.play(task, watch))
    except (WorldError, RuntimeError) as error:
        return Finished(task, None, " ".join(str(error).split()))


def play_in_processes(options: RunOptions, tasks: Sequence[Task]) -> Iterator[Finished]:
    """Plays the tasks in `options.jobs` processes, in no fixed order; none of them outlives this generator."""
    context = multiprocessing.get_context("spawn")
    todo: Queue[Task | None] = context.Queue()
    done: Queue[Finished] = context.Queue()
    for task in [*tasks, *[None] * options.jobs]:
        todo.put(task)
    workers = [context.Process(target=_work, args=(options, todo, done), daemon=True) for _ in range(options.jobs)]
    for worker in workers:
        worker.start()
    try:
        for _ in tasks:
            yield _next(done, workers)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _next(done: Queue[Finished], workers: Sequence[BaseProcess]) -> Finished:
    while True:
        try:
            return done.get(timeout=POLL_S)
        except queue.Empty:
            if not any(worker.is_alive() for worker in workers):
                raise WorldError("all worker processes ended early; run again with --resume") from None


def _work(options: RunOptions, todo: Queue[Task | None], done: Queue[Finished]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with open_session(options) as session:
            while (task := todo.get()) is not None:
                done.put(play(session, task, lambda record: None))
    except KeyboardInterrupt:
        return


def _end_with_parent() -> None:
    """A worker whose parent was killed must not play on; its server ends with it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
