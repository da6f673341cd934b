"""The contract of a planner: what the ego knows at a tick to its controls, and nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from carla_cp.driving.route import Route
from carla_cp.types import LaneLight, Plan, Track, VehicleState


class PlannerModel(ABC):
    """One way of driving; it keeps what it must remember of one episode, and is deterministic.

    It is called at every world tick and never sees the truth: what is not among the arguments is not known to a car.
    """

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def start(cls, route: Route, cruise_mps: float) -> PlannerModel:
        """One at the start of a route, to be driven at `cruise_mps` where nothing stands against it."""

    @abstractmethod
    def plan(self, odometry: VehicleState, light: LaneLight | None, tracks: Sequence[Track], now_us: int) -> Plan:
        """The controls for this tick, and why.

        `odometry` is the ego's own motion, `light` that of its lane as a SPaT message tells it (None: none ahead),
        `tracks` are what its perception and its partners' make it believe, propagated to `now_us`.
        """
