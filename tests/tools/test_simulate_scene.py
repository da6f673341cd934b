from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from carla_cp.types import AgentName
from tests.opv2v.scenes import WORLD


@pytest.fixture(scope="module")
def simulate_scene() -> ModuleType:
    sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tools"))
    import simulate_scene

    return simulate_scene


def test_a_plan_is_the_next_ten_points_of_the_way(simulate_scene: ModuleType) -> None:
    first, other = (replace(thing, rolename=name) for thing, name in zip(WORLD, ("ego", "car7"), strict=False))
    path = tuple((first.state.pose.x + step, first.state.pose.y + 1.0) for step in range(-4, 30))
    plans = simulate_scene._plans({"ego": path, "gone": path}, (first, other))
    assert plans == {AgentName("ego"): path[5:15]}
    short = simulate_scene._plans({"ego": path[:6]}, (first,))
    assert short == {AgentName("ego"): path[5:6]}
