"""Summaries, traces and comparison rows to and from JSON values: the schema of `summary.json`, version 1.

Reading is strict: a key too many or too few, or a value of the wrong type, raises StoredError with its place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from carla_cp.metrics.communication import ByteCounts, MessageCounts
from carla_cp.metrics.comparison import ComparisonRow
from carla_cp.metrics.driving import DrivingScore
from carla_cp.metrics.summary import (
    ClassPrecision,
    CollisionSummary,
    EpisodeSummary,
    EpisodeTrace,
    PrecisionSummary,
)
from carla_cp.types import EpisodeEnd, StageTimes

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

EPISODE_KEYS = (
    "scenario codec budget_bytes seed end ticks perception_ticks sim_s wall_s ap ap_by_class messages bytes collisions "
    "min_ttc_s min_gap_m max_brake_mps2 time_to_awareness_s route_completion driving_score latency_ms"
)
MESSAGE_KEYS = "sent delivered late lost rejected empty"
BYTE_KEYS = "per_message_mean per_message_max per_agent_tick_mean on_air"
STAGE_KEYS = "sense encode decode detect plan tick"
ROW_KEYS = (
    "codec budget_bytes episodes collision_rate collision_rate_ci95 ap50 ap70 bytes_per_message driving_score_lb21"
)


class StoredError(ValueError):
    """A stored value is not what the schema says."""


def summary_to_json(summary: EpisodeSummary) -> dict[str, Json]:
    """The episode object of `summary.json`."""
    by_class = summary.ap_by_class
    return {
        "scenario": summary.scenario,
        "codec": summary.codec,
        "budget_bytes": summary.budget_bytes,
        "seed": summary.seed,
        "end": summary.end.value,
        "ticks": summary.ticks,
        "perception_ticks": summary.perception_ticks,
        "sim_s": summary.sim_s,
        "wall_s": summary.wall_s,
        "ap": _precision_to_json(summary.ap),
        "ap_by_class": {
            "vehicle": _precision_to_json(by_class.vehicle),
            "cyclist": _precision_to_json(by_class.cyclist),
            "pedestrian": _precision_to_json(by_class.pedestrian),
        },
        "messages": _messages_to_json(summary.messages),
        "bytes": {
            "per_message_mean": summary.bytes.per_message_mean,
            "per_message_max": summary.bytes.per_message_max,
            "per_agent_tick_mean": summary.bytes.per_agent_tick_mean,
            "on_air": summary.bytes.on_air,
        },
        "collisions": [
            {"t_s": item.t_s, "other": item.other, "speed_mps": item.speed_mps, "at_fault": item.at_fault}
            for item in summary.collisions
        ],
        "min_ttc_s": summary.min_ttc_s,
        "min_gap_m": summary.min_gap_m,
        "max_brake_mps2": summary.max_brake_mps2,
        "time_to_awareness_s": summary.time_to_awareness_s,
        "route_completion": summary.route_completion,
        "driving_score": {"lb1": summary.driving_score.lb1, "lb21": summary.driving_score.lb21},
        "latency_ms": _stages_to_json(summary.latency_ms),
    }


def summary_from_json(value: object, where: str) -> EpisodeSummary:
    """The summary of an episode object; `where` names the file in errors. Raises StoredError."""
    item = _Fields.of(value, where, EPISODE_KEYS)
    by_class = item.inner("ap_by_class", "vehicle cyclist pedestrian")
    summary = EpisodeSummary(
        scenario=item.text("scenario"),
        codec=item.text("codec"),
        budget_bytes=item.integer_or_none("budget_bytes"),
        seed=item.integer("seed"),
        end=_end(item),
        ticks=item.integer("ticks"),
        perception_ticks=item.integer("perception_ticks"),
        sim_s=item.number("sim_s"),
        wall_s=item.number("wall_s"),
        ap_by_class=ClassPrecision(
            _precision(by_class, "vehicle"), _precision(by_class, "cyclist"), _precision(by_class, "pedestrian")
        ),
        messages=_messages(item.inner("messages", MESSAGE_KEYS)),
        bytes=_bytes(item.inner("bytes", BYTE_KEYS)),
        collisions=tuple(_collision(entry, f"{where}: collisions") for entry in item.items("collisions")),
        min_ttc_s=item.number_or_none("min_ttc_s"),
        min_gap_m=item.number_or_none("min_gap_m"),
        max_brake_mps2=item.number("max_brake_mps2"),
        time_to_awareness_s=item.number_or_none("time_to_awareness_s"),
        route_completion=item.number("route_completion"),
        driving_score=_score(item.inner("driving_score", "lb1 lb21")),
        latency_ms=_stages(item.inner("latency_ms", STAGE_KEYS)),
    )
    if _precision(item, "ap") != summary.ap:
        raise StoredError(f"{where}: ap differs from ap_by_class.vehicle; delete the file and run the episode again")
    return summary


def trace_to_json(trace: EpisodeTrace) -> dict[str, Json]:
    """The `trace` of an episode's own file."""
    return {
        "time_s": list(trace.time_s),
        "speed_mps": list(trace.speed_mps),
        "gap_m": list(trace.gap_m),
        "brake": list(trace.brake),
    }


def trace_from_json(value: object, where: str) -> EpisodeTrace:
    """The trace of a JSON value; `where` names the file in errors. Raises StoredError."""
    item = _Fields.of(value, where, "time_s speed_mps gap_m brake")
    trace = EpisodeTrace(
        time_s=item.numbers("time_s"),
        speed_mps=item.numbers("speed_mps"),
        gap_m=tuple(None if entry is None else _number(entry, f"{where}: gap_m") for entry in item.items("gap_m")),
        brake=item.numbers("brake"),
    )
    if not len(trace.time_s) == len(trace.speed_mps) == len(trace.gap_m) == len(trace.brake):
        raise StoredError(f"{where}: the trace's columns differ in length; delete the file and run the episode again")
    return trace


def row_to_json(row: ComparisonRow) -> dict[str, Json]:
    """The comparison object of `summary.json`."""
    return {
        "codec": row.codec,
        "budget_bytes": row.budget_bytes,
        "episodes": row.episodes,
        "collision_rate": row.collision_rate,
        "collision_rate_ci95": list(row.collision_rate_ci95),
        "ap50": row.ap50,
        "ap70": row.ap70,
        "bytes_per_message": row.bytes_per_message,
        "driving_score_lb21": row.driving_score_lb21,
    }


def row_from_json(value: object, where: str) -> ComparisonRow:
    """The comparison row of a JSON value; `where` names the file in errors. Raises StoredError."""
    item = _Fields.of(value, where, ROW_KEYS)
    bounds = item.numbers("collision_rate_ci95")
    if len(bounds) != 2:
        raise StoredError(f"{where}: collision_rate_ci95 has {len(bounds)} numbers instead of 2")
    return ComparisonRow(
        codec=item.text("codec"),
        budget_bytes=item.integer_or_none("budget_bytes"),
        episodes=item.integer("episodes"),
        collision_rate=item.number("collision_rate"),
        collision_rate_ci95=(bounds[0], bounds[1]),
        ap50=item.number_or_none("ap50"),
        ap70=item.number_or_none("ap70"),
        bytes_per_message=item.number_or_none("bytes_per_message"),
        driving_score_lb21=item.number("driving_score_lb21"),
    )


@dataclass(frozen=True, slots=True)
class _Fields:
    """A JSON object with exactly the expected keys; every reader names the place in its error."""

    values: dict[str, object]
    where: str

    @staticmethod
    def of(value: object, where: str, keys: str) -> _Fields:
        if not isinstance(value, dict):
            raise StoredError(f"{where}: an object is expected, not {type(value).__name__}")
        wrong = sorted(set(keys.split()) ^ set(value))
        if wrong:
            raise StoredError(f"{where}: keys missing or unknown: {', '.join(wrong)}; was it written by this version?")
        return _Fields(value, where)

    def inner(self, key: str, keys: str) -> _Fields:
        return _Fields.of(self.values[key], f"{self.where}: {key}", keys)

    def text(self, key: str) -> str:
        value = self.values[key]
        if not isinstance(value, str):
            raise StoredError(f"{self.where}: {key} is {value!r} and should be a text")
        return value

    def integer(self, key: str) -> int:
        value = self.values[key]
        if not isinstance(value, int) or isinstance(value, bool):
            raise StoredError(f"{self.where}: {key} is {value!r} and should be a whole number")
        return value

    def integer_or_none(self, key: str) -> int | None:
        return None if self.values[key] is None else self.integer(key)

    def number(self, key: str) -> float:
        return _number(self.values[key], f"{self.where}: {key}")

    def number_or_none(self, key: str) -> float | None:
        return None if self.values[key] is None else self.number(key)

    def flag(self, key: str) -> bool:
        value = self.values[key]
        if not isinstance(value, bool):
            raise StoredError(f"{self.where}: {key} is {value!r} and should be true or false")
        return value

    def items(self, key: str) -> list[object]:
        value = self.values[key]
        if not isinstance(value, list):
            raise StoredError(f"{self.where}: {key} is {value!r} and should be a list")
        return value

    def numbers(self, key: str) -> tuple[float, ...]:
        return tuple(_number(entry, f"{self.where}: {key}") for entry in self.items(key))


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise StoredError(f"{where} is {value!r} and should be a finite number")
    return float(value)


def _precision_to_json(precision: PrecisionSummary) -> dict[str, Json]:
    return {"0.3": precision.iou30, "0.5": precision.iou50, "0.7": precision.iou70}


def _precision(item: _Fields, key: str) -> PrecisionSummary:
    inner = item.inner(key, "0.3 0.5 0.7")
    return PrecisionSummary(*(inner.number_or_none(iou) for iou in ("0.3", "0.5", "0.7")))


def _messages_to_json(counts: MessageCounts) -> dict[str, Json]:
    return {
        "sent": counts.sent,
        "delivered": counts.delivered,
        "late": counts.late,
        "lost": counts.lost,
        "rejected": counts.rejected,
        "empty": counts.empty,
    }


def _messages(item: _Fields) -> MessageCounts:
    return MessageCounts(*(item.integer(key) for key in MESSAGE_KEYS.split()))


def _bytes(item: _Fields) -> ByteCounts:
    return ByteCounts(
        per_message_mean=item.number_or_none("per_message_mean"),
        per_message_max=item.integer_or_none("per_message_max"),
        per_agent_tick_mean=item.number_or_none("per_agent_tick_mean"),
        on_air=item.integer("on_air"),
    )


def _collision(value: object, where: str) -> CollisionSummary:
    item = _Fields.of(value, where, "t_s other speed_mps at_fault")
    return CollisionSummary(item.number("t_s"), item.text("other"), item.number("speed_mps"), item.flag("at_fault"))


def _score(item: _Fields) -> DrivingScore:
    return DrivingScore(lb1=item.number("lb1"), lb21=item.number("lb21"))


def _stages_to_json(times: StageTimes) -> dict[str, Json]:
    return {
        "sense": times.sense,
        "encode": times.encode,
        "decode": times.decode,
        "detect": times.detect,
        "plan": times.plan,
        "tick": times.tick,
    }


def _stages(item: _Fields) -> StageTimes:
    return StageTimes(*(item.number(key) for key in STAGE_KEYS.split()))


def _end(item: _Fields) -> EpisodeEnd:
    names = [end.value for end in EpisodeEnd]
    if item.text("end") not in names:
        raise StoredError(f"{item.where}: end is {item.text('end')!r} and should be one of {', '.join(names)}")
    return EpisodeEnd(item.text("end"))
