"""Whoever watches an episode while it runs: the live view, a screenshot, the OPV2V recorder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

from carla_cp.options import RunOptions
from carla_cp.opv2v import SceneWriter, agent_ids, protocol_of, scans_from_sweeps
from carla_cp.session import Task
from carla_cp.types import AgentName, TickRecord
from carla_cp.view import View, info_of
from carla_cp.world import World


def recording_folder(record: Path, task: Task) -> Path:
    """Where `--record` puts the OPV2V scene of a task."""
    name = f"{task.scenario.name}/{task.choice.folder}/{task.seed}"
    return record / name.replace("/", "_").replace("@", "_")


class Spectators:
    """Shows and writes every record of the session's episodes, one episode after the other."""

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self._view = View(window=options.view) if options.view or options.screenshot else None
        self._shot_taken = False

    def __enter__(self) -> Spectators:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._view is not None:
            self._view.close()

    @contextmanager
    def watching(self, task: Task, world: World) -> Iterator[Callable[[TickRecord], None]]:
        """What to call with every record of one episode; its recording appears when the block ends without an error.

        The call raises KeyboardInterrupt when the user closes the window.
        """
        with ExitStack() as stack:
            writer: SceneWriter | None = None
            if self._options.record is not None:
                folder = recording_folder(self._options.record, task)
                writer = stack.enter_context(SceneWriter(folder, protocol_of(task.scenario, task.seed)))

            def watch(record: TickRecord) -> None:
                self._show(task, record)
                if writer is not None and record.sweeps:
                    _write(writer, task, record, world)

            yield watch
        self._screenshot(None)

    def _show(self, task: Task, record: TickRecord) -> None:
        if self._view is not None:
            if not self._view.show(record, info_of(task.scenario, task.choice, task.seed)):
                raise KeyboardInterrupt
            self._screenshot(record.time_us / 1e6)

    def _screenshot(self, time_s: float | None) -> None:
        """Saves the picture once its time has come; at the latest at the end of the first episode."""
        wanted = self._options.screenshot
        if self._view is None or wanted is None or self._shot_taken:
            return
        if time_s is None or (wanted.time_s is not None and time_s >= wanted.time_s):
            self._view.screenshot(wanted.path)
            self._shot_taken = True


def _write(writer: SceneWriter, task: Task, record: TickRecord, world: World) -> None:
    objects = (world.ego_object(), *record.truth.objects)
    path = () if record.plan is None else record.plan.path
    plans = {AgentName(task.scenario.ego.rolename): path}
    writer.add(scans_from_sweeps(record.sweeps, objects, agent_ids(record.sweeps, objects), plans))
