"""An evaluation's figures."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from carla_cp.codecs import parse_choice
from carla_cp.metrics.detection import average_precision, match
from carla_cp.metrics.protocol import OPENCOOD, OURS
from carla_cp.types import DetectionFrame
from tests.metrics.test_detection import car, frame, random_frame
from tests.tools.claims import load_tool

summary = load_tool("evaluation_summary")
parts = load_tool("evaluation_parts")
PacketLoss = load_tool("evaluation_loss").PacketLoss
parse_noise = load_tool("pose_noise").parse_noise


def tally_of(frames: list[DetectionFrame], sizes: list[int], ages: list[int] | None = None) -> Any:
    nobody = frame([], [], [])
    matches = [tuple(match(item, parts.THRESHOLDS) for item in (one, nobody, nobody)) for one in frames]
    return parts.Tally(matches, sizes, ages or [0] * len(sizes))


def outcome_of(tallies: list[Any], scenes: list[str]) -> Any:
    found = parts.Outcome(tallies, scenes, [2] * len(scenes), ["b frame 3: broken"])
    found.numbers = list(range(len(scenes)))
    return found


def row_of(codec: str, noise: str = "none", delay: int = 0, fusion: str | None = None, loss: float = 0.0) -> Any:
    return parts.Row(parse_choice(codec), fusion, parse_noise(noise), delay, PacketLoss(loss))


def test_a_row_holds_both_orders_and_the_protocol_s_as_its_ap() -> None:
    rng = np.random.default_rng(8)
    frames = [random_frame(rng) for _ in range(10)]
    tally = tally_of(frames, [100, 0, 300])
    ours, theirs = (summary.summarise(row_of("late@1000"), tally, protocol) for protocol in (OURS, OPENCOOD))
    for iou in ("0.3", "0.5", "0.7"):
        assert ours["ap_global_order"][iou] == average_precision(frames, float(iou))
        assert ours["ap_frame_order"][iou] == average_precision(frames, float(iou), order="frame")
    assert ours["ap"] == ours["ap_global_order"] == ours["ap_by_class"]["vehicle"]
    assert theirs["ap"] == ours["ap_frame_order"]
    assert ours["ap_by_class"]["cyclist"]["0.5"] is None
    assert (ours["label"], ours["budget_bytes"], ours["messages"], ours["empty"]) == ("late@1000", 1000, 2, 1)
    assert ours["bytes"] == {"mean": 200.0, "max": 300}


def test_distances_have_their_own_figures() -> None:
    near, far = car(10), car(55)
    tally = tally_of([frame([near], [0.9], [near, far])], [])
    bins = summary.summarise(row_of("none"), tally, OURS)["ap_by_distance"]
    assert bins["0-30"] == {"0.3": 1.0, "0.5": 1.0, "0.7": 1.0, "objects": 1}
    assert bins["30-50"] == {"0.3": None, "0.5": None, "0.7": None, "objects": 0}
    assert bins["50+"] == {"0.3": 0.0, "0.5": 0.0, "0.7": 0.0, "objects": 1}


def test_gain_and_loss_are_paired() -> None:
    scenes = [str(number) for number in range(12)]
    blind = [frame([], [], [car(0)])] * 12
    half = [frame([car(0) if n % 2 else car(30)], [0.9], [car(0)]) for n in range(12)]
    full = [frame([car(0)], [0.9], [car(0)])] * 12
    rows = [row_of("none"), row_of("late"), row_of("late", "gaussian:0.2/0.2")]
    outcome = outcome_of([tally_of(frames, []) for frames in (blind, full, half)], scenes)
    none, late, noisy = summary.rows_of(rows, outcome, OURS, 0, 100)
    assert "ap_gain" not in none and "ap_loss" not in none and "ap_loss" not in late
    assert none["ap_ci95"]["0.7"] == [0.0, 0.0]
    assert late["ap_gain"]["0.7"] == {"value": 1.0, "ci95": [1.0, 1.0]}
    loss = noisy["ap_loss"]["0.7"]
    assert loss["value"] == pytest.approx(1 - noisy["ap"]["0.7"])
    assert loss["ci95"] == pytest.approx([1 - noisy["ap_ci95"]["0.7"][1], 1 - noisy["ap_ci95"]["0.7"][0]])
    json.dumps([none, late, noisy], allow_nan=False)


def test_a_delay_is_named_in_seconds_of_the_data() -> None:
    tally = tally_of([frame([], [], [car(0)])] * 3, [5, 5, 5], [0, 500_000, 500_000])
    row = summary.summarise(row_of("late", delay=1), tally, OURS)
    assert (row["delay_ticks"], row["delay_s"]) == (1, 0.5)


def test_the_setting_counts_frames_scenes_agents_and_what_was_skipped() -> None:
    setting = summary.setting_of(outcome_of([], ["a", "a", "b"]), OURS)
    assert setting["maps"] == ["a", "b"]
    published = outcome_of([], ["2021_08_18_19_48_05", "x/test_bends_0_0004", "test_bends_1_0002"])
    assert summary.setting_of(published, OURS)["maps"] == ["test_bends"]
    assert (setting["frames"], setting["scenes"], setting["agents"]) == (3, 2, {"2": 3})
    assert setting["skipped"] == ["b frame 3: broken"] and setting["protocol"]["order"] == "global"


def test_no_frames_give_no_figures() -> None:
    (row,) = summary.rows_of([row_of("none")], outcome_of([tally_of([], [])], []), OURS, 0, 20)
    assert row["ap"]["0.5"] is None and row["ap_ci95"]["0.5"] is None


def test_codecs_are_held_against_raw_features_under_the_same_noise() -> None:
    scenes = [str(number) for number in range(12)]
    half = [frame([car(0) if n % 2 else car(30)], [0.9], [car(0)]) for n in range(12)]
    full = [frame([car(0)], [0.9], [car(0)])] * 12
    noisy = "gaussian:0.2/0.2"
    rows = [
        row_of("none"),
        row_of("late@500"),
        row_of("late@500", noisy),
        row_of("raw", fusion="max"),
        row_of("raw", noisy, fusion="max"),
        row_of("raw@500", noisy, fusion="attention"),
    ]
    outcome = outcome_of([tally_of(frames, []) for frames in (half, half, half, full, half, full)], scenes)
    none, late, late_noisy, raw, _, alien = summary.rows_of(rows, outcome, OURS, 0, 50)
    assert not {"ap_to_raw"} & {*none, *raw, *alien}
    assert late["ap_to_raw"]["0.7"]["value"] == pytest.approx(late["ap"]["0.7"] - 1) and late["ap"]["0.7"] < 1
    assert late_noisy["ap_to_raw"]["0.7"] == {"value": 0.0, "ci95": [0.0, 0.0]}


def test_what_loss_costs_is_held_against_the_same_message_unharmed() -> None:
    half = [frame([car(0) if n % 2 else car(30)], [0.9], [car(0)]) for n in range(12)]
    full = [frame([car(0)], [0.9], [car(0)])] * 12
    outcome = outcome_of([tally_of(full, []), tally_of(half, [])], [str(number) for number in range(12)])
    outcome.tallies[1].lost = 6
    _, lossy = summary.rows_of([row_of("late"), row_of("late", loss=0.1)], outcome, OURS, 0, 50)
    assert lossy["ap_loss"]["0.7"]["value"] == pytest.approx(1 - lossy["ap"]["0.7"])
    assert (lossy["loss"], lossy["cut"], lossy["lost"]) == (0.1, "parts", 6)


def test_formulas_and_requests_have_their_own_figures() -> None:
    tally = tally_of([frame([], [], [car(0)])], [900])
    bare = summary.summarise(row_of("late"), tally, OURS)
    assert bare["formula_bytes"] is None and bare["request_bytes"] is None
    tally.formula_bytes, tally.request_bytes = [100.0, 200.0], [50]
    row = summary.summarise(row_of("late"), tally, OURS)
    assert (row["bytes"]["mean"], row["formula_bytes"], row["request_bytes"]) == (900.0, 150.0, 50.0)


def test_other_frames_have_another_digest() -> None:
    first, second = (outcome_of([], ["a", "a", "b"]) for _ in range(2))
    assert summary.setting_of(first, OURS) == summary.setting_of(second, OURS)
    second.numbers[0] = 7
    assert summary.setting_of(first, OURS)["frame_digest"] != summary.setting_of(second, OURS)["frame_digest"]
