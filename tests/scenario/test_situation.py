"""`intersection.xml` is the accident it claims to be: hidden from the ego until it is too late, seen by the others.

Geometry seen from above with CARLA's vehicle sizes; every occluder is higher than any sight line from a sensor at
1.9 m to a car of 1.5 m.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from shapely import LineString, Polygon, STRtree, box
from shapely.affinity import rotate, translate

from carla_cp.scenario import draw_scenario, load_scenario
from carla_cp.types import ActorSpec, Pose, Scenario
from tests.scenario.conftest import SCENARIOS

CONFLICT = (-1.75, 5.25)
RANGE_M = 51.2  # of a detector around its sensor
SIZES = {  # length, width [m]
    "vehicle.lincoln.mkz_2017": (4.90, 2.13),
    "vehicle.tesla.model3": (4.79, 2.16),
    "vehicle.carlamotors.firetruck": (8.47, 2.90),
    "vehicle.carlamotors.european_hgv": (7.94, 2.89),
    "vehicle.ford.ambulance": (6.36, 2.35),
    "vehicle.mercedes.sprinter": (5.92, 1.99),
    "vehicle.carlamotors.carlacola": (5.20, 2.61),
}
OTHER_SIZE = (5.0, 2.1)
SEEDS = range(24)


def footprint(actor: ActorSpec, time_s: float = 0.0) -> Polygon:
    """Where an actor stands at a time, at its constant speed; no path of the scenario bends."""
    length, width = SIZES.get(actor.blueprint, OTHER_SIZE)
    if actor.blueprint.startswith("walker."):
        length = width = 0.6
    way = actor.speed_mps * time_s
    shape = rotate(box(-length / 2, -width / 2, length / 2, width / 2), actor.start.yaw, (0, 0), use_radians=True)
    cos, sin = math.cos(actor.start.yaw), math.sin(actor.start.yaw)
    return translate(shape, actor.start.x + way * cos, actor.start.y + way * sin)


def visible_fraction(eye: tuple[float, float], target: Polygon, occluders: list[Polygon]) -> float:
    """Part of the target's outline that a straight line from the eye reaches."""
    outline = target.exterior
    points = [outline.interpolate(part, normalized=True) for part in np.linspace(0.0, 1.0, 24, endpoint=False)]
    tree = STRtree(occluders)
    lines = [LineString([eye, (point.x, point.y)]) for point in points]
    inner = target.buffer(-0.01)
    seen = [not len(tree.query(line, "intersects")) and not line.intersects(inner) for line in lines]
    return sum(seen) / len(seen)


def in_range(eye: tuple[float, float], target: Polygon) -> bool:
    return max(abs(target.centroid.x - eye[0]), abs(target.centroid.y - eye[1])) <= RANGE_M


@cache
def drawn(seed: int) -> Scenario:
    return draw_scenario(load_scenario(SCENARIOS / "intersection.xml"), seed)


def first_sight_s(scenario: Scenario, eye: Pose, speed_mps: float, least: float) -> float:
    """Seconds before the ego would reach the conflict at which the violator comes into view; eyes move along x."""
    arrival_s = (CONFLICT[0] - scenario.ego.start.x) / scenario.ego.speed_mps
    standing = [footprint(actor) for actor in scenario.actors if actor.speed_mps == 0 and not_here(actor, eye)]
    for before_s in np.arange(5.0, 0.0, -0.05):
        time_s = arrival_s - before_s
        here = (eye.x + speed_mps * time_s, eye.y)
        target = footprint(scenario.actors[0], time_s)
        if in_range(here, target) and visible_fraction(here, target, standing) >= least:
            return float(before_s)
    return 0.0


def not_here(actor: ActorSpec, eye: Pose) -> bool:
    return math.hypot(actor.start.x - eye.x, actor.start.y - eye.y) > 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ego_alone_sees_the_violator_about_a_second_out(seed: int) -> None:
    scenario = drawn(seed)
    seconds = first_sight_s(scenario, scenario.ego.start, scenario.ego.speed_mps, least=0.1)
    assert 0.8 <= seconds <= 1.35


@pytest.mark.parametrize("seed", SEEDS)
def test_the_connected_car_and_the_roadside_unit_see_it_long_before(seed: int) -> None:
    scenario = drawn(seed)
    partner = next(actor for actor in scenario.actors if actor.rolename == scenario.connected[1].rolename)
    assert first_sight_s(scenario, partner.start, 0.0, least=0.1) >= 3.9
    assert first_sight_s(scenario, scenario.rsus[0].foot, 0.0, least=0.1) >= 3.9


@pytest.mark.parametrize("seed", SEEDS)
def test_braking_at_first_sight_is_too_late_and_three_seconds_before_is_not(seed: int) -> None:
    scenario = drawn(seed)
    sight_s = first_sight_s(scenario, scenario.ego.start, scenario.ego.speed_mps, least=0.1)
    assert collides(scenario, sight_s - 0.25, brake_mps2=7.0)
    assert not collides(scenario, 3.0 - 0.5, brake_mps2=4.0)


def collides(scenario: Scenario, brake_s: float, brake_mps2: float) -> bool:
    """Whether the boxes meet if the ego brakes from `brake_s` before the conflict on."""
    ego, violator = scenario.ego, scenario.actors[0]
    start_s = (CONFLICT[0] - ego.start.x) / ego.speed_mps - brake_s
    for time_s in np.arange(0.0, 12.0, 0.02):
        braking = min(max(time_s - start_s, 0.0), ego.speed_mps / brake_mps2)
        lost = max(time_s - start_s, 0.0) * ego.speed_mps - (ego.speed_mps * braking - brake_mps2 * braking**2 / 2)
        here = translate(footprint(ego, time_s), -lost, 0.0)
        if here.intersects(footprint(violator, time_s)):
            return True
    return False


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_else_gets_in_the_way_of_the_ego_or_of_the_violator(seed: int) -> None:
    scenario = drawn(seed)
    violator, *others = scenario.actors
    for time_s in np.arange(0.0, 11.0, 0.25):
        pair = [footprint(scenario.ego, time_s).buffer(0.3), footprint(violator, time_s).buffer(0.3)]
        for other in others:
            place = footprint(other, time_s)
            assert not any(place.intersects(one) for one in pair), f"{other.rolename} at {time_s} s"


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_starts_inside_another(seed: int) -> None:
    scenario = drawn(seed)
    places = [footprint(actor) for actor in (scenario.ego, *scenario.actors)]
    for index, place in enumerate(places):
        assert not any(place.distance(other) < 0.3 for other in places[:index])
