"""What is measured of traffic, tick by tick: stops, crossings, how well lanes are kept, and cars that touch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import carla
import numpy as np

from carla_cp.geometry import wrap_angle
from carla_cp.server.collisions import overlap
from carla_cp.server.physics import Body

DT_S = 0.05
GENTLE_M = 40.0  # the radius from which on a bend is gentle
_STRAIGHT_M = 400.0
_STOPPED_MPS = 0.1
_LANE_TICKS = 4  # between looks at the lanes
_CHORD_M = 3.0  # along the lane, for its radius
_TOUCH_M = 0.02  # cars that are nearer than that touch
_DEAD_END_M = 60.0


@dataclass(frozen=True, slots=True)
class CarRow:
    """One car at one tick: its middle, heading and velocity in the world, and its size."""

    id: int
    x: float
    y: float
    z: float
    yaw: float
    vx: float
    vy: float
    length: float
    width: float


@dataclass(frozen=True, slots=True)
class Findings:
    """What came out of a run."""

    ticks: int
    mean_cars: float
    least_cars: int
    crossings: int
    longest_stop_s: float
    longest_stop_at: tuple[float, float]
    stops_s: tuple[float, ...]  # all ended and running stops above 10 s
    left: int  # cars that the TrafficManager took away at a dead end
    removed: int  # cars that it took away anywhere else: it held them for stuck
    straight_m: tuple[float, ...]  # lane-centre errors: 50th, 95th and 100th percentile
    bend_m: tuple[float, ...]
    touches: tuple[str, ...]
    mean_speed_mps: float


@dataclass(slots=True, eq=False)
class _Car:
    """What is remembered of a car from tick to tick."""

    row: CarRow
    stopped_ticks: int = 0
    in_junction: bool = False


@dataclass(slots=True, eq=False)
class Watch:
    """Sees every tick of a run."""

    map: carla.Map
    _cars: dict[int, _Car] = field(default_factory=dict)
    _ticks: int = 0
    _counts: list[int] = field(default_factory=list)
    _crossings: int = 0
    _stops: list[tuple[float, float, float]] = field(default_factory=list)
    _left: int = 0
    _removed: int = 0
    _straight: list[float] = field(default_factory=list)
    _bend: list[float] = field(default_factory=list)
    _touching: set[tuple[int, int]] = field(default_factory=set)
    _touches: list[str] = field(default_factory=list)
    _speeds: list[float] = field(default_factory=list)

    def see(self, rows: Sequence[CarRow]) -> None:
        """One tick's cars."""
        for car_id in self._cars.keys() - {row.id for row in rows}:
            self._lose(self._cars.pop(car_id))
        for row in rows:
            self._follow(row)
        self._ticks += 1
        self._counts.append(len(rows))
        self._meet(rows)
        if self._ticks % _LANE_TICKS == 0:
            for row in rows:
                self._place(self._cars[row.id])

    def _lose(self, car: _Car) -> None:
        self._end_stop(car)
        at = self.map.get_waypoint(carla.Location(car.row.x, car.row.y, car.row.z))
        if at.next(_DEAD_END_M):
            self._removed += 1
        else:
            self._left += 1

    def _follow(self, row: CarRow) -> None:
        car = self._cars.setdefault(row.id, _Car(row))
        speed = math.hypot(row.vx, row.vy)
        self._speeds.append(speed)
        car.row = row
        if speed < _STOPPED_MPS:
            car.stopped_ticks += 1
        else:
            self._end_stop(car)

    def _end_stop(self, car: _Car) -> None:
        if car.stopped_ticks:
            self._stops.append((car.stopped_ticks * DT_S, car.row.x, car.row.y))
        car.stopped_ticks = 0

    def _place(self, car: _Car) -> None:
        row = car.row
        at = self.map.get_waypoint(carla.Location(row.x, row.y, row.z))
        if at.is_junction:
            self._crossings += not car.in_junction
        car.in_junction = at.is_junction
        if at.is_junction:
            return
        radius = _radius(at)
        middle, ahead = at.transform.location, at.transform.get_forward_vector()
        error = abs((row.y - middle.y) * ahead.x - (row.x - middle.x) * ahead.y)
        if radius > _STRAIGHT_M:
            self._straight.append(error)
        elif radius > GENTLE_M:
            self._bend.append(error)

    def _meet(self, rows: Sequence[CarRow]) -> None:
        if len(rows) < 2:
            return
        table = np.array([(row.x, row.y, math.hypot(row.length, row.width) / 2) for row in rows])
        apart = np.hypot(table[:, None, 0] - table[None, :, 0], table[:, None, 1] - table[None, :, 1])
        near = np.argwhere(np.triu(apart < table[:, None, 2] + table[None, :, 2] + _TOUCH_M, 1))
        touching = set()
        for first, second in near.tolist():
            one, other = rows[first], rows[second]
            if overlap(_body(one), _body(other)) is not None:
                touching.add((one.id, other.id))
                if (one.id, other.id) not in self._touching:
                    self._touches.append(_story(self._ticks, one, other))
        self._touching = touching

    def findings(self) -> Findings:
        """Everything so far; stops that last are counted as they are."""
        for car in self._cars.values():
            self._end_stop(car)
        longest = max(self._stops, default=(0.0, 0.0, 0.0))
        return Findings(
            self._ticks,
            float(np.mean(self._counts)),
            min(self._counts),
            self._crossings,
            longest[0],
            longest[1:],
            tuple(sorted(stop[0] for stop in self._stops if stop[0] > 10.0)),
            self._left,
            self._removed,
            _percentiles(self._straight),
            _percentiles(self._bend),
            tuple(self._touches),
            float(np.mean(self._speeds)),
        )


def _percentiles(errors: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in np.percentile(errors, (50, 95, 100))) if errors else ()


def _radius(at: carla.Waypoint) -> float:
    """Of the lane ahead; infinite on a straight and where the lane ends."""
    ahead = at.next(_CHORD_M)
    if not ahead:
        return math.inf
    turn = math.radians(ahead[0].transform.rotation.yaw - at.transform.rotation.yaw)
    turn = abs(wrap_angle(turn))
    return _CHORD_M / turn if turn > 1e-6 else math.inf


def _body(row: CarRow) -> Body:
    return Body(row.x, row.y, row.z, row.yaw, row.length + _TOUCH_M, row.width + _TOUCH_M, 1.5, 0.0)


def _story(tick: int, one: CarRow, other: CarRow) -> str:
    speeds = [math.hypot(row.vx, row.vy) for row in (one, other)]
    turn = math.degrees(abs(wrap_angle(one.yaw - other.yaw)))
    return (
        f"t={tick * DT_S:.2f} s at ({one.x:.1f}, {one.y:.1f}): {one.id} at {speeds[0]:.1f} m/s and {other.id} at "
        f"{speeds[1]:.1f} m/s, {turn:.0f} deg apart"
    )
