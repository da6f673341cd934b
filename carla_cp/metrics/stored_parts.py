"""The objects inside an episode of `summary.json`, each to and from JSON values; see `stored`."""

from __future__ import annotations

from carla_cp.metrics.awareness import Age
from carla_cp.metrics.comfort import Comfort
from carla_cp.metrics.communication import ByteCounts, LinkFacts, MessageCounts
from carla_cp.metrics.fields import Fields, Json
from carla_cp.metrics.infractions import Infractions
from carla_cp.metrics.leaderboard import DrivingScore
from carla_cp.metrics.summary import CollisionSummary, Conflict, PrecisionSummary
from carla_cp.types import Loss, StageTimes

MESSAGE_KEYS = "sent delivered late lost rejected empty"
BYTE_KEYS = "per_message_mean per_message_max per_agent_tick_mean on_air"
LINK_KEYS = "packets packets_lost delay_ms messages_hit channel_load"
COLLISION_KEYS = "t_s other speed_mps impact_mps at_fault"
CONFLICT_KEYS = "min_ttc_leader_s tet_s tit_s2 pet_s max_drac_mps2"
COMFORT_KEYS = (
    "share jerk_mps3 lateral_mps2 hardest_brake_mps2 hardest_push_mps2 forward_jerk_mps3 yaw_rate_radps "
    "yaw_acceleration_radps2"
)
AGE_KEYS = "mean max"
INFRACTION_KEYS = (
    "collisions_pedestrian collisions_vehicle collisions_static red_lights outside_lanes min_speed_percents"
)
SCORE_KEYS = "lb1 lb20 lb21"
STAGE_KEYS = "sense encode decode detect plan tick"


def precision_to_json(part: PrecisionSummary) -> dict[str, Json]:
    """`ap`."""
    return {"0.3": part.iou30, "0.5": part.iou50, "0.7": part.iou70}


def precision(item: Fields, key: str) -> PrecisionSummary:
    """The precision under a key."""
    inner = item.inner(key, "0.3 0.5 0.7")
    return PrecisionSummary(*(inner.number_or_none(iou) for iou in ("0.3", "0.5", "0.7")))


def messages_to_json(part: MessageCounts) -> dict[str, Json]:
    """`messages`."""
    return {
        "sent": part.sent,
        "delivered": part.delivered,
        "late": part.late,
        "lost": part.lost,
        "rejected": part.rejected,
        "empty": part.empty,
    }


def messages(item: Fields) -> MessageCounts:
    """Of `messages`."""
    return MessageCounts(*(item.integer(key) for key in MESSAGE_KEYS.split()))


def bytes_to_json(part: ByteCounts) -> dict[str, Json]:
    """`bytes`."""
    return {
        "per_message_mean": part.per_message_mean,
        "per_message_max": part.per_message_max,
        "per_agent_tick_mean": part.per_agent_tick_mean,
        "on_air": part.on_air,
    }


def byte_counts(item: Fields) -> ByteCounts:
    """Of `bytes`."""
    return ByteCounts(
        per_message_mean=item.number_or_none("per_message_mean"),
        per_message_max=item.integer_or_none("per_message_max"),
        per_agent_tick_mean=item.number_or_none("per_agent_tick_mean"),
        on_air=item.integer("on_air"),
    )


def link_to_json(part: LinkFacts) -> dict[str, Json]:
    """`link`."""
    return {
        "packets": part.packets,
        "packets_lost": part.packets_lost,
        "delay_ms": part.delay_ms,
        "messages_hit": {cause.value: count for cause, count in part.hit},
        "channel_load": part.channel_load,
    }


def link(item: Fields) -> LinkFacts:
    """Of `link`."""
    hit = item.inner("messages_hit", " ".join(cause.value for cause in Loss))
    return LinkFacts(
        packets=item.integer("packets"),
        packets_lost=item.integer("packets_lost"),
        delay_ms=item.number_or_none("delay_ms"),
        hit=tuple((cause, hit.integer(cause.value)) for cause in Loss),
        channel_load=item.number_or_none("channel_load"),
    )


def collision_to_json(part: CollisionSummary) -> dict[str, Json]:
    """One of `collisions`."""
    return {
        "t_s": part.t_s,
        "other": part.other,
        "speed_mps": part.speed_mps,
        "impact_mps": part.impact_mps,
        "at_fault": part.at_fault,
    }


def collision(value: object, where: str) -> CollisionSummary:
    """Of one of `collisions`."""
    item = Fields.of(value, where, COLLISION_KEYS)
    return CollisionSummary(
        t_s=item.number("t_s"),
        other=item.text("other"),
        speed_mps=item.number("speed_mps"),
        impact_mps=item.number("impact_mps"),
        at_fault=item.flag("at_fault"),
    )


def conflict_to_json(part: Conflict) -> dict[str, Json]:
    """`conflict`."""
    return {
        "min_ttc_leader_s": part.min_ttc_leader_s,
        "tet_s": part.tet_s,
        "tit_s2": part.tit_s2,
        "pet_s": part.pet_s,
        "max_drac_mps2": part.max_drac_mps2,
    }


def conflict(item: Fields) -> Conflict:
    """Of `conflict`."""
    return Conflict(
        min_ttc_leader_s=item.number_or_none("min_ttc_leader_s"),
        tet_s=item.number("tet_s"),
        tit_s2=item.number("tit_s2"),
        pet_s=item.number_or_none("pet_s"),
        max_drac_mps2=item.number_or_none("max_drac_mps2"),
    )


def comfort_to_json(part: Comfort) -> dict[str, Json]:
    """`comfort`."""
    return {
        "share": part.share,
        "jerk_mps3": part.jerk_mps3,
        "lateral_mps2": part.lateral_mps2,
        "hardest_brake_mps2": part.hardest_brake_mps2,
        "hardest_push_mps2": part.hardest_push_mps2,
        "forward_jerk_mps3": part.forward_jerk_mps3,
        "yaw_rate_radps": part.yaw_rate_radps,
        "yaw_acceleration_radps2": part.yaw_acceleration_radps2,
    }


def comfort(item: Fields) -> Comfort:
    """Of `comfort`."""
    return Comfort(*(item.number_or_none(key) for key in COMFORT_KEYS.split()))


def age_to_json(part: Age) -> dict[str, Json]:
    """An age in seconds."""
    return {"mean": part.mean_s, "max": part.max_s}


def age(item: Fields) -> Age:
    """Of an age in seconds."""
    return Age(item.number_or_none("mean"), item.number_or_none("max"))


def infractions_to_json(part: Infractions) -> dict[str, Json]:
    """`infractions`."""
    return {
        "collisions_pedestrian": part.collisions_pedestrian,
        "collisions_vehicle": part.collisions_vehicle,
        "collisions_static": part.collisions_static,
        "red_lights": part.red_lights,
        "outside_lanes": part.outside_lanes,
        "min_speed_percents": list(part.slow_percents),
    }


def infractions(item: Fields) -> Infractions:
    """Of `infractions`."""
    return Infractions(
        collisions_pedestrian=item.integer("collisions_pedestrian"),
        collisions_vehicle=item.integer("collisions_vehicle"),
        collisions_static=item.integer("collisions_static"),
        red_lights=item.integer("red_lights"),
        outside_lanes=item.number("outside_lanes"),
        slow_percents=item.numbers("min_speed_percents"),
    )


def score_to_json(part: DrivingScore) -> dict[str, Json]:
    """`driving_score`."""
    return {"lb1": part.lb1, "lb20": part.lb20, "lb21": part.lb21}


def score(item: Fields) -> DrivingScore:
    """Of `driving_score`."""
    return DrivingScore(*(item.number(key) for key in SCORE_KEYS.split()))


def stages_to_json(part: StageTimes) -> dict[str, Json]:
    """`latency_ms`."""
    return {
        "sense": part.sense,
        "encode": part.encode,
        "decode": part.decode,
        "detect": part.detect,
        "plan": part.plan,
        "tick": part.tick,
    }


def stages(item: Fields) -> StageTimes:
    """Of `latency_ms`."""
    return StageTimes(*(item.number(key) for key in STAGE_KEYS.split()))
