"""Summaries, traces and rows to JSON and back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from carla_cp.metrics import stored
from carla_cp.metrics.fields import StoredError
from carla_cp.metrics.summary import summarise, trace
from carla_cp.types import Episode, EpisodeEnd

from .builders import crossing, episode, record, state

DRIVES = [crossing(), crossing("none", None, aware=False), episode([record(0, state(0))], end=EpisodeEnd.BLOCKED)]


@pytest.mark.parametrize("drive", DRIVES, ids=["saved", "hit", "blocked"])
def test_a_summary_and_a_trace_survive_their_json(drive: Episode) -> None:
    summary, course = summarise(drive, "violator"), trace(drive.records, "violator")
    text = json.dumps([stored.summary_to_json(summary), stored.trace_to_json(course)], allow_nan=False)
    first, second = json.loads(text)
    assert stored.summary_from_json(first, "file") == summary
    assert stored.trace_from_json(second, "file") == course


def test_an_episode_has_exactly_the_contract_s_keys() -> None:
    value = stored.summary_to_json(summarise(crossing("none", None, aware=False), None))
    assert list(value) == [
        "scenario",
        "codec",
        "budget_bytes",
        "seed",
        "end",
        "ticks",
        "perception_ticks",
        "sim_s",
        "wall_s",
        "ap",
        "ap_by_class",
        "messages",
        "bytes",
        "collisions",
        "min_ttc_s",
        "conflict",
        "min_gap_m",
        "max_brake_mps2",
        "false_braking_s",
        "comfort",
        "time_to_awareness_s",
        "age_of_information_s",
        "age_of_targets_s",
        "route_completion",
        "infractions",
        "driving_score",
        "success",
        "latency_ms",
        "link",
        "hazard_triggered",
        "settings",
    ]
    assert value["ap"].keys() == {"0.3", "0.5", "0.7"}  # type: ignore[union-attr]
    assert value["collisions"][0].keys() >= {"t_s", "other", "speed_mps", "at_fault"}  # type: ignore[index,union-attr]
    assert value["driving_score"].keys() >= {"lb1", "lb21"}  # type: ignore[union-attr]
    assert value["latency_ms"].keys() == {"sense", "encode", "decode", "detect", "plan", "tick"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("extra", 1, "extra"),
        ("seed", 1.5, "seed"),
        ("seed", True, "seed"),
        ("end", "exploded", "exploded"),
        ("wall_s", float("nan"), "wall_s"),
        ("wall_s", "12", "wall_s"),
        ("codec", 3, "codec"),
        ("collisions", {}, "collisions"),
        ("collisions", [{"t_s": 1.0}], "collisions"),
        ("messages", None, "messages"),
        ("settings", ["link.loss=0.1", 3], "settings"),
        ("hazard_triggered", 1, "hazard_triggered"),
        ("ap", {"0.3": 0.1, "0.5": 0.1, "0.7": 0.1}, "ap differs"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(key: str, value: object, complaint: str) -> None:
    document: dict[str, object] = {**stored.summary_to_json(summarise(crossing(), None)), key: value}
    with pytest.raises(StoredError, match=complaint):
        stored.summary_from_json(document, "0.json")


def test_a_missing_key_is_refused_by_file_and_name() -> None:
    document = stored.summary_to_json(summarise(crossing(), None))
    del document["min_ttc_s"]
    with pytest.raises(StoredError, match=r"0\.json: .*min_ttc_s; another version wrote it; run the episode again"):
        stored.summary_from_json(document, "0.json")


def test_the_wall_times_of_any_version_s_episode_can_be_read() -> None:
    document = stored.summary_to_json(summarise(crossing(), None))
    old = {"wall_s": document["wall_s"], "latency_ms": document["latency_ms"], "what_there_once_was": 1}
    assert stored.wall_times_from_json(old, "0.json") == (1.5, summarise(crossing(), None).latency_ms)
    with pytest.raises(StoredError, match="wall_s"):
        stored.wall_times_from_json({"latency_ms": document["latency_ms"]}, "0.json")


def test_a_trace_with_columns_of_different_lengths_is_refused() -> None:
    course = trace(crossing().records, None)
    with pytest.raises(StoredError, match="length"):
        stored.trace_from_json(stored.trace_to_json(replace(course, brake=course.brake[:-1])), "0.json")
