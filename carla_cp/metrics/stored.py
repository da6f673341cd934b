"""Summaries and traces to and from JSON values: the episodes of `summary.json`, schema 1.

Reading is strict: a key too many or too few, or a value of the wrong type, raises StoredError with its place.
"""

from __future__ import annotations

from carla_cp.metrics.fields import Fields, Json, StoredError
from carla_cp.metrics.stored_parts import (
    AGE_KEYS,
    BYTE_KEYS,
    COMFORT_KEYS,
    CONFLICT_KEYS,
    INFRACTION_KEYS,
    LINK_KEYS,
    MESSAGE_KEYS,
    SCORE_KEYS,
    STAGE_KEYS,
    age,
    age_to_json,
    byte_counts,
    bytes_to_json,
    collision,
    collision_to_json,
    comfort,
    comfort_to_json,
    conflict,
    conflict_to_json,
    infractions,
    infractions_to_json,
    link,
    link_to_json,
    messages,
    messages_to_json,
    precision,
    precision_to_json,
    score,
    score_to_json,
    stages,
    stages_to_json,
)
from carla_cp.metrics.stored_scene import scene_from_json, scene_to_json
from carla_cp.metrics.summary import ClassPrecision, EpisodeSummary, EpisodeTrace
from carla_cp.types import EpisodeEnd, StageTimes

EPISODE_KEYS = (
    "scenario codec budget_bytes seed end ticks perception_ticks sim_s wall_s ap ap_by_class messages bytes collisions "
    "min_ttc_s conflict min_gap_m max_brake_mps2 false_braking_s comfort time_to_awareness_s age_of_information_s "
    "age_of_targets_s route_completion infractions driving_score success latency_ms "
    "link hazard_triggered settings"
)


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
        "ap": precision_to_json(summary.ap),
        "ap_by_class": {
            "vehicle": precision_to_json(by_class.vehicle),
            "cyclist": precision_to_json(by_class.cyclist),
            "pedestrian": precision_to_json(by_class.pedestrian),
        },
        "messages": messages_to_json(summary.messages),
        "bytes": bytes_to_json(summary.bytes),
        "collisions": [collision_to_json(item) for item in summary.collisions],
        "min_ttc_s": summary.min_ttc_s,
        "conflict": conflict_to_json(summary.conflict),
        "min_gap_m": summary.min_gap_m,
        "max_brake_mps2": summary.max_brake_mps2,
        "false_braking_s": summary.false_braking_s,
        "comfort": comfort_to_json(summary.comfort),
        "time_to_awareness_s": summary.time_to_awareness_s,
        "age_of_information_s": age_to_json(summary.age_of_information),
        "age_of_targets_s": age_to_json(summary.age_of_targets),
        "route_completion": summary.route_completion,
        "infractions": infractions_to_json(summary.infractions),
        "driving_score": score_to_json(summary.driving_score),
        "success": summary.success,
        "latency_ms": stages_to_json(summary.latency_ms),
        "link": link_to_json(summary.link),
        "hazard_triggered": summary.hazard_triggered,
        "settings": list(summary.settings),
    }


def summary_from_json(value: object, where: str) -> EpisodeSummary:
    """The summary of an episode object; `where` names the file in errors. Raises StoredError."""
    item = Fields.of(value, where, EPISODE_KEYS)
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
            precision(by_class, "vehicle"), precision(by_class, "cyclist"), precision(by_class, "pedestrian")
        ),
        messages=messages(item.inner("messages", MESSAGE_KEYS)),
        bytes=byte_counts(item.inner("bytes", BYTE_KEYS)),
        collisions=tuple(collision(entry, f"{where}: collisions") for entry in item.items("collisions")),
        min_ttc_s=item.number_or_none("min_ttc_s"),
        conflict=conflict(item.inner("conflict", CONFLICT_KEYS)),
        min_gap_m=item.number_or_none("min_gap_m"),
        max_brake_mps2=item.number("max_brake_mps2"),
        false_braking_s=item.number("false_braking_s"),
        comfort=comfort(item.inner("comfort", COMFORT_KEYS)),
        time_to_awareness_s=item.number_or_none("time_to_awareness_s"),
        age_of_information=age(item.inner("age_of_information_s", AGE_KEYS)),
        age_of_targets=age(item.inner("age_of_targets_s", AGE_KEYS)),
        route_completion=item.number("route_completion"),
        infractions=infractions(item.inner("infractions", INFRACTION_KEYS)),
        driving_score=score(item.inner("driving_score", SCORE_KEYS)),
        success=item.flag("success"),
        latency_ms=stages(item.inner("latency_ms", STAGE_KEYS)),
        link=link(item.inner("link", LINK_KEYS)),
        hazard_triggered=item.flag("hazard_triggered"),
        settings=item.texts("settings"),
    )
    if precision(item, "ap") != summary.ap:
        raise StoredError(f"{where}: ap differs from ap_by_class.vehicle; delete the file and run the episode again")
    return summary


def wall_times_from_json(value: object, where: str) -> tuple[float, StageTimes]:
    """The `wall_s` and `latency_ms` of an episode object, whatever its other keys. Raises StoredError."""
    item = Fields.open(value, where, "wall_s latency_ms")
    return item.number("wall_s"), stages(item.inner("latency_ms", STAGE_KEYS))


def trace_to_json(trace: EpisodeTrace) -> dict[str, Json]:
    """The `trace` of an episode's own file."""
    return {
        "time_s": list(trace.time_s),
        "speed_mps": list(trace.speed_mps),
        "gap_m": list(trace.gap_m),
        "brake": list(trace.brake),
        "scene": scene_to_json(trace.scene),
    }


def trace_from_json(value: object, where: str) -> EpisodeTrace:
    """The trace of a JSON value; `where` names the file in errors. Raises StoredError."""
    item = Fields.of(value, where, "time_s speed_mps gap_m brake scene")
    trace = EpisodeTrace(
        time_s=item.numbers("time_s"),
        speed_mps=item.numbers("speed_mps"),
        gap_m=item.numbers_or_none("gap_m"),
        brake=item.numbers_or_none("brake"),
        scene=scene_from_json(item.values["scene"], f"{where}: scene"),
    )
    if not len(trace.time_s) == len(trace.speed_mps) == len(trace.gap_m) == len(trace.brake):
        raise StoredError(f"{where}: the trace's columns differ in length; delete the file and run the episode again")
    return trace


def _end(item: Fields) -> EpisodeEnd:
    names = [end.value for end in EpisodeEnd]
    if item.text("end") not in names:
        raise StoredError(f"{item.where}: end is {item.text('end')!r} and should be one of {', '.join(names)}")
    return EpisodeEnd(item.text("end"))
