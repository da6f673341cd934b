"""What routes, stop lines and traffic need to know of the map, as plain arrays."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import carla
import numpy as np

from carla_cp.types import FloatArray, Pose, StopLine
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

    def trace(self, waypoints: Sequence[Pose], step_m: float = 1.0) -> FloatArray:
        """The lane centre line that leads through the waypoints: (N, 2) world x, y about `step_m` apart.

        Follows the lanes' own direction, with no lane change; raises WorldError for a waypoint that cannot be reached.
        """
        line = [self._lane(waypoints[0])]
        for number, pose in enumerate(waypoints[1:], 2):
            leg = self._search(line[-1], self._lane(pose), step_m)
            if leg is None:
                raise WorldError(
                    f"route waypoint {number} (x={pose.x:.1f} y={pose.y:.1f}) cannot be reached along the lanes "
                    "from the one before it; put both on connected lanes"
                )
            line.extend(leg)
        return np.array([[w.transform.location.x, w.transform.location.y] for w in line])

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
