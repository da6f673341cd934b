"""What the ego is told about the light of its own lane."""

from __future__ import annotations

from collections.abc import Sequence

from carla_cp.driving.route import Route
from carla_cp.types import LaneLight, LightState, SignalSpec, StopLine


def lane_light(
    route: Route, s_front: float, stop_lines: Sequence[StopLine], states: Sequence[SignalSpec]
) -> LaneLight | None:
    """The light of the first stop line at or ahead of the front, UNKNOWN where none of `states` names its signal;
    None when no stop line lies ahead on the route."""
    ahead = [line for line in stop_lines if s_front <= line.s_m <= route.length]
    if not ahead:
        return None
    line = min(ahead, key=lambda candidate: candidate.s_m)
    known = [signal.state for signal in states if signal.signal_id == line.signal_id]
    return LaneLight(known[0] if known else LightState.UNKNOWN, line.s_m - s_front)
