"""The command: scenarios x codecs x budgets x seeds to episodes, a table and a report."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from tqdm import tqdm

from carla_cp import __version__
from carla_cp.cluster import play_on, ray_cluster
from carla_cp.codecs import CodecError
from carla_cp.conditions import conditions_of
from carla_cp.forecast import Forecast
from carla_cp.metrics.comparison import comparison
from carla_cp.metrics.fields import StoredError
from carla_cp.metrics.selection import alike, situations
from carla_cp.metrics.summary import summarise, trace
from carla_cp.options import OptionError, RunOptions, build_parser, parse_options
from carla_cp.perception.config import CheckpointError
from carla_cp.recording import RecordingError, read_ticks, write_ticks
from carla_cp.report import (
    RunInfo,
    StoredEpisode,
    episode_path,
    print_table,
    read_circumstances,
    read_episode,
    write_episode,
    write_report,
    write_summary,
)
from carla_cp.scenario import ScenarioError
from carla_cp.session import Task
from carla_cp.spectators import Spectators, recording_folder
from carla_cp.types import CodecChoice, Episode, Scenario, TickRecord
from carla_cp.workers import Finished, play_here, play_in_processes
from carla_cp.world import World, WorldError, check_on_map

BAR = "{percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt} episodes, {desc} [{elapsed}{postfix}]"
BAD_INPUT = (OptionError, ScenarioError, CodecError, CheckpointError, WorldError, RecordingError, StoredError)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status is 0, 1 (an episode failed), 2 (bad input) or 130 (interrupted)."""
    arguments = build_parser().parse_args(argv)
    command = "python -m carla_cp.run " + shlex.join(argv if argv is not None else sys.argv[1:])
    try:
        if arguments.rescore is not None:
            return rescore(arguments.rescore, command)
        return run(parse_options(arguments), command)
    except BAD_INPUT as error:
        print(f"carla_cp: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a full disk, or a folder that was taken away
        print(f"carla_cp: {error}; mend that, or write elsewhere: --resume goes on from there", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ncarla_cp: interrupted; finished episodes are kept, --resume goes on from there", file=sys.stderr)
        return 130


def run(options: RunOptions, command: str) -> int:
    """Plays every episode that is not there yet, then writes the summary and the report."""
    tasks = [
        Task(scenario, choice, seed)
        for scenario in options.scenarios
        for choice in options.choices
        for seed in options.seeds
    ]
    pairs = dict.fromkeys((task.scenario, task.choice) for task in tasks)
    conditions = {pair: conditions_of(options, *pair) for pair in pairs}
    results = _kept(options, tasks, conditions)
    missing = [task for task in tasks if task not in results]
    _check(options, missing)
    failures: list[Finished] = []
    forecast = Forecast(missing, options.jobs, (result.summary for result in results.values()))
    with played(options, missing, forecast) as episodes:
        for finished in episodes:
            task, stored = finished.task, None
            if finished.episode is None:
                failures.append(finished)
            else:
                stored = _save(options, finished.episode, conditions[task.scenario, task.choice])
                results[task] = stored
            forecast.add(task, None if stored is None else stored.summary)
    done = [results[task] for task in tasks if task in results]
    if done:
        conclude(options.out, RunInfo(__version__, options.server, options.device, command), done)
    for failure in failures:
        print(f"carla_cp: {failure.task.name} failed: {failure.error}", file=sys.stderr)
    return 1 if failures else 0


def rescore(out: Path, command: str) -> int:
    """Scores the kept ticks of a run again and rewrites its results; nothing is simulated."""
    recordings = sorted((out / "episodes").glob("*/*/*.ticks"))
    if not recordings:
        raise OptionError(f"--rescore {out}: no .ticks below {out / 'episodes'}; run with --keep-ticks first")
    episodes = [read_ticks(path) for path in tqdm(recordings, unit="episode", dynamic_ncols=True)]
    results = [_score_again(out, episode) for episode in episodes]
    conclude(out, RunInfo(__version__, "recorded", "none", command), results)
    return 0


def _kept(
    options: RunOptions, tasks: Sequence[Task], conditions: Mapping[tuple[Scenario, CodecChoice], int]
) -> dict[Task, StoredEpisode]:
    """The finished episodes that `--resume` goes on from; OptionError where one was run under other conditions.

    One that lacks the ticks or the recording that this run is to keep is not finished.
    """
    paths = {task: episode_path(options.out, task.scenario.name, task.choice, task.seed) for task in tasks}
    there = {task: path for task, path in paths.items() if options.resume and path.is_file()}
    kept = {task: read_episode(path) for task, path in there.items() if _has_what_is_kept(options, task, path)}
    for task, episode in kept.items():
        if episode.conditions != conditions[task.scenario, task.choice]:
            raise OptionError(
                f"--resume: {paths[task]} was run with another scenario, --set, checkpoint, device, server or code; "
                "give another --out, or leave out --resume to run it again"
            )
    return kept


def _has_what_is_kept(options: RunOptions, task: Task, path: Path) -> bool:
    ticks = not options.keep_ticks or path.with_suffix(".ticks").is_file()
    return ticks and (options.record is None or recording_folder(options.record, task).is_dir())


def _check(options: RunOptions, tasks: Sequence[Task]) -> None:
    """Raises ScenarioError, WorldError or OptionError for what would stop a later task, before the first begins."""
    for scenario in dict.fromkeys(task.scenario for task in tasks):
        check_on_map(scenario, list(dict.fromkeys(task.seed for task in tasks if task.scenario is scenario)))
    for task in tasks:
        folder = None if options.record is None else recording_folder(options.record, task)
        if folder is not None and folder.exists():
            raise OptionError(f"--record: {folder} exists; remove it, or give another folder")


def _save(options: RunOptions, episode: Episode, conditions: int) -> StoredEpisode:
    """Scores an episode and writes it, its ticks first: a result that is there always has them."""
    path = episode_path(options.out, episode.scenario, episode.codec, episode.seed)
    if options.keep_ticks:
        write_ticks(path.with_suffix(".ticks"), episode)
    stored = scored(episode, conditions, options.settings)
    write_episode(path, stored)
    return stored


def scored(episode: Episode, conditions: int, settings: tuple[str, ...]) -> StoredEpisode:
    """What is kept of an episode that was run under these `--set` values."""
    summary = replace(summarise(episode, episode.hazard), settings=settings)
    return StoredEpisode(summary, trace(episode.records, episode.hazard), conditions)


def _score_again(out: Path, episode: Episode) -> StoredEpisode:
    """Scores a recorded episode and writes it; what is not recorded (settings, conditions, wall times) stays."""
    path = episode_path(out, episode.scenario, episode.codec, episode.seed)
    stored = scored(episode, 0, ())
    if path.is_file():
        old = read_circumstances(path)
        summary = replace(stored.summary, settings=old.settings, wall_s=old.wall_s, latency_ms=old.latency_ms)
        stored = replace(stored, summary=summary, conditions=old.conditions)
    write_episode(path, stored)
    return stored


def conclude(out: Path, info: RunInfo, results: Sequence[StoredEpisode]) -> None:
    """Writes the summary and the report of all results, and prints their comparison."""
    summaries = [result.summary for result in results]
    write_summary(out / "summary.json", info, summaries)
    write_report(out / "report.html", info, results)
    pooled = situations(alike(summaries))
    names = list(dict.fromkeys(item.scenario for item in pooled))
    if len(names) > 1 or len(pooled) < len(summaries):
        print(f"pooled over {', '.join(names)}; {len(summaries) - len(pooled)} episodes of controls or sweeps left out")
    print_table(comparison(pooled), pooled)
    print(f"\n{out / 'summary.json'}\n{out / 'report.html'}")


@contextmanager
def played(
    options: RunOptions, tasks: Sequence[Task], forecast: Forecast, until: float | None = None
) -> Iterator[Iterator[Finished]]:
    """The finished episodes of the tasks as they come, with the time they will take and progress on the terminal.

    None is begun once `time.monotonic` is past `until`.
    """
    if not tasks:
        yield iter(())
        return
    print(forecast.told(), file=sys.stderr)
    begun = takewhile(lambda _: until is None or time.monotonic() < until, tasks)
    with ExitStack() as stack:
        bar = stack.enter_context(tqdm(total=len(tasks), dynamic_ncols=True, bar_format=BAR))
        if options.ray is not None:
            episodes = play_on(stack.enter_context(ray_cluster(options.ray)), options, begun)
        elif options.jobs > 1:
            episodes = play_in_processes(options, begun)
        else:
            spectators = stack.enter_context(Spectators(options))
            episodes = play_here(options, begun, partial(_watching, bar, spectators))
        yield _counted(bar, forecast, stack.enter_context(closing(episodes)))


@contextmanager
def _watching(
    bar: tqdm[Any], spectators: Spectators, task: Task, world: World
) -> Iterator[Callable[[TickRecord], None]]:
    """Whoever watches one episode, the progress bar included."""
    with spectators.watching(task, world) as watch:

        def watch_and_tell(record: TickRecord) -> None:
            watch(record)
            if record.perceived is not None:
                bar.set_postfix_str(f"{task.name} at {record.time_us / 1e6:.1f} s")

        yield watch_and_tell


def _counted(bar: tqdm[Any], forecast: Forecast, episodes: Iterator[Finished]) -> Iterator[Finished]:
    for finished in episodes:
        yield finished
        bar.set_description_str(forecast.left(), refresh=False)
        bar.update()


if __name__ == "__main__":
    sys.exit(main())
