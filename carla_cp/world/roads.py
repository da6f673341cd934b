"""What routes, stop lines and traffic need to know of the map, as plain arrays."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Sequence
from pathlib import Path

import carla
import numpy as np

from carla_cp.types import FloatArray, Pose, Scenario, StopLine
from carla_cp.world.errors import WorldError

TRAFFIC_LIGHT = "1000001"  # OpenDRIVE signal type
STRAIGHT_ROADS_STEP_M = 4.0  # between the places at which a path looks for stop lines


class Roads:
    """The lanes of one map, queried offline."""

    def __init__(self, carla_map: carla.Map) -> None:
        self._map = carla_map

    @staticmethod
    def of_file(path: Path) -> Roads:
        """The roads of an OpenDRIVE file, with no server at hand."""
        return Roads(carla.Map(path.stem, path.read_text(encoding="utf-8")))

    # -------------------------------------------------------------------------------------------------- routes

    def trace(self, waypoints: Sequence[Pose], crossovers: Collection[int] = (), step_m: float = 1.0) -> FloatArray:
        """The lane centre line that leads through the waypoints: (N, 2) world x, y about `step_m` apart.

        Follows the lanes' own direction. The way to a waypoint whose index is among `crossovers` is a smooth lane
        change instead, straight on but for that, also into and along a lane of oncoming traffic.
        Raises WorldError for a waypoint that cannot be reached.
        """
        here = self._lane(waypoints[0])
        line, heading = [_place(here)], math.radians(here.transform.rotation.yaw)
        for index, pose in enumerate(waypoints[1:], 1):
            goal = self._lane(pose)
            if index in crossovers:
                line.extend(_lane_change(line[-1], heading, _place(goal), step_m))
                here = goal
                continue
            leg = self._search(here, goal, step_m)
            if leg is None:
                raise WorldError(
                    f"route waypoint {index + 1} (x={pose.x:.1f} y={pose.y:.1f}) cannot be reached along the lanes "
                    "from the one before it; put both on connected lanes"
                )
            line.extend(map(_place, leg))
            here = leg[-1] if leg else here
            heading = math.radians(here.transform.rotation.yaw)
        return np.array(line)

    def ego_line(self, scenario: Scenario) -> FloatArray:
        """The line (N, 2) that the ego of a drawn scenario follows; raises WorldError as `trace`."""
        return self.trace([scenario.ego.start, *scenario.route], {1 + index for index in scenario.crossovers})

    def against(self, line: FloatArray) -> tuple[tuple[float, float], ...]:
        """The stretches, from one arc length to another, on which a route (N, 2) leads against its lane's traffic."""
        lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
        ahead = np.gradient(line, axis=0)
        found: list[tuple[float, float]] = []
        before = False
        for s, (x, y), (dx, dy) in zip(lengths.tolist(), line.tolist(), ahead.tolist(), strict=True):
            lane = self._map.get_waypoint(carla.Location(x, y, 0.0))
            yaw = math.radians(lane.transform.rotation.yaw)
            wrong = not lane.is_junction and math.cos(yaw) * dx + math.sin(yaw) * dy < 0.0
            if wrong:
                found[-1:] = [(found[-1][0], s)] if before else [*found[-1:], (s, s)]
            before = wrong
        return tuple(found)

    def _lane(self, pose: Pose) -> carla.Waypoint:
        location = carla.Location(pose.x, pose.y, pose.z)
        waypoint = self._map.get_waypoint(location)
        if waypoint is None or waypoint.transform.location.distance_2d(location) > 3.0:
            raise WorldError(f"route waypoint x={pose.x:.1f} y={pose.y:.1f} is not on a driving lane of this map")
        return waypoint

    def _search(self, start: carla.Waypoint, goal: carla.Waypoint, step_m: float) -> list[carla.Waypoint] | None:
        """Breadth first along the lanes; the steps are equally long, so the first hit is the shortest way."""
        target = goal.transform.location
        limit = int((3 * start.transform.location.distance_2d(target) + 100) / step_m)
        frontier: deque[tuple[carla.Waypoint, tuple[carla.Waypoint, ...]]] = deque([(start, ())])
        seen: set[tuple[int, int, int]] = set()
        while frontier:
            here, behind = frontier.popleft()
            if here.transform.location.distance_2d(target) <= 1.5 * step_m:
                return [*behind, here][1:]
            if len(behind) >= limit:
                continue
            for ahead in here.next(step_m):
                key = (ahead.road_id, ahead.lane_id, round(ahead.s / step_m))
                if key not in seen:
                    seen.add(key)
                    frontier.append((ahead, (*behind, here)))
        return None

    def stop_lines(self, path: FloatArray) -> tuple[StopLine, ...]:
        """Where the path (N, 2) crosses the stop lines of the signals that govern its lanes, nearest first."""
        lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
        found: dict[str, float] = {}
        for s in np.arange(0.0, lengths[-1], STRAIGHT_ROADS_STEP_M):
            index = min(int(np.searchsorted(lengths, s, side="right")), len(path) - 1)
            ahead = path[index] - path[index - 1]
            x, y = (float(np.interp(s, lengths, path[:, axis])) for axis in (0, 1))
            waypoint = self._map.get_waypoint(carla.Location(x, y, 0.0))
            yaw = math.radians(waypoint.transform.rotation.yaw)
            if waypoint.is_junction or math.cos(yaw) * ahead[0] + math.sin(yaw) * ahead[1] < 0.5 * np.hypot(*ahead):
                continue
            for landmark in waypoint.get_landmarks_of_type(STRAIGHT_ROADS_STEP_M + 2.0, TRAFFIC_LIGHT, True):
                found.setdefault(landmark.id, float(s + landmark.distance))
        return tuple(StopLine(name, s) for name, s in sorted(found.items(), key=lambda item: item[1]))

    def distance(self, x: float, y: float) -> float:
        """How far (x, y) is from the nearest lane of any kind, 0 on it [m]."""
        location = carla.Location(x, y, 0.0)
        waypoint = self._map.get_waypoint(location, True, carla.LaneType.Any)
        if waypoint is None:
            return math.inf
        return max(float(waypoint.transform.location.distance_2d(location)) - float(waypoint.lane_width) / 2, 0.0)

    # ------------------------------------------------------------------------------------------------- traffic

    def lane_points(self, step_m: float) -> FloatArray:
        """Places on driving lanes, `step_m` apart along each: (N, 4) x, y, yaw, 1.0 inside a junction else 0.0."""
        rows = []
        for waypoint in self._map.generate_waypoints(step_m):
            location = waypoint.transform.location
            yaw = math.radians(waypoint.transform.rotation.yaw)
            rows.append((location.x, location.y, yaw, float(waypoint.is_junction)))
        return np.array(sorted(rows)).reshape(-1, 4)

    def lane_path(self, x: float, y: float, length_m: float, draw: np.random.Generator) -> FloatArray:
        """The lane centre line from the place nearest to (x, y) on for at most `length_m`: (N, 2).

        Where lanes fork, `draw` picks the branch; the path ends early where the lane does.
        """
        waypoint = self._map.get_waypoint(carla.Location(x, y, 0.0))
        line = [waypoint]
        for _ in range(int(length_m)):
            branches = sorted(line[-1].next(1.0), key=lambda w: (w.road_id, w.lane_id))
            if not branches:
                break
            line.append(branches[int(draw.integers(len(branches)))])
        return np.array([[w.transform.location.x, w.transform.location.y] for w in line])

    def sidewalk_path(self, x: float, y: float, length_m: float) -> FloatArray | None:
        """The middle of the sidewalk nearest to (x, y), along its road for at most `length_m`: (N, 2), or None."""
        waypoint = self._map.get_waypoint(carla.Location(x, y, 0.0), True, carla.LaneType.Sidewalk)
        if waypoint is None:
            return None
        line = [waypoint]
        for _ in range(int(length_m / 2.0)):
            ahead = line[-1].next(2.0)
            if not ahead or ahead[0].lane_type != carla.LaneType.Sidewalk:
                break
            line.append(ahead[0])
        return np.array([[w.transform.location.x, w.transform.location.y] for w in line])

    def junction_centres(self) -> FloatArray:
        """The middles of the map's junctions: (N, 2), sorted."""
        centres = set()
        for waypoint in self._map.generate_waypoints(5.0):
            if waypoint.is_junction:
                middle = waypoint.get_junction().bounding_box.location
                centres.add((round(middle.x, 2), round(middle.y, 2)))
        return np.array(sorted(centres)).reshape(-1, 2)


def _place(waypoint: carla.Waypoint) -> tuple[float, float]:
    return waypoint.transform.location.x, waypoint.transform.location.y


def _lane_change(
    begin: tuple[float, float], heading: float, end: tuple[float, float], step_m: float
) -> list[tuple[float, float]]:
    """From one place to another with the same heading at both, as half a cosine; without the first place."""
    cos, sin = math.cos(heading), math.sin(heading)
    dx, dy = end[0] - begin[0], end[1] - begin[1]
    along, across = dx * cos + dy * sin, dy * cos - dx * sin
    part = np.linspace(0.0, 1.0, max(math.ceil(abs(along) / step_m), 1) + 1)[1:]
    x, y = along * part, across * (1.0 - np.cos(math.pi * part)) / 2.0
    return list(zip((begin[0] + x * cos - y * sin).tolist(), (begin[1] + x * sin + y * cos).tolist(), strict=True))
