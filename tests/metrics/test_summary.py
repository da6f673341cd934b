"""The summary and the trace of one episode."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carla_cp.metrics.stored import trace_from_json, trace_to_json
from carla_cp.metrics.summary import summarise, trace
from carla_cp.types import EpisodeEnd, StageTimes

from .builders import crossing, episode, perceived, record, state, thing


def test_an_aware_ego_and_a_blind_one_differ_in_every_safety_figure() -> None:
    saved, hit = summarise(crossing(), "violator"), summarise(crossing("none", None, aware=False), "violator")
    assert saved.end is EpisodeEnd.ROUTE
    assert hit.end is EpisodeEnd.COLLISION
    assert saved.collisions == ()
    assert [item.other for item in hit.collisions] == ["violator"]
    assert saved.driving_score.lb21 == 100.0 > hit.driving_score.lb21
    assert saved.min_gap_m is not None
    assert hit.min_gap_m is not None
    assert saved.min_gap_m > hit.min_gap_m
    assert saved.time_to_awareness_s == pytest.approx(0.15)
    assert hit.time_to_awareness_s is None and hit.hazard_triggered
    assert not summarise(crossing(), None).hazard_triggered
    assert saved.max_brake_mps2 == pytest.approx(4.0)


def test_ticks_times_messages_and_precision_are_those_of_the_records() -> None:
    drive = crossing()
    found = summarise(drive, "violator")
    assert found.ticks == len(drive.records)
    assert found.sim_s == pytest.approx(0.05 * len(drive.records))
    assert found.perception_ticks == sum(item.perceived is not None for item in drive.records)
    assert found.messages.delivered == 2 * found.perception_ticks
    assert found.bytes.per_message_max is not None
    assert found.bytes.per_message_max <= 2000
    assert found.ap.iou50 == 1.0
    assert found.ap_by_class.pedestrian.iou50 is None
    assert found.wall_s == 1.5
    assert found.label == "revqom@2000"


def test_latencies_are_medians_of_the_work_from_one_perception_to_the_next() -> None:
    seen = perceived(0, [], [])
    encode, detect = (1.0, 0.0, 5.0, 0.0, 9.0, 0.0, 70.0), (2.0, 20.0, 4.0, 30.0, 1.0, 40.0, 0.0)
    records = [
        record(i, state(i), perceived=seen if i % 2 else None, times=StageTimes(encode=encode[i], detect=detect[i]))
        for i in range(7)
    ]
    latency = summarise(episode(records), None).latency_ms
    assert (latency.encode, latency.detect) == (5.0, 34.0)


def test_an_episode_that_never_perceived_or_met_anyone_has_undefined_figures() -> None:
    found = summarise(episode([record(0, state(0))]), None)
    assert (found.ap.iou30, found.min_ttc_s, found.min_gap_m, found.time_to_awareness_s) == (None, None, None, None)
    assert found.bytes.per_message_mean is None
    assert found.latency_ms == StageTimes()


def test_an_episode_without_records_is_refused() -> None:
    with pytest.raises(ValueError, match="no records"):
        summarise(episode([]), None)


def test_a_trace_follows_the_gap_to_the_hazard_or_to_the_nearest_actor() -> None:
    near, far = thing("near", state(10), 1), thing("far", state(30), 2)
    records = [record(0, state(0, speed=5), [near, far]), record(1, state(0.25, speed=5), [far]), record(2, state(0.5))]
    assert trace(records, "far").gap_m == (25.4, 25.15, None)
    assert trace(records, None).gap_m == (5.4, 25.15, None)
    assert trace(records, None).time_s == (0.0, 0.05, 0.1)
    assert trace(records, None).speed_mps == (5.0, 5.0, 0.0)


def test_a_ride_in_somebody_elses_loop_is_scored_but_for_its_route_and_controls() -> None:
    drive = crossing()
    ridden = tuple(replace(item, plan=None, route_fraction=None, route_offset_m=None) for item in drive.records)
    own, found = summarise(drive, None), summarise(replace(drive, records=ridden, end=EpisodeEnd.TIMEOUT), None)
    assert (found.ap, found.bytes, found.min_ttc_s) == (own.ap, own.bytes, own.min_ttc_s)
    assert (found.route_completion, found.infractions.outside_lanes) == (0.0, 0.0)
    assert set(trace(ridden, None).brake) == {None}
    assert trace_from_json(trace_to_json(trace(ridden, None)), "here") == trace(ridden, None)
