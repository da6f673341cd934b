"""The table of planners: ours, and those that other packages register in the entry point group `carla_cp.planners`."""

from __future__ import annotations

from carla_cp.driving.base import PlannerModel
from carla_cp.driving.brake_only import BrakeOnlyPlanner
from carla_cp.driving.planner import Planner
from carla_cp.driving.plugins import with_plugins

_OURS: dict[str, type[PlannerModel]] = {"fixed": Planner, "brake_only": BrakeOnlyPlanner}

PLANNERS: dict[str, type[PlannerModel]] = with_plugins(_OURS)
