"""The frames of a data set through every row of an evaluation: a codec, a fusion rule, a pose noise and a delay.

What an agent computes of its own sweep, and what it says of it, does not depend on the row; it is made once for a frame
and shared by all. A delay is counted in frames of the data: partners' data are so many frames old (those of the first
frame where there are no older ones), while the ego's data and the truth are current.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from pose_noise import PoseNoise

from carla_cp.codecs import Codec, load_codec
from carla_cp.codecs.base import Silent
from carla_cp.codecs.bitstream import Header, pack, unpack
from carla_cp.datasets import DatasetError, SceneSource
from carla_cp.lifeline import end_with_parent
from carla_cp.metrics.detection import Matches, frames_of, match
from carla_cp.metrics.protocol import EvaluationProtocol
from carla_cp.opv2v import Note
from carla_cp.perception.checkpoint import load_detector
from carla_cp.perception.detector import Detector, Received
from carla_cp.perception.view import View
from carla_cp.types import AgentFrame, AgentName, CodecChoice, Detections, Frame, ObjectClass, Perceived, Shared, Stage

THRESHOLDS = (0.3, 0.5, 0.7)
FEATURES = (Stage.PILLARS, Stage.BLOCK1, Stage.BEV)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result."""

    choice: CodecChoice
    fusion: str | None = None  # None: the checkpoint's own, also where no features are shared
    noise: PoseNoise = field(default_factory=PoseNoise)
    delay: int = 0  # [frames]


@dataclass(frozen=True, slots=True)
class Job:
    """What one worker does: some frames of one scene."""

    scene: SceneSource
    frames: tuple[int, ...]
    checkpoint: Path
    rows: tuple[Row, ...]
    protocol: EvaluationProtocol = field(default_factory=EvaluationProtocol)
    seed: int = 0


@dataclass(slots=True)
class Tally:
    """What one row gave: per frame the matches of each class, and what was sent."""

    matches: list[tuple[Matches, ...]] = field(default_factory=list)  # by ObjectClass
    message_bytes: list[int] = field(default_factory=list)  # 0: the codec sent nothing
    ages_us: list[int] = field(default_factory=list)  # how old each partner's data were


@dataclass(slots=True)
class Outcome:
    """What some frames gave: one tally per row, and what was left out."""

    tallies: list[Tally]
    scenes: list[str] = field(default_factory=list)  # of each frame that counted
    agents: list[int] = field(default_factory=list)  # how many took part in it
    skipped: list[str] = field(default_factory=list)  # frame and reason
    noticed: Counter[str] = field(default_factory=Counter)  # what else was amiss in frames that counted

    def add(self, other: Outcome) -> None:
        """Puts another's frames behind these."""
        for tally, more in zip(self.tallies, other.tallies, strict=True):
            tally.matches += more.matches
            tally.message_bytes += more.message_bytes
            tally.ages_us += more.ages_us
        self.scenes += other.scenes
        self.agents += other.agents
        self.skipped += other.skipped
        self.noticed.update(other.noticed)


class Equipment:
    """The detectors and codecs of an evaluation, loaded once per job."""

    def __init__(self, checkpoint: Path, rows: Sequence[Row], counts_itself: bool = False) -> None:
        """`counts_itself`: the ego's own car is an object. Raises CheckpointError, and CodecError as `check` does."""
        self.detectors: dict[str | None, Detector] = {None: load_detector(checkpoint)}
        for row in rows:
            if row.fusion is not None and row.fusion not in self.detectors:
                self.detectors[row.fusion] = load_detector(checkpoint, fusion=row.fusion)
        self.codecs: dict[str, Codec[Any]] = {
            name: load_codec(name, checkpoint) for name in {row.choice.name for row in rows}
        }
        for detector in self.detectors.values():
            detector.counts_itself = counts_itself
        for row in rows:
            self.check(row)

    def check(self, row: Row) -> None:
        """Raises CodecError for a codec whose messages no longer hold what the row's fusion rule takes."""
        detector, codec = self.detectors[row.fusion], self.codecs[row.choice.name]
        codec.check_fusion(
            detector.tap,
            f"--codec {row.choice.name} shares BEV features, of which fusion {detector.config.fusion} takes none",
        )

    @property
    def wants_boxes(self) -> bool:
        """Whether a row needs what agents detect by themselves."""
        return any(codec.tap is Stage.BOXES for codec in self.codecs.values())

    def effective(self, row: Row) -> Row:
        """The row without what makes no difference to it: to silence neither rule nor noise nor delay does."""
        codec = self.codecs[row.choice.name]
        if isinstance(codec, Silent):
            return Row(row.choice)
        return row if codec.tap in FEATURES else replace(row, fusion=None)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One frame with every agent's view of it."""

    index: int
    frame: Frame
    views: dict[AgentName, View]
    notes: tuple[Note, ...]


class FrameRun:
    """All rows on one frame; what rows have in common is computed once."""

    def __init__(self, equipment: Equipment, job: Job, now: Seen, past: dict[int, Seen]) -> None:
        """`past` holds for every delay the frame that partners' data come from."""
        self._equipment, self._job, self._now, self._past = equipment, job, now, past
        ego, *others = now.frame.agents
        self.members = (ego, *(agent for agent in others if job.protocol.takes_part(ego, agent)))
        self._messages: dict[tuple[CodecChoice, Stage, int, AgentName], tuple[int, Shared | None]] = {}
        self._received: dict[tuple[int, bool, Detector | None], Received] = {}
        self._found: dict[Row, Detections] = {}
        self._matches: dict[Row, tuple[Matches, ...]] = {}
        self._config = equipment.detectors[None].config
        self._truth = job.protocol.truth(self.members, self._config)

    def add_to(self, tallies: Sequence[Tally]) -> None:
        """Puts what each row gave into its tally."""
        for row, tally in zip(self._job.rows, tallies, strict=True):
            effective = self._equipment.effective(row)
            if effective not in self._matches:
                self._matches[effective] = self._match(self.detect(effective))
            tally.matches.append(self._matches[effective])
            for agent in self._partners(row):
                tally.message_bytes.append(self._message(row, agent)[0])
                tally.ages_us.append(self._now.frame.time_us - self._past[row.delay].frame.time_us)

    def detect(self, row: Row) -> Detections:
        """What the ego finds."""
        detector = self._equipment.detectors[row.fusion]
        ego = _for(detector, self._believing(row, self._now, self.members[0]))
        heard, received = [], []
        for agent in self._partners(row):
            shared = self._message(row, agent)[1]
            if shared is None:
                continue
            pose = _on_the_wire(shared, self._believing(row, self._past[row.delay], agent))
            if shared.stage in FEATURES:
                known = self._receive(detector, shared)
                received.append(replace(known, shared=replace(shared, world_from_agent=pose)))
            else:
                heard.append(replace(shared, world_from_agent=pose))
        return detector.finish(ego, heard, received=received)

    def _receive(self, detector: Detector, shared: Shared) -> Received:
        """What rules of a kind take of a message, the same for all poses; some ask what only their own head tells."""
        own = detector if detector.fusion.asks_heat or detector.fusion.aligns else None
        key = (id(shared), detector.fusion.scales, own)  # messages live as long as this run
        if key not in self._received:
            self._received[key] = detector.receive(shared)
        return self._received[key]

    def _partners(self, row: Row) -> list[AgentFrame]:
        """Who of the others can send: those that were there already when the data were taken."""
        then = {agent.sweep.agent: agent for agent in self._past[row.delay].frame.agents}
        return [then[agent.sweep.agent] for agent in self.members[1:] if agent.sweep.agent in then]

    def _message(self, row: Row, agent: AgentFrame) -> tuple[int, Shared | None]:
        """Bytes of what an agent says, and what the ego reads of it, with the pose not yet disturbed."""
        detector = self._equipment.detectors[self._equipment.effective(row).fusion]
        seen, name = self._past[row.delay], agent.sweep.agent
        key = (row.choice, detector.tap, seen.index, name)
        if key not in self._messages:
            codec, budget = self._equipment.codecs[row.choice.name], row.choice.budget_bytes
            payload = codec.encode(_for(detector, seen.views[name]), budget, None)
            if budget is not None and len(payload) > budget:
                raise AssertionError(f"{row.choice.label} sent more than its budget")
            self._messages[key] = len(payload), codec.decode(payload) if payload else None
        return self._messages[key]

    def _believing(self, row: Row, seen: Seen, agent: AgentFrame) -> View:
        name = agent.sweep.agent
        view = seen.views[name]
        if row.noise.kind == "none" or (row.noise.spares_ego and name == self.members[0].sweep.agent):
            return view
        pose = row.noise.believed(agent.sweep.world_from_lidar, self._job.seed, self._job.scene.name, seen.index, name)
        return view.believing(pose)

    def _match(self, found: Detections) -> tuple[Matches, ...]:
        ego = self.members[0].sweep
        counted = self._job.protocol.found(found, ego.sensor_height_m, self._config)
        seen = Perceived(ego.time_us, self._now.views[ego.agent].world_from_agent, counted, *self._truth)
        return tuple(match(frames_of([seen], label)[0], THRESHOLDS) for label in ObjectClass)


def _for(detector: Detector, view: View) -> View:
    """The view for a detector of the same trunk; its boxes are kept where they are that detector's already."""
    return view if view.detector is detector else view.of(detector)


def _on_the_wire(shared: Shared, view: View) -> Any:
    """The pose that a believing agent's header would carry: rounded as every header rounds it."""
    header = Header(0, 0, shared.sender, shared.time_us, view.world_from_agent)
    return unpack(pack(header, b""), 0, 0)[0].world_from_agent


def run_job(job: Job) -> Outcome:
    """What the job's frames gave; one that cannot be read is left out and named."""
    torch.set_num_threads(1)  # else the result would depend on the machine
    equipment = Equipment(job.checkpoint, job.rows, job.protocol.include_ego)
    outcome = Outcome([Tally() for _ in job.rows])
    delays = sorted({0, *(row.delay for row in job.rows)})
    known: dict[int, Seen] = {}
    for index in job.frames:
        known = {number: seen for number, seen in known.items() if number >= index - delays[-1]}
        try:
            past = {delay: _seen(job.scene, max(index - delay, 0), known, equipment) for delay in delays}
        except DatasetError as error:
            outcome.skipped.append(f"{job.scene.name} frame {index}: {error}")
            continue
        run = FrameRun(equipment, job, past[0], past)
        run.add_to(outcome.tallies)
        outcome.scenes.append(job.scene.name)
        outcome.agents.append(len(run.members))
        outcome.noticed.update(note.reason for note in past[0].notes)
    return outcome


def _seen(scene: SceneSource, index: int, known: dict[int, Seen], equipment: Equipment) -> Seen:
    if index not in known:
        reading, detector = scene.read(index), equipment.detectors[None]
        views = {agent.sweep.agent: detector.view(agent.sweep) for agent in reading.frame.agents}
        for view in views.values():  # before a view is copied: copies share only what is there
            _ = view.heat
            if equipment.wants_boxes:
                _ = view.boxes
        known[index] = Seen(index, reading.frame, views, reading.notes)
    return known[index]


def evaluate(jobs: Sequence[Job], workers: int) -> Iterator[tuple[int, Outcome]]:
    """Number and outcome of each job, as they come; the outcomes do not depend on the number of workers.

    An error or an interrupt ends the workers at once. Raises BrokenProcessPool if one dies.
    """
    if workers == 1:
        yield from ((number, run_job(job)) for number, job in enumerate(jobs))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        running = {pool.submit(run_job, job): number for number, job in enumerate(jobs)}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        except BaseException:
            for process in multiprocessing.active_children():  # else their scenes would be waited for
                process.terminate()
            raise


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; who started us ends us
    end_with_parent()
