"""Whoever watches an episode while it runs: the live view, a screenshot, the OPV2V recorder."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from carla_cp.options import RunOptions
from carla_cp.opv2v import SceneWriter, agent_ids, protocol_of, scans_from_sweeps
from carla_cp.session import Task
from carla_cp.types import AgentName, TickRecord
from carla_cp.view import View, info_of
from carla_cp.world import World


class Spectators:
    """Shows and writes every record of the session's episodes, one episode after the other."""

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self._view = View(window=options.view) if options.view or options.screenshot else None
        self._task: Task | None = None
        self._writing = ExitStack()
        self._writer: SceneWriter | None = None
        self._shot_taken = False

    def __enter__(self) -> Spectators:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writing.__exit__(kind, error, trace)
        if self._view is not None:
            self._screenshot(None)
            self._view.close()

    def show(self, task: Task, record: TickRecord, world: World) -> None:
        """Draws and writes one record; raises KeyboardInterrupt when the user closes the window."""
        if task != self._task:
            self._begin(task)
        if self._view is not None:
            if not self._view.show(record, info_of(task.scenario, task.choice, task.seed)):
                raise KeyboardInterrupt
            self._screenshot(record.time_us / 1e6)
        if self._writer is not None and record.sweeps:
            objects = (world.ego_object(), *record.truth.objects)
            plans = {AgentName(task.scenario.ego.rolename): record.plan.path}
            self._writer.add(scans_from_sweeps(record.sweeps, objects, agent_ids(record.sweeps, objects), plans))

    def _begin(self, task: Task) -> None:
        self._writing.close()
        self._task = task
        if self._options.record is not None:
            folder = self._options.record / task.name.replace("/", "_").replace("@", "_")
            self._writer = self._writing.enter_context(SceneWriter(folder, protocol_of(task.scenario, task.seed)))

    def _screenshot(self, time_s: float | None) -> None:
        """Saves the picture once its time has come; without a time, at the end."""
        wanted = self._options.screenshot
        if self._view is None or wanted is None or self._shot_taken:
            return
        if time_s is None or (wanted.time_s is not None and time_s >= wanted.time_s):
            self._view.screenshot(wanted.path)
            self._shot_taken = True
