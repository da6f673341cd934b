"""One finished episode as the numbers that `summary.json` holds of it, and the traces that the report plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from carla_cp.metrics import approach, awareness, braking, communication
from carla_cp.metrics.awareness import Age
from carla_cp.metrics.collisions import Crash, collisions
from carla_cp.metrics.comfort import Comfort, comfort
from carla_cp.metrics.communication import ByteCounts, LinkFacts, MessageCounts
from carla_cp.metrics.detection import average_precision, frames_of
from carla_cp.metrics.encroachment import post_encroachment_time
from carla_cp.metrics.infractions import Infractions, infractions
from carla_cp.metrics.leaderboard import DrivingScore, driving_score, route_completion
from carla_cp.metrics.scene import Scene, scene
from carla_cp.metrics.success import succeeded
from carla_cp.types import CodecChoice, Episode, EpisodeEnd, ObjectClass, Perceived, StageTimes, TickRecord


@dataclass(frozen=True, slots=True)
class PrecisionSummary:
    """Average precision at three IoU thresholds, global score order; None where there was no truth."""

    iou30: float | None
    iou50: float | None
    iou70: float | None


@dataclass(frozen=True, slots=True)
class ClassPrecision:
    """Average precision of each class apart."""

    vehicle: PrecisionSummary
    cyclist: PrecisionSummary
    pedestrian: PrecisionSummary


@dataclass(frozen=True, slots=True)
class CollisionSummary:
    """One collision of the ego, as `metrics.collisions.Crash` states it."""

    t_s: float
    other: str
    speed_mps: float
    impact_mps: float
    at_fault: bool


@dataclass(frozen=True, slots=True)
class Conflict:
    """How near the ego came to a collision, as `metrics.approach` and `metrics.encroachment` define it."""

    min_ttc_leader_s: float | None
    tet_s: float
    tit_s2: float
    pet_s: float | None
    max_drac_mps2: float | None


@dataclass(frozen=True, slots=True)
class EpisodeSummary:
    """What `summary.json` says of one episode. What is undefined is None, never NaN.

    `wall_s` and `latency_ms` are exempt from identity between runs.
    """

    scenario: str
    codec: str
    budget_bytes: int | None
    seed: int
    end: EpisodeEnd
    ticks: int
    perception_ticks: int
    sim_s: float
    wall_s: float
    ap_by_class: ClassPrecision
    messages: MessageCounts
    bytes: ByteCounts
    collisions: tuple[CollisionSummary, ...]
    min_ttc_s: float | None  # two-dimensional
    conflict: Conflict
    min_gap_m: float | None  # to the hazard's box, or without a hazard to the nearest actor's
    max_brake_mps2: float
    false_braking_s: float
    comfort: Comfort
    time_to_awareness_s: float | None
    age_of_information: Age
    age_of_targets: Age
    route_completion: float
    infractions: Infractions
    driving_score: DrivingScore
    success: bool
    latency_ms: StageTimes  # medians per perception tick, of all the work from one result to the next
    link: LinkFacts
    hazard_triggered: bool  # without it `time_to_awareness_s` says nothing; with it None is: never aware
    settings: tuple[str, ...] = ()  # `--set` values that it was run under: the run's to know, no record has them

    @property
    def ap(self) -> PrecisionSummary:
        """Average precision of vehicles, the headline."""
        return self.ap_by_class.vehicle

    @property
    def label(self) -> str:
        """The codec and its budget, as `CodecChoice.label`."""
        return CodecChoice(self.codec, self.budget_bytes).label


@dataclass(frozen=True, slots=True)
class EpisodeTrace:
    """The ego's drive tick by tick, columns of one length K, rounded to a thousandth, and where everyone was.

    All empty where it was not kept: then the report says what the summary says, and draws nothing.
    """

    time_s: tuple[float, ...]  # since the first record
    speed_mps: tuple[float, ...]
    gap_m: tuple[float | None, ...]  # to the hazard's box, or without a hazard to the nearest actor's
    brake: tuple[float | None, ...]  # the actuator's, [0, 1]; None where somebody else drives
    scene: Scene


def summarise(episode: Episode, hazard: str | None) -> EpisodeSummary:
    """The summary of a finished episode; `hazard` is the rolename of the scenario's hazard, None if it has none.

    Raises ValueError for an episode without records.
    """
    records = episode.records
    if not records:
        raise ValueError(f"the episode {episode.scenario}/{episode.codec.label}/{episode.seed} has no records")
    perceptions = [record.perceived for record in records if record.perceived is not None]
    sent = communication.transmissions(records)
    crashes = collisions(records)
    wrongs = infractions(records, crashes, episode.end)
    return EpisodeSummary(
        scenario=episode.scenario,
        codec=episode.codec.name,
        budget_bytes=episode.codec.budget_bytes,
        seed=episode.seed,
        end=episode.end,
        ticks=len(records),
        perception_ticks=len(perceptions),
        sim_s=_duration_s(records),
        wall_s=episode.wall_s,
        ap_by_class=_precision(perceptions),
        messages=communication.count_messages(sent),
        bytes=communication.count_bytes(sent),
        collisions=tuple(_collision(crash) for crash in crashes),
        min_ttc_s=approach.min_time_to_collision(records),
        conflict=_conflict(records),
        min_gap_m=approach.min_gap(records, hazard),
        max_brake_mps2=braking.max_brake(records),
        false_braking_s=braking.false_braking(records),
        comfort=comfort(records),
        time_to_awareness_s=awareness.time_to_awareness(records, hazard),
        age_of_information=awareness.age_of_information(records, episode.ego),
        age_of_targets=awareness.age_of_targets(records, hazard),
        route_completion=route_completion(records, episode.end),
        infractions=wrongs,
        driving_score=driving_score(route_completion(records, episode.end), wrongs),
        success=succeeded(episode.end, wrongs),
        latency_ms=_latency(records),
        link=communication.link_facts(sent, _duration_s(records)),
        hazard_triggered=hazard is not None and awareness.triggered_us(records) is not None,
    )


def trace(records: Sequence[TickRecord], hazard: str | None) -> EpisodeTrace:
    """Time, speed, gap and brake at every record, and the scene."""
    gaps = approach.gaps_to_nearest(records, hazard)
    return EpisodeTrace(
        time_s=tuple(round((record.time_us - records[0].time_us) / 1e6, 3) for record in records),
        speed_mps=tuple(round(record.ego.speed, 3) for record in records),
        gap_m=tuple(None if gap is None else round(gap, 3) for gap in gaps),
        brake=tuple(None if record.plan is None else round(record.plan.control.brake, 3) for record in records),
        scene=scene(records, hazard),
    )


def _collision(crash: Crash) -> CollisionSummary:
    return CollisionSummary(crash.t_s, crash.other, crash.speed_mps, crash.impact_mps, crash.at_fault)


def _conflict(records: Sequence[TickRecord]) -> Conflict:
    return Conflict(
        min_ttc_leader_s=approach.min_time_to_leader(records),
        tet_s=approach.time_exposed(records),
        tit_s2=approach.time_integrated(records),
        pet_s=post_encroachment_time(records),
        max_drac_mps2=approach.max_deceleration_to_avoid(records),
    )


def _duration_s(records: Sequence[TickRecord]) -> float:
    """Simulated time of all ticks, the first one's included."""
    steps = len(records) - 1
    span = (records[-1].time_us - records[0].time_us) / 1e6
    return span * len(records) / steps if steps else 0.0


def _precision(perceptions: Sequence[Perceived]) -> ClassPrecision:
    def of(label: ObjectClass) -> PrecisionSummary:
        frames = frames_of(perceptions, label)
        return PrecisionSummary(*(average_precision(frames, iou) for iou in (0.3, 0.5, 0.7)))

    return ClassPrecision(of(ObjectClass.VEHICLE), of(ObjectClass.CYCLIST), of(ObjectClass.PEDESTRIAN))


def _latency(records: Sequence[TickRecord]) -> StageTimes:
    """Capture and result lie on different world ticks, so a perception tick's work is the sum since the last result."""
    results: list[StageTimes] = []
    spent = StageTimes()
    for record in records:
        spent = _sum(spent, record.times)
        if record.perceived is not None:
            results.append(spent)
            spent = StageTimes()
    if not results:
        return StageTimes()
    return StageTimes(
        sense=median(item.sense for item in results),
        encode=median(item.encode for item in results),
        decode=median(item.decode for item in results),
        detect=median(item.detect for item in results),
        plan=median(item.plan for item in results),
        tick=median(item.tick for item in results),
    )


def _sum(first: StageTimes, second: StageTimes) -> StageTimes:
    return StageTimes(
        sense=first.sense + second.sense,
        encode=first.encode + second.encode,
        decode=first.decode + second.decode,
        detect=first.detect + second.detect,
        plan=first.plan + second.plan,
        tick=first.tick + second.tick,
    )
