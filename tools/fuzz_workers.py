"""Fuzz batches in several processes: one that dies or hangs costs one payload, which is named."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import torch
from fuzz_checks import Batch, Checker, Failure, Outcome, batch_payloads, limit_address_space
from fuzz_payloads import Corpus

from carla_cp.codecs import load_codec
from carla_cp.lifeline import end_with_parent
from carla_cp.perception.config import CONFIG, load_config

PATIENCE_S = 120.0  # wall time that a worker may spend on one payload
_LOOK_S = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What all workers share."""

    checkpoint: Path
    corpora: tuple[Corpus, ...]
    patience_s: float = PATIENCE_S


@dataclass(frozen=True, slots=True)
class Work:
    """A batch, without the payloads that ended a worker before."""

    batch: Batch
    left_out: frozenset[int] = frozenset()


def outcomes(plan: Plan, batches: Sequence[Batch], jobs: int) -> Iterator[Outcome | Failure]:
    """What comes of every batch, in no fixed order, and of every payload that ended a process.

    No process outlives this generator.
    """
    waiting = deque(Work(batch) for batch in batches)
    with _workers(plan, min(jobs, len(batches))) as workers:
        while True:
            for worker in workers:
                if worker.work is None and waiting:
                    worker.give(waiting.popleft())
            busy = {worker.pipe: worker for worker in workers if worker.work is not None}
            if not busy:
                return
            ready = connection.wait(list(busy), _LOOK_S)
            for pipe, worker in busy.items():
                if pipe in ready:
                    yield from worker.hear(waiting)
                elif worker.stuck(_LOOK_S if not ready else 0.0):
                    worker.kill()


@contextmanager
def _workers(plan: Plan, count: int) -> Iterator[list[_Worker]]:
    workers = [_Worker(plan) for _ in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()


class _Worker:
    """One process and the batch that it runs."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.work: Work | None = None
        self._seen, self._waited = -1, 0.0
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.place: Synchronized[int] = context.Value("q", -1, lock=False)
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(self.plan, theirs, self.place), daemon=True)
        usual = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which it inherits: Ctrl-C is for us alone
        self._process.start()
        signal.signal(signal.SIGINT, usual)
        theirs.close()

    def give(self, work: Work) -> None:
        """Has it run a batch."""
        self.work, self._seen, self._waited = work, -1, 0.0
        with suppress(ConnectionError):  # it died while it had nothing to do; hear() will tell
            self.pipe.send(work)

    def hear(self, waiting: deque[Work]) -> Iterator[Outcome | Failure]:
        """Its outcome; where it died, the payload to blame, and the rest of the batch waits again.

        Raises RuntimeError for one that died before it tried anything.
        """
        work = self.work
        assert work is not None
        self.work = None
        try:
            outcome: Outcome = self.pipe.recv()
        except (EOFError, ConnectionError):
            self.kill()
            place, status = self.place.value, self._process.exitcode
            if place < 0:
                raise RuntimeError(f"a worker ended with status {status} before it tried a payload") from None
            _, payload = batch_payloads(work.batch, self.plan.corpora)[place]
            name = self.plan.corpora[work.batch.which].codec
            yield Failure(name, work.batch.whole, f"the process ended with status {status}", payload)
            waiting.appendleft(Work(work.batch, work.left_out | {place}))
            self._start()
        else:
            yield outcome

    def stuck(self, waited_s: float) -> bool:
        """Whether it has been with one payload for too long, now that it was waited for again."""
        place = self.place.value
        self._waited = self._waited + waited_s if place == self._seen else 0.0
        self._seen = place
        return self._waited > self.plan.patience_s

    def kill(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.join()


def _work(plan: Plan, pipe: Connection[Outcome, Work], place: Synchronized[int]) -> None:
    end_with_parent()
    torch.set_num_threads(1)
    config = load_config(plan.checkpoint / CONFIG)
    checkers: dict[int, Checker] = {}
    limit_address_space()

    def before(at: int) -> None:
        place.value = at

    with suppress(EOFError, ConnectionError):
        while True:
            work = pipe.recv()
            which = work.batch.which
            if which not in checkers:
                name = plan.corpora[which].codec
                checkers[which] = Checker(name, load_codec(name, plan.checkpoint), config)
                checkers[which].warm(plan.corpora[which])
            pipe.send(checkers[which].run(work.batch, plan.corpora, before, work.left_out))
            place.value = -1
