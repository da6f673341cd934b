"""What becomes of the messages that an episode's last capture sends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from carla_cp.codecs import load_codec
from carla_cp.cooperation import Cooperation
from carla_cp.perception.detector import Detector
from carla_cp.scenario import load_scenario
from carla_cp.stopwatch import Stopwatch
from carla_cp.types import AgentName, CodecChoice, Outcome, Pose, Sweep

ROOT = Path(__file__).resolve().parent.parent


def sweep(agent: str, x: float) -> Sweep:
    points = np.random.default_rng(0).uniform(-30.0, 30.0, (500, 4)).astype(np.float32)
    points[:, 2:] = (-1.0, 0.5)
    return Sweep(AgentName(agent), 100_000, points, Pose(x=x, z=1.9), 1.9)


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
