"""What `tools/check_traffic.py` measures, and which promises it finds broken."""

from __future__ import annotations

import math
import multiprocessing
import sys
from dataclasses import replace
from pathlib import Path

import carla
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from check_traffic import _HEADINGS, Outcome, _listen, broken, line, table
from traffic_measures import DT_S, CarRow, Findings, Watch
from traffic_run import TrafficPlan, TrafficResult

ROOT = Path(__file__).parents[2]
GOOD = Findings(
    ticks=12000,
    mean_cars=29.5,
    least_cars=27,
    crossings=400,
    longest_stop_s=44.0,
    longest_stop_at=(0.0, 0.0),
    stops_s=(12.0, 44.0),
    left=100,
    removed=0,
    straight_m=(0.01, 0.1, 0.9),
    bend_m=(0.05, 0.2, 0.4),
    touches=(),
    mean_speed_mps=5.0,
)
PLAN = TrafficPlan(Path("town.xodr"), 30, 12000, 0)


def outcome(found: Findings = GOOD, deaths: tuple[str, ...] = ()) -> Outcome:
    return Outcome("town", TrafficResult(found, 200.0, 2.0, 60.0, ""), 0, deaths)


@pytest.fixture(scope="module")
def crossing() -> carla.Map:
    return carla.Map("crossing", (ROOT / "scenarios" / "maps" / "crossing.xodr").read_text(encoding="utf-8"))


def car(number: int, x: float, y: float, speed: float = 0.0, yaw: float = 0.0) -> CarRow:
    return CarRow(number, x, y, 0.0, yaw, speed * math.cos(yaw), speed * math.sin(yaw), 4.5, 2.0)


def test_good_traffic_breaks_no_promise_and_a_hang_of_the_wheel_is_none() -> None:
    assert broken(outcome(), PLAN) == []
    assert broken(replace(outcome(), hangs=2), PLAN) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stops_s": (80.0,), "longest_stop_s": 80.0}, "1 stops longer than 75 s, the longest 80.0 s"),
        ({"removed": 1}, "removed"),
        ({"bend_m": (0.2, 0.51, 0.6)}, "0.51 m"),
        ({"touches": ("t=1 s",)}, "1 collisions"),
        ({"crossings": 0}, "no car crossed"),
        ({"mean_cars": 20.0}, "only 20.0 cars"),
    ],
)
def test_each_broken_promise_is_named(change: dict[str, object], words: str) -> None:
    (fault,) = broken(outcome(replace(GOOD, **change)), PLAN)  # type: ignore[arg-type]
    assert words in fault


def test_a_client_that_died_or_never_ended_is_a_broken_promise() -> None:
    assert "exit status -6" in broken(outcome(deaths=("exit status -6",)), PLAN)[0]
    assert "did not get to the end" in broken(Outcome("town", None, 5, ()), PLAN)[0]


def test_the_table_has_a_column_for_every_heading_even_without_a_result() -> None:
    rows = [_HEADINGS, line(outcome()), line(Outcome("town", None, 5, ()))]
    assert len({len(row) for row in rows}) == 1
    assert len(table(rows).splitlines()) == 3


def test_a_pipe_that_closes_is_told_from_one_that_is_silent() -> None:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    theirs.send(50)
    theirs.send(outcome().result)
    ticks: list[int] = []
    assert _listen(ours, ticks.append) == (outcome().result, False)
    assert ticks == [50]
    theirs.close()
    assert _listen(ours, ticks.append) == (None, True)


def test_stops_are_timed_until_the_car_moves_or_the_run_ends(crossing: carla.Map) -> None:
    watch = Watch(crossing)
    for tick in range(500):
        watch.see([car(1, -100.0, 5.25, 0.0 if tick < 300 else 5.0), car(2, -60.0, 5.25)])
    found = watch.findings()
    assert found.stops_s == pytest.approx((300 * DT_S, 500 * DT_S))
    assert found.longest_stop_s == pytest.approx(25.0)
    assert found.longest_stop_at == (-60.0, 5.25)


def test_cars_that_touch_are_told_once_and_those_side_by_side_are_not(crossing: carla.Map) -> None:
    watch = Watch(crossing)
    for _ in range(3):
        watch.see([car(1, -100.0, 5.25), car(2, -95.51, 5.25), car(3, -100.0, 1.75)])
    (story,) = watch.findings().touches
    assert "1 at 0.0 m/s and 2" in story


def test_a_car_that_vanishes_at_a_dead_end_has_left_and_any_other_was_removed(crossing: carla.Map) -> None:
    watch = Watch(crossing)
    watch.see([car(1, -170.0, -5.25, 9.0, math.pi), car(2, -60.0, 5.25)])
    watch.see([])
    found = watch.findings()
    assert (found.left, found.removed) == (1, 1)


def test_lane_errors_are_measured_outside_junctions_and_crossings_counted_once(crossing: carla.Map) -> None:
    watch = Watch(crossing)
    for x in range(-60, 60):
        watch.see([car(1, float(x), 5.55 if abs(x) > 12 else 6.5, 10.0)])
    found = watch.findings()
    assert found.crossings == 1
    assert found.straight_m == pytest.approx((0.3, 0.3, 0.3), abs=1e-3)
    assert found.bend_m == ()
