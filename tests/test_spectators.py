"""What is recorded and pictured of an episode that ends well, fails, or is watched in a window that is closed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from carla_cp.options import RunOptions, build_parser, parse_options
from carla_cp.opv2v import read_scene
from carla_cp.session import Task
from carla_cp.spectators import Spectators, recording_folder
from carla_cp.types import TickRecord, Truth, TruthObject
from carla_cp.view import View, ViewInfo
from carla_cp.world import World, WorldError
from tests.metrics import builders
from tests.opv2v.scenes import WORLD, sweeps

INTERSECTION = Path(__file__).resolve().parent.parent / "scenarios" / "intersection.xml"


class EgoAlone:
    """The one thing that a recorder asks of the world."""

    def ego_object(self) -> TruthObject:
        return WORLD[0]


WATCHED = cast(World, EgoAlone())


def options(*arguments: object) -> RunOptions:
    return parse_options(build_parser().parse_args([str(INTERSECTION), *map(str, arguments)]))


def task(chosen: RunOptions, seed: int = 0) -> Task:
    return Task(chosen.scenarios[0], chosen.choices[0], seed)


def record(tick: int) -> TickRecord:
    plain = builders.record(tick, WORLD[0].state)
    return replace(plain, truth=Truth(WORLD[1:], (), False), sweeps=sweeps(plain.time_us))


def test_a_recording_is_there_as_soon_as_its_episode_has_ended(tmp_path: Path) -> None:
    chosen = options("--record", tmp_path)
    with Spectators(chosen) as spectators:
        with spectators.watching(task(chosen), WATCHED) as watch:
            watch(record(0))
            watch(record(2))
        assert len(read_scene(recording_folder(tmp_path, task(chosen)))) == 2


def test_an_episode_that_fails_leaves_no_recording_and_the_next_one_does(tmp_path: Path) -> None:
    chosen = options("--record", tmp_path)
    with Spectators(chosen) as spectators:
        with pytest.raises(WorldError), spectators.watching(task(chosen, 0), WATCHED) as watch:
            watch(record(0))
            raise WorldError("the server is gone")
        assert list(tmp_path.iterdir()) == []
        with spectators.watching(task(chosen, 1), WATCHED) as watch:
            watch(record(0))
    assert list(tmp_path.iterdir()) == [recording_folder(tmp_path, task(chosen, 1))]


def test_a_picture_without_a_time_shows_the_end_of_the_first_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []
    pictured: list[int] = []

    def show(self: View, record: TickRecord, info: ViewInfo) -> bool:
        shown.append(record.tick)
        return True

    monkeypatch.setattr(View, "show", show)
    monkeypatch.setattr(View, "screenshot", lambda self, path: pictured.append(shown[-1]))
    chosen = options("--screenshot", tmp_path / "view.png")
    with Spectators(chosen) as spectators:
        for seed, ticks in enumerate(((0, 1, 2), (0, 1))):
            with spectators.watching(task(chosen, seed), WATCHED) as watch:
                for tick in ticks:
                    watch(record(tick))
    assert pictured == [2]


def test_closing_the_window_ends_the_run_and_nothing_else_goes_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    chosen = options("--view", "--screenshot", tmp_path / "view.png")
    with (
        pytest.raises(KeyboardInterrupt),
        Spectators(chosen) as spectators,
        spectators.watching(task(chosen), WATCHED) as watch,
    ):
        watch(record(0))
        monkeypatch.setattr(View, "show", lambda self, record, info: self.close())
        watch(record(1))
