"""What a map is made of, before it is OpenDRIVE: roads, and the junctions where they meet."""

from __future__ import annotations

from dataclasses import dataclass

from map_geometry import PlanView, Point, follow

LANE_M = 3.5
SIDEWALK_M = 2.0


@dataclass(frozen=True)
class RoadPlan:
    """A road: its reference line, and its driving lanes per direction.

    The reference line is the middle of a two-way road, and the left edge of a one-way road, which it leads along.
    """

    id: int
    start: Point
    plan_view: PlanView
    lanes: int
    speed_kmh: float
    one_way: bool = False


@dataclass(frozen=True)
class Approach:
    """One road at a junction; `at_end` says which of its ends touches it."""

    road: RoadPlan
    at_end: bool

    @property
    def inward(self) -> Point:
        """The reference line's end, heading into the junction."""
        return follow(self.road.start, self.road.plan_view) if self.at_end else self.road.start.reversed

    @property
    def leads_in(self) -> bool:
        """Whether traffic comes from this road into the junction."""
        return self.at_end or not self.road.one_way

    @property
    def leads_out(self) -> bool:
        """Whether traffic leaves the junction on this road."""
        return not self.at_end or not self.road.one_way

    def lane_in(self, index: int) -> int:
        """The OpenDRIVE id of the index-th lane (1 is the inner one) that leads into the junction."""
        return -index if self.at_end else index

    def lane_out(self, index: int) -> int:
        """The id of the index-th lane that leads out of it."""
        return -self.lane_in(index)


@dataclass(frozen=True)
class JunctionPlan:
    """A junction and its approaches in any order.

    Its id is a multiple of 100: signals count from id + 1, controllers from id + 10, connecting roads from id + 20.
    """

    id: int
    approaches: tuple[Approach, ...]
    signalised: bool


@dataclass(frozen=True)
class MapPlan:
    """A whole map; every road of a junction is among `roads`, or ValueError is raised."""

    name: str
    roads: tuple[RoadPlan, ...]
    junctions: tuple[JunctionPlan, ...]

    def __post_init__(self) -> None:
        for junction in self.junctions:
            for approach in junction.approaches:
                if approach.road not in self.roads:
                    raise ValueError(
                        f"map {self.name}: add road {approach.road.id} of junction {junction.id} to the map's roads"
                    )
