import numpy as np

from carla_cp.driving.lights import lane_light
from carla_cp.driving.route import Route
from carla_cp.types import LaneLight, LightState, SignalSpec, StopLine

ROUTE = Route(np.array([(0.0, 0.0), (100.0, 0.0)]))
LINES = (StopLine("far", 80.0), StopLine("near", 40.0))
STATES = (SignalSpec("near", LightState.GREEN), SignalSpec("far", LightState.RED))


def test_the_first_stop_line_ahead_counts() -> None:
    assert lane_light(ROUTE, 10.0, LINES, STATES) == LaneLight(LightState.GREEN, 30.0)
    assert lane_light(ROUTE, 41.0, LINES, STATES) == LaneLight(LightState.RED, 39.0)


def test_behind_the_last_line_there_is_no_light() -> None:
    assert lane_light(ROUTE, 81.0, LINES, STATES) is None
    assert lane_light(ROUTE, 0.0, (), STATES) is None


def test_a_signal_of_which_nothing_is_known_is_unknown() -> None:
    assert lane_light(ROUTE, 10.0, LINES, ()) == LaneLight(LightState.UNKNOWN, 30.0)
