"""Which conflicts the ego brakes for.

A conflict counts when both would be in the shared area at the same time, give or take a margin. Two rules keep the ego
from braking for nothing:

* Right of way. While the ego's own light is green, a vehicle that comes from the side is expected to stop as long as
  it still can: as long as stopping `line_margin` before the corridor takes less than `expected_stop_mps2`. One that
  would need more is taken for a violator. One that is seen to brake may need more: a constant-velocity track lags
  behind it. Oncoming vehicles and pedestrians get no such trust.
* Patience. A conflict must be found in `confirmations` perception updates in a row, unless it is imminent, and lasts
  until it was absent from as many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from carla_cp.driving.conflicts import Conflict
from carla_cp.types import ObjectClass, Track


@dataclass(frozen=True, slots=True)
class YieldConfig:
    """The rules' parameters."""

    time_margin_s: float = 0.7
    settled_margin_s: float = 1.0  # towards a track that the ego already yields to
    go_margin_s: float = 0.3  # that suffices to go first once stopping would be hard
    hard_stop_mps2: float = 6.0  # stopping that takes more than this is hard
    limit_mps2: float = 8.0  # and more than this impossible
    expected_stop_mps2: float = 3.5
    settled_stop_mps2: float = 2.5  # a violator is trusted again below this
    braking_stop_mps2: float = 5.0  # what is expected of one that brakes
    braking_mps2: float = 1.2  # it does when its speed falls faster than this,
    braking_s: float = 0.8  # by the lag of a first-order filter with this time constant
    trusted_hits: int = 4  # detections before a speed counts as known
    line_margin_m: float = 4.5  # at most, of the stop line before the corridor
    line_margin_s: float = 0.35  # and at most so many seconds of the other's speed
    confirmations: int = 2
    imminent_s: float = 1.5
    side_angle_rad: float = math.radians(
        45.0
    )  # approaches at between this and 180 degrees less this come from the side
    ego_acceleration_mps2: float = 1.0  # with which the ego is expected to go on


@dataclass(frozen=True, slots=True)
class _Suspicion:
    streak: int = 0  # updates in a row with the conflict, negative: without it
    seen_us: int = -1
    yielding: bool = False
    slow_speed: float = -1.0  # [m/s], filtered; negative: not known yet


@dataclass(frozen=True, slots=True)
class EgoMotion:
    """What the rules need of the ego."""

    s_front: float
    length: float
    speed: float
    desired: float  # speed it goes on with
    priority_yaw: float | None  # heading of its approach while its light gives it right of way


class Yielding:
    """Remembers from tick to tick whom the ego yields to."""

    def __init__(self, config: YieldConfig) -> None:
        self._config = config
        self._suspicions: dict[int, _Suspicion] = {}

    def choose(self, conflicts: Sequence[Conflict], ego: EgoMotion, tracks: Sequence[Track]) -> Conflict | None:
        """The conflict to stop for, the nearest; `tracks` are all that is known, in conflict or not."""
        by_id = {conflict.track.id: conflict for conflict in conflicts}
        suspicions = {}
        chosen: list[Conflict] = []
        for track in tracks:
            conflict = by_id.get(track.id)
            old = self._suspicions.get(track.id, _Suspicion())
            now = self._judge(self._watch(old, track), track, conflict, ego)
            suspicions[track.id] = replace(now, seen_us=track.last_seen_us)
            if now.yielding and conflict is not None and not self._goes_first(conflict, ego):
                chosen.append(conflict)
        self._suspicions = suspicions
        return min(chosen, key=lambda conflict: conflict.start_m, default=None)

    def _watch(self, old: _Suspicion, track: Track) -> _Suspicion:
        """With the track's speed filtered once per update, from when it is known."""
        if track.last_seen_us == old.seen_us or track.hits < self._config.trusted_hits:
            return old
        speed = math.hypot(track.vx, track.vy)
        if old.slow_speed < 0:
            return replace(old, slow_speed=speed)
        elapsed = (track.last_seen_us - old.seen_us) * 1e-6
        return replace(old, slow_speed=old.slow_speed + elapsed / self._config.braking_s * (speed - old.slow_speed))

    def _judge(self, old: _Suspicion, track: Track, conflict: Conflict | None, ego: EgoMotion) -> _Suspicion:
        real = conflict is not None and self._is_real(conflict, ego, old)
        imminent = real and conflict is not None and conflict.enter_s < self._config.imminent_s
        streak = old.streak
        if track.last_seen_us != old.seen_us:
            streak = max(streak, 0) + 1 if real else min(streak, 0) - 1
        if real and (streak >= self._config.confirmations or imminent):
            return replace(old, streak=streak, yielding=True)
        released = streak <= -self._config.confirmations
        return replace(old, streak=streak, yielding=old.yielding and not released)

    def _is_real(self, conflict: Conflict, ego: EgoMotion, old: _Suspicion) -> bool:
        if self._owes_way(conflict, ego) and self._is_trusted(conflict, old):
            return False
        arrives, clears = _passage(conflict, ego, self._config)
        margin = self._config.settled_margin_s if old.yielding else self._config.time_margin_s
        return arrives - margin < conflict.leave_s and clears + margin > conflict.enter_s

    def _is_trusted(self, conflict: Conflict, old: _Suspicion) -> bool:
        """Whether a vehicle that owes way is expected to stop."""
        if conflict.track.hits < self._config.trusted_hits:
            return True
        speed = math.hypot(conflict.track.vx, conflict.track.vy)
        limit = self._config.settled_stop_mps2 if old.yielding else self._config.expected_stop_mps2
        if old.slow_speed - speed > self._config.braking_mps2 * self._config.braking_s:
            limit = self._config.braking_stop_mps2
        return stop_demand(conflict, self._config) < limit

    def _owes_way(self, conflict: Conflict, ego: EgoMotion) -> bool:
        if ego.priority_yaw is None or conflict.track.label is ObjectClass.PEDESTRIAN:
            return False
        angle = math.atan2(conflict.track.vy, conflict.track.vx) - ego.priority_yaw
        return abs(math.sin(angle)) >= math.sin(self._config.side_angle_rad)

    def _goes_first(self, conflict: Conflict, ego: EgoMotion) -> bool:
        """Whether going on beats stopping: it is too late to stop, or hard while going on is clear enough."""
        room = conflict.start_m - ego.s_front
        arrives, clears = _passage(conflict, ego, self._config)
        slack = max(conflict.enter_s - clears, arrives - conflict.leave_s)
        hard = ego.speed**2 > 2.0 * self._config.hard_stop_mps2 * max(room, 0.0) and ego.speed > 2.0
        if hard and slack >= self._config.go_margin_s:
            return True
        # The area's margins leave a metre in which a slow ego still stands safely.
        inside = room + 1.0 <= ego.speed**2 / (2.0 * self._config.limit_mps2)
        return room <= 0.0 and inside


def stop_demand(conflict: Conflict, config: YieldConfig) -> float:
    """The deceleration [m/s^2] the other needs to stop at its line; infinite where it is over the line already."""
    speed = math.hypot(conflict.track.vx, conflict.track.vy)
    line = min(config.line_margin_m, max(1.0, config.line_margin_s * speed))
    room = speed * conflict.enter_s - line
    return speed**2 / (2.0 * room) if room > 0 else math.inf


def travel_time(distance_m: float, speed: float, acceleration: float, desired: float) -> float:
    """Time [s] to cover a distance, speeding up towards a desired speed that is at least the present one."""
    if distance_m <= 0:
        return 0.0
    top = max(desired, speed, 0.1)
    run_up = (top**2 - speed**2) / (2.0 * acceleration)
    if distance_m <= run_up:
        return (math.sqrt(speed**2 + 2.0 * acceleration * distance_m) - speed) / acceleration
    return (top - speed) / acceleration + (distance_m - run_up) / top


def _passage(conflict: Conflict, ego: EgoMotion, config: YieldConfig) -> tuple[float, float]:
    """When the ego's front reaches the shared area and its rear leaves it, if it goes on."""
    near = conflict.start_m - ego.s_front
    far = conflict.end_m - ego.s_front + ego.length
    return (
        travel_time(near, ego.speed, config.ego_acceleration_mps2, ego.desired),
        travel_time(far, ego.speed, config.ego_acceleration_mps2, ego.desired),
    )
