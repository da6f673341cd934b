"""A cluster plays what it is given wherever it likes: what is shipped, what is played again, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from carla_cp.cluster import ClusterError, play_episode, play_on
from carla_cp.codecs import parse_choice
from carla_cp.options import RunOptions, build_parser, parse_options
from carla_cp.run import main
from carla_cp.session import Task
from carla_cp.workers import Finished
from tests.metrics.builders import crossing

INTERSECTION = Path(os.path.relpath(Path(__file__).resolve().parent.parent / "scenarios" / "intersection.xml"))
HAS_RAY = importlib.util.find_spec("ray") is not None


class Pool:
    """A cluster of nobody: what was begun last is finished first, and a seed may die so many times."""

    def __init__(self, deaths: int = 0) -> None:
        self.shipped: dict[int, tuple[RunOptions, Task]] = {}
        self.most = 0
        self.deaths = deaths

    def start(self, options: RunOptions, task: Task) -> int:
        handle = len(self.shipped)
        self.shipped[handle] = options, task
        return handle

    def first(self, handles: list[Any]) -> Any:
        self.most = max(self.most, len(handles))
        return handles[-1]

    def result(self, handle: int) -> Finished:
        _, task = self.shipped[handle]
        if task.seed == 1 and self.deaths > 0:
            self.deaths -= 1
            raise ClusterError("the node died")
        return Finished(task, crossing())


@pytest.fixture
def options() -> RunOptions:
    return parse_options(build_parser().parse_args([str(INTERSECTION), "--jobs", "2", "--codec", "none"]))


def tasks(options: RunOptions) -> Iterator[Task]:
    return (Task(options.scenarios[0], parse_choice("none"), seed) for seed in range(4))


def test_every_task_comes_back_as_it_was_given_and_never_more_than_the_jobs_run(options: RunOptions) -> None:
    pool = Pool()
    finished = list(play_on(pool, options, tasks(options)))
    assert sorted(item.task.seed for item in finished) == [0, 1, 2, 3] and pool.most == 2
    assert {item.task for item in finished} == set(tasks(options))


def test_a_node_gets_one_task_with_paths_that_mean_the_same_everywhere(options: RunOptions) -> None:
    pool = Pool()
    list(play_on(pool, options, tasks(options)))
    for given, task in pool.shipped.values():
        assert given.scenarios == (task.scenario,) and given.seeds == (task.seed,) and given.choices == (task.choice,)
        assert task.scenario.map_file.is_absolute() and given.checkpoint.is_absolute()


def test_what_dies_is_played_again_and_given_up_at_last(options: RunOptions) -> None:
    assert all(item.episode for item in play_on(Pool(deaths=2), options, tasks(options)))
    (failed,) = [item for item in play_on(Pool(deaths=9), options, tasks(options)) if item.episode is None]
    assert failed.task.seed == 1 and failed.error == "3 times, at last: the node died"


def test_a_node_without_the_map_says_so(options: RunOptions, tmp_path: Path) -> None:
    scenario = replace(options.scenarios[0], map_file=tmp_path / "nowhere.xodr")
    assert "nowhere.xodr is not on this node" in play_episode(options, Task(scenario, parse_choice("none"), 0)).error


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_the_mend_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(INTERSECTION), "--codec", "none", "--ray", "auto", "--out", str(tmp_path / "run")]) == 2
    assert 'pip install "carla_cp[ray]"' in capsys.readouterr().err


@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed")
@pytest.mark.filterwarnings("default")
def test_a_ray_cluster_gives_the_same_episodes_as_this_process(tmp_path: Path) -> None:
    found = []
    for name, more in (("here", []), ("ray", ["--ray", "local", "--jobs", "2"])):
        options = ["--codec", "none", "--seeds", "0-1", "--set", "timeout_s=1", "--out", str(tmp_path / name)]
        assert main([str(INTERSECTION), *options, *more]) == 0
        episodes = json.loads((tmp_path / name / "summary.json").read_text())["episodes"]
        found.append([{key: value for key, value in item.items() if key not in EXEMPT} for item in episodes])
    assert found[0] == found[1]


EXEMPT = ("wall_s", "latency_ms")
