"""Planners of other packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from carla_cp.driving.planners import PLANNERS
from carla_cp.driving.plugins import GROUP, with_plugins
from carla_cp.driving.route import Route
from tests.driving.crossing import body, drive
from tests.driving.outside import TimidPlanner
from tests.driving.test_planner import standing_car


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def test_a_class_in_the_entry_point_group_joins_the_table() -> None:
    table = with_plugins(PLANNERS, [point("timid", "tests.driving.outside:TimidPlanner")])
    assert table["timid"] is TimidPlanner
    assert list(table)[:-1] == list(PLANNERS)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("gone", "no.such.module:Planner", "No module named"),
        ("timid", "tests.driving.outside:NEAR_M", "no subclass"),
        ("other", "tests.driving.outside:TimidPlanner", "must agree"),
        ("fixed", "carla_cp.driving.planner:Planner", "that of carla_cp.driving.planner"),
    ],
)
def test_a_class_that_cannot_be_used_is_left_out_with_its_reason(name: str, value: str, why: str) -> None:
    with pytest.warns(UserWarning, match=f"planner {name} of .*{why}"):
        assert with_plugins(PLANNERS, [point(name, value)]) == PLANNERS


@pytest.mark.parametrize("kind", [*PLANNERS.values(), TimidPlanner], ids=lambda kind: kind.name)
def test_every_planner_keeps_the_contract(kind: type) -> None:
    def trajectory() -> list[tuple[float, ...]]:
        planner = kind.start(Route(np.array([(0.0, 0.0), (300.0, 0.0)])), 12.0)
        car, rows = body(10.0, 0.4, 0.0, 8.0), []
        for tick in range(160):
            plan = planner.plan(car, None, [standing_car(60.0)] if tick > 20 else [], tick * 50_000)
            given = plan.control
            assert 0 <= given.throttle <= 1 and 0 <= given.brake <= 1 and -1 <= given.steer <= 1
            assert not (given.throttle and given.brake) and plan.reason
            car = drive(car, given)
            rows.append((given.throttle, given.brake, given.steer, car.pose.x, car.pose.y))
        return rows

    first = trajectory()
    assert first == trajectory(), "the same knowledge gives the same drive"
    assert 15.0 < first[-1][3] < 60.0 and abs(first[-1][4]) < 0.5
