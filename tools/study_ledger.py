"""Finished episodes of a study, one line of JSON each: appended and synced, so that a kill loses none."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from carla_cp.metrics.fields import Fields, StoredError
from carla_cp.metrics.stored import summary_from_json, summary_to_json
from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.types import CodecChoice

LINE_KEYS = "conditions commit machine episode"


class LedgerError(Exception):
    """A ledger cannot be used; the message is one line that names it and the mend."""


@dataclass(frozen=True, slots=True)
class Key:
    """Which episode of a study a line is."""

    scenario: str
    settings: tuple[str, ...]  # `--set` values
    codec: str  # `CodecChoice.label`
    seed: int


@dataclass(frozen=True, slots=True)
class Line:
    """One finished episode, and where it comes from."""

    key: Key
    conditions: int  # `carla_cp.conditions`
    commit: str
    machine: str
    summary: EpisodeSummary | None  # None: of a version whose summaries this one cannot read


def read_ledger(path: Path) -> tuple[Line, ...]:
    """The newest line of every episode, in the order in which they were first played; none of a file that is not there.

    A last line without its end, which a kill left, does not count. Raises LedgerError for any other that is no line.
    """
    newest: dict[Key, Line] = {}
    data = path.read_bytes() if path.is_file() else b""
    for number, text in enumerate(data[: _whole(data)].splitlines(), 1):
        line = _line(text, f"{path}, line {number}")
        newest[line.key] = line
    return tuple(newest.values())


@contextmanager
def open_ledger(path: Path) -> Iterator[Ledger]:
    """The ledger to append to, ours alone meanwhile; half a line at its end is cut off.

    Raises LedgerError while another process has it open.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LedgerError(
                f"{path}: another sitting writes it; wait for its end, or give another --ledger"
            ) from None
        os.ftruncate(descriptor, _whole(path.read_bytes()))
        yield Ledger(descriptor)
    finally:
        os.close(descriptor)


class Ledger:
    """An open ledger."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def append(self, line: Line) -> None:
        """Writes one line; it is on the disk when this returns."""
        assert line.summary is not None
        document = {
            "conditions": f"{line.conditions:08x}",
            "commit": line.commit,
            "machine": line.machine,
            "episode": summary_to_json(line.summary),
        }
        left = (json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n").encode()
        while left:
            left = left[os.write(self._descriptor, left) :]
        os.fsync(self._descriptor)


def _whole(data: bytes) -> int:
    """Bytes of the lines that have their end."""
    return data.rfind(b"\n") + 1


def _line(text: bytes, where: str) -> Line:
    try:
        item = Fields.of(json.loads(text), where, LINE_KEYS)
        conditions = int(item.text("conditions"), 16)
        commit, machine = item.text("commit"), item.text("machine")
        key = _key(item.values["episode"], where)
    except (ValueError, RecursionError) as error:  # StoredError is one
        raise LedgerError(f"{where}: no finished episode ({error}); restore or delete the line") from error
    try:
        return Line(key, conditions, commit, machine, summary_from_json(item.values["episode"], where))
    except StoredError:
        return Line(key, conditions, commit, machine, None)


def _key(episode: object, where: str) -> Key:
    """The key of an episode object of any version."""
    item = Fields.open(episode, where, "scenario settings codec budget_bytes seed")
    choice = CodecChoice(item.text("codec"), item.integer_or_none("budget_bytes"))
    return Key(item.text("scenario"), item.texts("settings"), choice.label, item.integer("seed"))
