"""Who plays what again, and what is told of an episode that failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from carla_cp import workers
from carla_cp.codecs import parse_choice
from carla_cp.options import RunOptions, build_parser, parse_options
from carla_cp.scenario import load_scenario
from carla_cp.session import Task
from carla_cp.types import Episode, TickRecord
from carla_cp.workers import ATTEMPTS, Turns, play_here, told
from carla_cp.world import World, WorldError
from tests.metrics.builders import crossing

INTERSECTION = Path(__file__).resolve().parent.parent / "scenarios" / "intersection.xml"


def tasks(*seeds: int) -> list[Task]:
    return [Task(load_scenario(INTERSECTION), parse_choice("none"), seed) for seed in seeds]


@contextmanager
def nobody(task: Task, world: World) -> Iterator[Callable[[TickRecord], None]]:
    yield lambda record: None


@dataclass
class Sessions:
    """Sessions that need no server, and play as a seed says: 1 raises, 2 loses its server so many times."""

    losses: int = 0
    opened: int = 0

    @contextmanager
    def open(self, options: RunOptions, died: Callable[[], None]) -> Iterator[Sessions]:
        self.opened += 1
        self._died = died
        yield self

    world = None

    def play(self, task: Task, watch: Callable[[TickRecord], None]) -> Episode:
        if task.seed == 1:
            raise KeyError("a body without a name")
        if task.seed == 2 and self.losses > 0:
            self.losses -= 1
            self._died()
            raise WorldError("the server hangs or was stopped")
        return crossing()


@pytest.fixture
def options() -> RunOptions:
    return parse_options(build_parser().parse_args([str(INTERSECTION)]))


def played(monkeypatch: pytest.MonkeyPatch, options: RunOptions, sessions: Sessions, *seeds: int) -> list[str]:
    """Seeds in the order in which they were finished, with their errors."""
    monkeypatch.setattr(workers, "open_session", sessions.open)
    return [f"{item.task.seed} {item.error}".strip() for item in play_here(options, tasks(*seeds), nobody)]


def test_an_episode_that_fails_in_any_way_is_told_with_its_place_and_the_rest_is_played(
    monkeypatch: pytest.MonkeyPatch, options: RunOptions
) -> None:
    sessions = Sessions()
    zero, one, three = played(monkeypatch, options, sessions, 0, 1, 3)
    assert (zero, three) == ("0", "3") and sessions.opened == 1
    assert one.startswith("1 KeyError: 'a body without a name' (test_workers.py, line ")


def test_an_episode_whose_server_died_is_played_again_on_a_new_one(
    monkeypatch: pytest.MonkeyPatch, options: RunOptions
) -> None:
    sessions = Sessions(losses=2)
    assert played(monkeypatch, options, sessions, 0, 2, 3) == ["0", "2", "3"]
    assert sessions.opened == 3


def test_one_whose_servers_always_die_is_given_up_and_the_rest_is_played(
    monkeypatch: pytest.MonkeyPatch, options: RunOptions
) -> None:
    sessions = Sessions(losses=99)
    two, three = played(monkeypatch, options, sessions, 2, 3)
    assert two == "2 3 times, at last: the server hangs or was stopped" and three == "3"
    assert sessions.losses == 99 - ATTEMPTS


def test_new_tasks_are_taken_when_they_are_asked_for_and_those_to_be_played_again_first() -> None:
    taken: list[int] = []

    def source() -> Iterator[Task]:
        for task in tasks(0, 1, 2):
            taken.append(task.seed)
            yield task

    turns = Turns(source())
    first = turns.next()
    assert first is not None and taken == [0]
    assert turns.again(first, "its process ended: -9") is None
    again = turns.next()
    assert again is not None and (again.task.seed, again.attempt, taken) == (0, 2, [0])
    assert [turn.task.seed for turn in (turns.next(), turns.next()) if turn] == [1, 2] and turns.next() is None


def test_an_error_of_the_world_is_told_as_it_is() -> None:
    assert told(WorldError("two\n lines")) == "two lines"
