"""Frames in a given order, read ahead by worker processes; what cannot be read is left out and counted."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TypeAlias

from carla_cp.datasets.source import Dataset
from carla_cp.lifeline import end_with_parent
from carla_cp.opv2v import DatasetError, Note, Reading
from carla_cp.types import Frame

_Answer: TypeAlias = Reading | Note  # what was read, or why not


@dataclass(slots=True)
class Tally:
    """How many frames came, how many were left out, and what was noticed: by reason, with the first file's message."""

    read: int = 0
    skipped: dict[str, list[str]] = field(default_factory=dict)  # reason: every message
    noticed: dict[str, list[str]] = field(default_factory=dict)  # reason: every file

    @property
    def left_out(self) -> int:
        """Frames that could not be read."""
        return sum(map(len, self.skipped.values()))

    def count(self, answer: Reading | Note) -> None:
        """Counts one frame: what was read of it, or why it was not."""
        if isinstance(answer, Note):
            self.skipped.setdefault(answer.reason, []).append(answer.where)
            return
        self.read += 1
        for note in answer.notes:
            self.noticed.setdefault(note.reason, []).append(note.where)

    def __str__(self) -> str:
        """One line for all, and one for each reason."""
        lines = [f"{self.read} frames read, {self.left_out} left out"]
        lines += [f"  left out: {why}, {len(all_)} x; first: {all_[0]}" for why, all_ in sorted(self.skipped.items())]
        lines += [f"  noticed: {why}, {len(all_)} x; first: {all_[0]}" for why, all_ in sorted(self.noticed.items())]
        return "\n".join(lines)


def stream_frames(
    dataset: Dataset, order: Sequence[int], workers: int = 0, tally: Tally | None = None
) -> Iterator[tuple[int, Frame]]:
    """(index, frame) for every index of `order` whose frame can be read, in that order.

    The frames are the same for any number of worker processes (0: this process reads), each of which reads one frame
    ahead and ends with this process. `tally` counts what came and what did not. Raises RuntimeError if a worker dies.
    """
    for index in order:
        dataset.locate(index)  # a wrong index is the caller's fault, told before the first frame
    counted = Tally() if tally is None else tally
    answers = _answers_here(dataset, order) if workers == 0 else _answers(dataset, order, min(workers, len(order)))
    for index, answer in zip(order, answers, strict=True):
        counted.count(answer)
        if isinstance(answer, Reading):
            yield index, answer.frame


def _answer(dataset: Dataset, index: int) -> _Answer:
    try:
        return dataset.read(index)
    except DatasetError as error:
        return Note(error.reason, str(error))


def _answers_here(dataset: Dataset, order: Sequence[int]) -> Iterator[_Answer]:
    return (_answer(dataset, index) for index in order)


def _answers(dataset: Dataset, order: Sequence[int], workers: int) -> Iterator[_Answer]:
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pipes: list[Connection[_Answer, _Answer]] = []
        for first in range(workers):
            ours, theirs = context.Pipe(duplex=False)
            arguments = (dataset, tuple(order[first::workers]), theirs)
            process = context.Process(target=_work, args=arguments, daemon=True)
            process.start()
            theirs.close()
            stack.callback(process.join)
            stack.callback(process.terminate)
            stack.callback(ours.close)
            pipes.append(ours)
        for position in range(len(order)):
            try:
                yield pipes[position % workers].recv()
            except (EOFError, OSError) as error:  # at a message, or in the midst of one
                raise RuntimeError("a worker that reads frames died; is there enough memory for it?") from error


def _work(dataset: Dataset, indices: Sequence[int], answers: Connection[_Answer, _Answer]) -> None:
    end_with_parent()
    with suppress(KeyboardInterrupt, BrokenPipeError):
        for index in indices:
            answers.send(_answer(dataset, index))
