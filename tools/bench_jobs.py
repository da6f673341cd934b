"""Episodes per hour with one and with two processes, each with its server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from timing import Row

from carla_cp.options import build_parser, parse_options
from carla_cp.session import Task
from carla_cp.workers import play_in_processes

CODEC, TIMEOUT_S, EPISODES = "revqom@2KB", 3, 8


def bench_jobs(scenario: Path) -> Iterator[Row]:
    """Rates between the first episode of the last process to begin and the last of all: without the start."""
    rates = [_rate(scenario, jobs) for jobs in (1, 2)]
    for jobs, rate in zip((1, 2), rates, strict=True):
        yield Row(f"jobs: episodes per hour, {jobs} at a time", rate, "1/h", EPISODES)
    yield Row("jobs: two against one", rates[1] / rates[0], "x", EPISODES)


def _rate(scenario: Path, jobs: int) -> float:
    given = ("--codec", CODEC, "--set", f"timeout_s={TIMEOUT_S}", "--jobs", str(jobs))
    options = parse_options(build_parser().parse_args([str(scenario), *given]))
    tasks = [Task(options.scenarios[0], options.choices[0], seed) for seed in range(EPISODES + jobs)]
    times = [time.perf_counter() for _ in play_in_processes(options, tasks)]
    return 3600 * EPISODES / (times[-1] - times[jobs - 1])
