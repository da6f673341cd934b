"""Makes scenes in several processes, each with an embedded server of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path

from simulate_scene import Job, make_scene
from tqdm import tqdm

from carla_cp.lifeline import end_with_parent
from carla_cp.world import World, WorldError, embedded_server

ATTEMPTS = 2  # of a scene; the second on a fresh server
STOP_TIMEOUT_S = 10.0
SERVER_DIED = 3  # exit status of a process whose server ended


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one scene; `error` is empty when all went well."""

    folder: Path
    error: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How many frames of its scene a process has written."""

    frames: int


@dataclass(frozen=True, slots=True)
class Unable:
    """Why a process can make no scene at all."""

    reason: str


def make_scenes(jobs: Sequence[Job], processes: int) -> list[Done]:
    """Makes all scenes on so many processes; returns those that failed ATTEMPTS times.

    A process that dies in a scene (the CARLA client is native code), or whose server does, costs that attempt alone.
    Raises WorldError where no server starts.
    """
    waiting = deque((job, 1) for job in jobs)
    failed: list[Done] = []
    with _workers(processes) as workers, tqdm(total=sum(job.frames for job in jobs), unit="frame", disable=None) as bar:
        while True:
            for worker in workers:
                if worker.job is None and waiting:
                    worker.give(*waiting.popleft())
            busy = {worker.pipe: worker for worker in workers if worker.job is not None}
            if not busy:
                return failed
            for pipe in connection.wait(list(busy)):
                worker = next(worker for worker in busy.values() if worker.pipe is pipe)
                bar.update(_hear(worker, waiting, failed))


def _hear(worker: _Worker, waiting: deque[tuple[Job, int]], failed: list[Done]) -> int:
    """Takes one message of a worker; returns how many frames there are more, or fewer where a scene begins anew."""
    job, attempt, before = worker.job, worker.attempt, worker.frames
    assert job is not None
    said = worker.hear()
    if isinstance(said, Progress):
        return said.frames - before
    if not said.error:
        return job.frames - before
    if attempt < ATTEMPTS:
        waiting.append((job, attempt + 1))
    else:
        failed.append(said)
    return -before


@contextmanager
def _workers(count: int) -> Iterator[list[_Worker]]:
    """So many processes; none of them outlives the context."""
    workers = [_Worker() for _ in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.pipe.close()  # ends it at its next word
        for worker in workers:
            worker.end()


class _Worker:
    """One process and the scene it makes."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.attempt = self.frames = 0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs,), daemon=True)
        usual = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which it inherits: Ctrl-C is for us alone
        self._process.start()
        signal.signal(signal.SIGINT, usual)
        theirs.close()

    def give(self, job: Job, attempt: int) -> None:
        """Has it make a scene."""
        self.job, self.attempt, self.frames = job, attempt, 0
        with suppress(ConnectionError):  # it died while it had nothing to do; hear() will tell
            self.pipe.send(job)

    def hear(self) -> Done | Progress:
        """Its next message; a process that died is replaced, and is an error.

        Raises WorldError where no server starts.
        """
        assert self.job is not None
        try:
            said: Done | Progress | Unable = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.pipe.close()
            self.end()
            said = Done(self.job.folder, f"its process ended with status {self._process.exitcode}\n")
            self._start()
        if isinstance(said, Unable):
            raise WorldError(said.reason)
        if isinstance(said, Progress):
            self.frames = said.frames
        else:
            self.job = None
        return said

    def end(self) -> None:
        """Waits for the process, whose pipe is closed, to end."""
        self._process.join(STOP_TIMEOUT_S)
        self._process.terminate()
        self._process.join()


def work(pipe: Connection[Done | Progress | Unable, Job]) -> None:
    """Makes the scenes that come through the pipe until it is closed; what failed gets a fresh server."""
    end_with_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with suppress(EOFError, ConnectionError):
        while True:
            _serve(pipe)


def _serve(pipe: Connection[Done | Progress | Unable, Job]) -> None:
    """Makes scenes on one server until one fails."""
    with ExitStack() as stack:
        try:
            host, port = stack.enter_context(embedded_server(_end))
            world = stack.enter_context(closing(World(host, port)))
        except WorldError as error:
            pipe.send(Unable(str(error)))
            return
        while True:
            job = pipe.recv()
            done = _outcome(world, job, pipe)
            pipe.send(done)
            if done.error:
                return


def _end() -> None:
    """Without its server this process is of no use; another takes its place."""
    os._exit(SERVER_DIED)


def _outcome(world: World, job: Job, pipe: Connection[Done | Progress | Unable, Job]) -> Done:
    try:
        make_scene(world, job, lambda frames: pipe.send(Progress(frames)))
    except ConnectionError:
        raise  # nobody listens any more
    except Exception:  # one bad scene must not end the others; it is reported in full
        return Done(job.folder, traceback.format_exc())
    return Done(job.folder, "")
