"""What becomes of messages: which are fused, and what those that never arrive are counted as."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from carla_cp.codecs import load_codec
from carla_cp.cooperation import Cooperation
from carla_cp.perception.detector import Detector
from carla_cp.perception.view import View
from carla_cp.scenario import load_scenario
from carla_cp.stopwatch import Stopwatch
from carla_cp.types import AgentName, CodecChoice, Detections, Outcome, Pose, Shared, Sweep

ROOT = Path(__file__).resolve().parent.parent


def sweep(agent: str, x: float, time_us: int = 100_000) -> Sweep:
    points = np.random.default_rng(0).uniform(-30.0, 30.0, (500, 4)).astype(np.float32)
    points[:, 2:] = (-1.0, 0.5)
    return Sweep(AgentName(agent), time_us, points, Pose(x=x, z=1.9), 1.9)


@pytest.mark.parametrize(
    ("budget", "far", "near"), [(2000, Outcome.LOST, Outcome.LATE), (1, Outcome.EMPTY, Outcome.EMPTY)]
)
def test_at_the_end_only_what_would_have_arrived_is_late(
    detector: Detector, budget: int, far: Outcome, near: Outcome
) -> None:
    scenario = load_scenario(ROOT / "scenarios" / "intersection.xml")
    codec = load_codec("early", ROOT / "checkpoints" / "mini")
    with ThreadPoolExecutor(1) as pool:
        team = Cooperation(scenario, CodecChoice("early", budget), 0, detector, codec, pool)
        team.capture([sweep(scenario.ego.rolename, 0.0), sweep("cav", 9_000.0), sweep("rsu_1", 20.0)], (), Stopwatch())
        outcomes = {item.sender: item.outcome for item in team.settled(last=True)}
    assert outcomes == {"cav": far, "rsu_1": near}


def test_a_message_that_overtakes_an_older_one_is_the_one_that_is_fused(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused: list[int] = []

    def finish(view: View, shared: Sequence[Shared], pool: Executor) -> Detections:
        fused.extend(item.time_us for item in shared)
        return Detections(np.zeros((0, 7)), np.zeros(0), np.zeros(0, np.int64))

    monkeypatch.setattr(detector, "finish", finish)
    scenario = load_scenario(ROOT / "scenarios" / "intersection.xml")
    shaky = replace(scenario, channel=replace(scenario.channel, latency_ms=110.0, jitter_ms=100.0))
    codec = load_codec("early", ROOT / "checkpoints" / "mini")
    overtaken = 0
    for seed in range(20):
        with ThreadPoolExecutor(1) as pool:
            team = Cooperation(shaky, CodecChoice("early", 2000), seed, detector, codec, pool)
            for time_us in (100_000, 200_000):
                looks = [sweep(scenario.ego.rolename, 0.0, time_us), sweep("rsu_1", 20.0, time_us)]
                team.capture(looks, (), Stopwatch())
            fused.clear()
            team.fuse(320_000, Stopwatch())
            arrived = [item.sent_us for item in team.settled(last=False) if item.outcome is Outcome.DELIVERED]
        assert fused == [max(arrived)] if arrived else fused == []
        overtaken += arrived == [200_000, 100_000]
    assert overtaken
