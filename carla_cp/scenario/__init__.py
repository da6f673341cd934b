"""Scenario XML -> Scenario: reading and checking, the draws of a seed, and overrides from the command line."""

from carla_cp.scenario.draw import draw_scenario
from carla_cp.scenario.errors import ScenarioError
from carla_cp.scenario.override import override
from carla_cp.scenario.read import load_scenario

__all__ = ["ScenarioError", "draw_scenario", "load_scenario", "override"]
