"""The frames of a data set through every row of an evaluation: a codec, a fusion rule, a noise, a delay and a loss.

What an agent computes of its own sweep, and what it says of it, does not depend on the row; it is made once for a frame
and shared by all, and so is what the ego finds with the same bytes at hand. A delay is counted in frames of the data:
partners' data are so many frames old (those of the first frame where there are no older ones), while the ego's data and
the truth are current.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace

import torch
from evaluation_loss import PacketLoss
from evaluation_messages import Exchange, Said, believing, on_the_wire
from evaluation_parts import FEATURES, THRESHOLDS, Equipment, Job, Outcome, Row, Seen, Tally

from carla_cp.datasets import DatasetError, SceneSource
from carla_cp.heap import hand_back_freed_memory
from carla_cp.lifeline import end_with_parent
from carla_cp.metrics.detection import Matches, frames_of, match
from carla_cp.perception.detector import Detector, Received
from carla_cp.types import AgentFrame, CodecChoice, Detections, ObjectClass, Perceived


class FrameRun:
    """All rows on one frame; what rows have in common is computed once."""

    def __init__(self, equipment: Equipment, job: Job, now: Seen, past: dict[int, Seen]) -> None:
        """`past` holds for every delay the frame that partners' data come from."""
        self._equipment, self._job, self._now, self._past = equipment, job, now, past
        ego, *others = now.frame.agents
        self.members = (ego, *(agent for agent in others if job.protocol.takes_part(ego, agent)))
        self._matches: dict[Hashable, tuple[Matches, ...]] = {}
        self._config = equipment.detectors[None].config
        self._truth = job.protocol.truth(self.members, self._config)
        self._start("")

    def _start(self, codec: str) -> None:
        """Forgets the messages of the codec before: those of many would fill the memory."""
        self._codec = codec
        self._exchange = Exchange(self._equipment, self._job, self._past)
        self._received: dict[Hashable, Received] = {}

    def add_to(self, tallies: Sequence[Tally]) -> None:
        """Puts what each row gave into its tally."""
        for row, tally in zip(self._job.rows, tallies, strict=True):
            if row.choice.name != self._codec:
                self._start(row.choice.name)
            effective = self._equipment.effective(row)
            partners = self._partners(row)
            heard = [self._exchange.said(effective, agent) for agent in partners]
            tally.matches.append(self._found(effective, partners, heard))
            if partners and self._equipment.codecs[row.choice.name].asks:
                tally.request_bytes.append(len(self._exchange.request(effective)))
            for said in heard:
                tally.message_bytes.append(len(said.sent))
                tally.ages_us.append(self._now.frame.time_us - self._past[row.delay].frame.time_us)
                tally.lost += bool(said.sent) and said.shared is None
                if said.formula_bytes is not None:
                    tally.formula_bytes.append(said.formula_bytes)

    def _found(self, row: Row, partners: Sequence[AgentFrame], heard: Sequence[Said]) -> tuple[Matches, ...]:
        """The matches of what the ego finds, the same wherever the same bytes of a codec have arrived."""
        alike = replace(row, choice=CodecChoice(row.choice.name, None), loss=PacketLoss())
        key = (alike, tuple(said.received for said in heard))
        if key not in self._matches:
            self._matches[key] = self._match(self.detect(row, partners, heard))
        return self._matches[key]

    def detect(self, row: Row, partners: Sequence[AgentFrame], heard: Sequence[Said]) -> Detections:
        """What the ego finds with what it heard of its partners."""
        detector = self._equipment.detectors[row.fusion]
        ego = believing(row, self._job, self._now, self.members[0].sweep.agent, detector)
        others, received = [], []
        for agent, said in zip(partners, heard, strict=True):
            shared = said.shared
            if shared is None:
                continue
            pose = on_the_wire(shared, believing(row, self._job, self._past[row.delay], agent.sweep.agent, detector))
            if shared.stage in FEATURES:
                known = self._receive(detector, agent, said)
                received.append(replace(known, shared=replace(shared, world_from_agent=pose)))
            else:
                others.append(replace(shared, world_from_agent=pose))
        return detector.finish(ego, others, received=received)

    def _receive(self, detector: Detector, agent: AgentFrame, said: Said) -> Received:
        """What rules of a kind take of a message, the same for all poses; some ask what only their own head tells."""
        own = detector if detector.fusion.asks_heat or detector.fusion.aligns else None
        key = (agent.sweep.agent, said.received, detector.fusion.scales, own)
        if key not in self._received:
            assert said.shared is not None
            self._received[key] = detector.receive(said.shared)
        return self._received[key]

    def _partners(self, row: Row) -> list[AgentFrame]:
        """Who of the others can send: those that were there already when the data were taken."""
        then = {agent.sweep.agent: agent for agent in self._past[row.delay].frame.agents}
        return [then[agent.sweep.agent] for agent in self.members[1:] if agent.sweep.agent in then]

    def _match(self, found: Detections) -> tuple[Matches, ...]:
        ego = self.members[0].sweep
        counted = self._job.protocol.found(found, ego.sensor_height_m, self._config)
        seen = Perceived(ego.time_us, self._now.views[ego.agent].world_from_agent, counted, *self._truth)
        return tuple(match(frames_of([seen], label)[0], THRESHOLDS) for label in ObjectClass)


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
        outcome.numbers.append(index)
        outcome.agents.append(len(run.members))
        outcome.noticed.update(note.reason for note in past[0].notes)
    hand_back_freed_memory()
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
