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
        s, angle, half_length, depth = self._sweep(moving, times)
        inside = depth > 0
        found = []
        for row, track in enumerate(moving):
            limit = self.config.walker_horizon_s if track.label is ObjectClass.PEDESTRIAN else self.config.horizon_s
            within = np.flatnonzero(inside[row] & (times <= limit + 1e-9))
            if not len(within) or abs(math.sin(angle[row, within[0]])) < math.sin(self.config.crossing_angle_rad):
                continue
            last = int(within[-1])
            leaves = last + 1 < len(times) and times[last + 1] <= limit + 1e-9
            found.append(
                Conflict(
                    track=track,
                    enter_s=_reached(times, depth[row], int(within[0])),
                    leave_s=float(times[last + 1]) if leaves else math.inf,
                    start_m=float((s - half_length)[row, within].min()) - self.config.end_margin_m,
                    end_m=float((s + half_length)[row, within].max()) + self.config.end_margin_m,
                )
            )
        return tuple(found)

    def leader(self, tracks: Sequence[Track]) -> Leader | None:
        """The nearest track ahead in the corridor that stands or moves along it; crossing ones are conflicts."""
        if not tracks:
            return None
        s, angle, half_length, depth = self._sweep(tracks, np.array([0.0, self.config.cut_in_s]))
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

    def _sweep(
        self, tracks: Sequence[Track], times: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Each track at each time, (N, K): arc length, angle of motion to the route, half its extent along the route,
        and how far it reaches into the corridor, negative outside."""
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
        return s, angle, half_length, depth


def _reached(times: FloatArray, depth: FloatArray, first: int) -> float:
    """When the depth turned positive, between the samples `first - 1` and `first`."""
    if first == 0:
        return 0.0
    part = float(depth[first] / (depth[first] - depth[first - 1]))
    return float(times[first]) - part * float(times[first] - times[first - 1])
