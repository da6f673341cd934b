"""A planner that only brakes: nothing that it knows of others slows it down, until stopping gently would not do.

It shows what sharing is worth to a car with nothing but automatic emergency braking, whom shared knowledge can reach in
time but not make careful. Route, bends and its lane's light it takes as the fixed planner does, and so whom it would
hit; the brake is then full until it stands and nobody is in its way any more.
"""

from __future__ import annotations

from collections.abc import Sequence

from carla_cp.driving.conflicts import Conflict, Leader
from carla_cp.driving.planner import Planner, Wish
from carla_cp.types import LaneLight, Plan, Track, VehicleState

TRIGGER_MPS2 = 5.0  # stopping that takes more than this is an emergency, as the fixed planner calls it
MOVING_MPS = 1.0  # a leader that is so much faster is not in the way


class BrakeOnlyPlanner(Planner):
    """The fixed planner without following and yielding, and with a brake that is either off or full."""

    name = "brake_only"
    _braking: frozenset[int] = frozenset()  # tracks that the brake is on for
    _before: frozenset[int] = frozenset()  # and was on for at the last tick

    def plan(self, odometry: VehicleState, light: LaneLight | None, tracks: Sequence[Track], now_us: int) -> Plan:
        """As the fixed planner's; a track that is gone lets go of the brake."""
        self._before, self._braking = self._braking, frozenset()
        return super().plan(odometry, light, tracks, now_us)

    def _for_leader(self, leader: Leader | None, speed: float, desired: float) -> list[Wish]:
        if leader is None:
            return []
        needed = max(0.0, speed - leader.speed_mps) ** 2 / (2.0 * max(leader.gap_m, 0.1))
        return self._brake(leader.track.id, needed, in_the_way=leader.speed_mps < speed + MOVING_MPS)

    def _for_conflict(self, conflict: Conflict | None, s_front: float, speed: float, desired: float) -> list[Wish]:
        if conflict is None:
            return []
        needed = speed**2 / (2.0 * max(conflict.start_m - s_front, 0.1))
        return self._brake(conflict.track.id, needed, in_the_way=True)

    def _brake(self, track: int, needed: float, in_the_way: bool) -> list[Wish]:
        if needed <= TRIGGER_MPS2 and not (track in self._before and in_the_way):
            return []
        self._braking |= {track}
        return [Wish(-self._config.hardest_brake_mps2, "emergency", track)]
