"""Where and when predicted motion of others crosses the ego's corridor along its route."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carla_cp.driving.route import Route
from carla_cp.types import FloatArray, ObjectClass, Track


@dataclass(frozen=True, slots=True)
class CorridorConfig:
    """How far and how wide the ego looks."""

    horizon_s: float = 5.0
    walker_horizon_s: float = 3.0  # pedestrians turn and stop too soon for more
    step_s: float = 0.1
    side_margin_m: float = 0.3  # on either side of the ego's body
    end_margin_m: float = 0.5  # before and behind a conflict area
    view_m: float = 70.0  # along the route ahead of the front
    meeting_s: float = 15.0  # of the course of an oncoming vehicle in whose lane the route leads
    crossing_angle_rad: float = math.radians(25.0)  # motion at less than this to the route is along it
    moving_mps: float = 1.0  # slower vehicles and cyclists stand
    walking_mps: float = 0.6  # slower pedestrians stand
    cut_in_s: float = 0.5  # a vehicle in the corridor after so long is a leader already
    known_hits: int = 3  # detections before a track counts at all
    known_score: float = 0.3  # and how well it must be seen
    graze_m: float = 0.5  # a leader that reaches less deep into the corridor is taken for its neighbour's error,
    graze_hits: int = 10  # unless it was seen so often
    graze_score: float = 0.5  # and so well

    def __post_init__(self) -> None:
        if min(self.horizon_s, self.walker_horizon_s, self.step_s, self.view_m) <= 0:
            raise ValueError(f"horizons, step and view must be positive: {self}")


@dataclass(frozen=True, slots=True)
class Conflict:
    """A track that is predicted to cross the corridor."""

    track: Track
    enter_s: float  # until it reaches the corridor; 0: it is in it
    leave_s: float  # until it has left; infinite where it does not within the horizon
    start_m: float  # arc length along the route at which the shared area begins
    end_m: float


@dataclass(frozen=True, slots=True)
class Leader:
    """What is ahead in the corridor."""

    track: Track
    gap_m: float  # between its rear and the ego's front
    speed_mps: float  # along the route, not below 0
    grazes: bool  # it is a vehicle that stands and reaches less than `graze_m` into the corridor


@dataclass(frozen=True, slots=True, eq=False)
class _Motion:
    """Tracks at several times, each (N, K), or one track, each (K,)."""

    s: FloatArray  # arc length along the route
    angle: FloatArray  # of motion to the route
    half_length: FloatArray  # half the extent along the route
    depth: FloatArray  # how far it reaches into the corridor, negative outside

    def of(self, row: int) -> _Motion:
        """One track's."""
        return _Motion(self.s[row], self.angle[row], self.half_length[row], self.depth[row])


@dataclass(frozen=True, slots=True)
class Corridor:
    """The strip that the ego will sweep."""

    route: Route
    s_rear: float  # arc length of the ego's rear bumper
    s_front: float
    half_width_m: float  # of the ego's body
    config: CorridorConfig
    beside: frozenset[int] = frozenset()  # ids of tracks that are known to stand beside it if they only graze it

    def conflicts(self, tracks: Sequence[Track]) -> tuple[Conflict, ...]:
        """The moving tracks that will cross the corridor, each with when and where."""
        moving = [track for track in tracks if self._moves(track) and self._known(track)]
        if not moving:
            return ()
        times = np.arange(0.0, self.config.horizon_s + 1e-9, self.config.step_s)
        swept = self._sweep(moving, times)
        found = []
        for row, track in enumerate(moving):
            limit = self.config.walker_horizon_s if track.label is ObjectClass.PEDESTRIAN else self.config.horizon_s
            motion = swept.of(row)
            within = np.flatnonzero((motion.depth > 0) & (times <= limit + 1e-9))
            if not len(within):
                continue
            if abs(math.sin(motion.angle[within[0]])) >= math.sin(self.config.crossing_angle_rad):
                found.append(self._conflict(track, times[times <= limit + 1e-9], motion))
            elif math.cos(motion.angle[within[0]]) < 0.0 and any(map(self.route.is_against, motion.s[within].tolist())):
                found.append(self._meeting(track))
        return tuple(found)

    def _conflict(self, track: Track, times: FloatArray, motion: _Motion) -> Conflict:
        """The conflict of a track that is in the corridor at some of the times."""
        within = np.flatnonzero(motion.depth[: len(times)] > 0)
        last = int(within[-1])
        return Conflict(
            track=track,
            enter_s=_reached(times, motion.depth, int(within[0])),
            leave_s=float(times[last + 1]) if last + 1 < len(times) else math.inf,
            start_m=float((motion.s - motion.half_length)[within].min()) - self.config.end_margin_m,
            end_m=float((motion.s + motion.half_length)[within].max()) + self.config.end_margin_m,
        )

    def _meeting(self, track: Track) -> Conflict:
        """The conflict with an oncoming track in whose lane the route leads: it needs that stretch to its end."""
        times = np.arange(0.0, self.config.meeting_s, self.config.step_s)
        return self._conflict(track, times, self._sweep([track], times).of(0))

    def leader(self, tracks: Sequence[Track]) -> Leader | None:
        """The nearest track ahead in the corridor that stands or moves along it; crossing ones are conflicts."""
        if not tracks:
            return None
        swept = self._sweep(tracks, np.array([0.0, self.config.cut_in_s]))
        s, angle, half_length, depth = swept.s, swept.angle, swept.half_length, swept.depth
        found: list[Leader] = []
        for row, track in enumerate(tracks):
            crosses = abs(math.sin(angle[row, 0])) >= math.sin(self.config.crossing_angle_rad)
            ahead = s[row, 0] > self.s_front
            if not self._blocks(track, float(depth[row].max())) or not ahead or (crosses and self._moves(track)):
                continue
            speed = math.hypot(track.vx, track.vy) * math.cos(angle[row, 0]) if self._moves(track) else 0.0
            gap = float(s[row, 0] - half_length[row, 0]) - self.s_front
            stands = track.label is ObjectClass.VEHICLE and not self._moves(track)
            grazes = stands and float(depth[row].max()) <= self.config.graze_m
            found.append(Leader(track, gap, max(0.0, speed), grazes))
        return min(found, key=lambda leader: leader.gap_m, default=None)

    def _blocks(self, track: Track, depth_m: float) -> bool:
        config = self.config
        certain = track.hits >= config.graze_hits and track.score >= config.graze_score
        certain = certain and track.id not in self.beside
        return self._known(track) and depth_m > (0.0 if certain else config.graze_m)

    def _known(self, track: Track) -> bool:
        return track.hits >= self.config.known_hits and track.score >= self.config.known_score

    def _moves(self, track: Track) -> bool:
        slow = self.config.walking_mps if track.label is ObjectClass.PEDESTRIAN else self.config.moving_mps
        return math.hypot(track.vx, track.vy) >= slow

    def _sweep(self, tracks: Sequence[Track], times: FloatArray) -> _Motion:
        """Each track at each time, (N, K)."""
        state = np.array([(t.x, t.y, t.vx, t.vy, t.yaw, t.length / 2, t.width / 2) for t in tracks])
        x = state[:, 0, None] + state[:, 2, None] * times
        y = state[:, 1, None] + state[:, 3, None] * times
        flat = np.column_stack([x.ravel(), y.ravel()])
        s, lateral = self.route.project_many(flat, self.s_rear, self.s_front + self.config.view_m)
        s, lateral = s.reshape(x.shape), lateral.reshape(x.shape)
        heading = self.route.headings(s)
        sin = np.abs(np.sin(state[:, 4, None] - heading))
        cos = np.abs(np.cos(state[:, 4, None] - heading))
        half_length = state[:, 5, None] * cos + state[:, 6, None] * sin
        half_width = state[:, 5, None] * sin + state[:, 6, None] * cos
        depth = half_width + self.half_width_m + self.config.side_margin_m - np.abs(lateral)
        angle = np.arctan2(state[:, 3], state[:, 2])[:, None] - heading
        return _Motion(s, angle + np.zeros_like(s), half_length, depth)


def _reached(times: FloatArray, depth: FloatArray, first: int) -> float:
    """When the depth turned positive, between the samples `first - 1` and `first`."""
    if first == 0:
        return 0.0
    part = float(depth[first] / (depth[first] - depth[first - 1]))
    return float(times[first]) - part * float(times[first] - times[first - 1])
