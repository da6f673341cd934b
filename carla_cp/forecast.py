"""How long the episodes that are still to be played will take, from those that were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from carla_cp.metrics.summary import EpisodeSummary
from carla_cp.session import Task
from carla_cp.world import STEP_US

TICK_S = 0.2  # of a core, with three agents


class Forecast:
    """An estimate that gets better with every finished episode.

    A task is expected to take the mean time of the finished episodes most like it: of its situation and codec, of its
    codec, of its situation, or of any; before there is one, TICK_S for each tick until its timeout (measured: 0.08 for
    `none`, 0.25 for `revqom@2KB`, the CPU seconds of `python -m carla_cp.run scenarios/intersection.xml --codec C --set
    timeout_s=T`, those at T = 6 less those at T = 1, over 100 ticks). The time of an episode is its wall time, in which
    it keeps about one core busy where there are as many jobs as cores.
    """

    def __init__(self, tasks: Sequence[Task], jobs: int, past: Iterable[EpisodeSummary] = ()) -> None:
        self._left = list(tasks)
        self._jobs = jobs
        self._spent: dict[tuple[str, str], list[float]] = {}
        self._finished = 0
        for summary in past:
            self._learn(summary)

    def add(self, task: Task, summary: EpisodeSummary | None) -> None:
        """Counts a task as done; None: it failed and says nothing of the others."""
        self._left.remove(task)
        if summary is not None:
            self._learn(summary)

    def minutes(self) -> float:
        """Wall time until all are done."""
        return self.core_minutes() / max(1, min(self._jobs, len(self._left)))

    def core_minutes(self) -> float:
        """What is left, one episode after another."""
        return sum(self._seconds(task) for task in self._left) / 60

    def told(self) -> str:
        """The estimate, and what it is made from, in a line."""
        source = (
            f"as the {self._finished} finished took"
            if self._finished
            else f"at {TICK_S:g} s a tick until each timeout; told anew with each that is finished"
        )
        return (
            f"{len(self._left)} episodes to play: about {_minutes(self.minutes())} with {self._jobs} at a time, "
            f"{_minutes(self.core_minutes())} of one core ({source})"
        )

    def left(self) -> str:
        """What is left in two words, for a progress bar."""
        return f"{_minutes(self.minutes())} left"

    def _learn(self, summary: EpisodeSummary) -> None:
        self._finished += 1
        for key in _alike(summary.scenario, summary.label):
            self._spent.setdefault(key, []).append(summary.wall_s)

    def _seconds(self, task: Task) -> float:
        for key in _alike(task.scenario.name, task.choice.label):
            if key in self._spent:
                return fmean(self._spent[key])
        return TICK_S * task.scenario.timeout_s * 1e6 / STEP_US


def _alike(scenario: str, label: str) -> tuple[tuple[str, str], ...]:
    """From the narrowest to the widest group that an episode belongs to."""
    return (scenario, label), ("", label), (scenario, ""), ("", "")


def _minutes(value: float) -> str:
    return f"{60 * value:.0f} s" if value < 1 else f"{value:.0f} min" if value < 100 else f"{value / 60:.1f} h"
