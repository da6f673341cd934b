"""Scenarios that do not fit their map, or in which an actor stands inside another."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from carla_cp.scenario import load_scenario
from carla_cp.types import ActorSpec, Draw, Pose, Scenario
from carla_cp.world import World, WorldError, check_apart, check_on_map
from carla_cp.world.shapes import Shape

SCENARIO = load_scenario(Path(__file__).resolve().parents[2] / "scenarios" / "intersection.xml")
CAR = Shape(Pose(z=0.75), (4.6, 1.9, 1.5))


def moved(rolename: str, **place: float) -> Scenario:
    """The intersection with one actor elsewhere."""
    actors = [replace(a, start=replace(a.start, **place)) if a.rolename == rolename else a for a in SCENARIO.actors]
    return replace(SCENARIO, actors=tuple(actors))


def car(name: str, x: float, y: float = 0.0, yaw: float = 0.0, z: float = 0.3, along_m: float = 0.0) -> ActorSpec:
    """A parked car."""
    return ActorSpec(name, "car", Pose(x, y, z, yaw=yaw), 0.0, draw=Draw(along_m=along_m))


def cars(*others: ActorSpec) -> Scenario:
    """The ego, far away, and these."""
    return replace(SCENARIO, ego=replace(SCENARIO.ego, blueprint="car"), actors=others)


def test_the_committed_scenario_fits_its_map() -> None:
    check_on_map(SCENARIO, range(10))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda: moved("south_1", x=900.0), r"actor 'south_1' at x=900\.0 y=15\.5 is .* m from the nearest lane"),
        (lambda: replace(SCENARIO, ego=replace(SCENARIO.ego, start=Pose(-75.0, 90.0))), "actor 'hero' at x=-75.0"),
        (lambda: replace(SCENARIO, rsus=(replace(SCENARIO.rsus[0], foot=Pose(400.0, 0.0)),)), "rsu 'rsu_1' at x=400"),
        (lambda: replace(SCENARIO, route=(Pose(-14.0, 5.25), Pose(55.0, 15.0))), "waypoint x=55.0 y=15.0 is not on a"),
        (lambda: replace(SCENARIO, route=(Pose(55.0, 5.25), Pose(-14.0, 5.25))), "waypoint 3 .* cannot be reached"),
    ],
)
def test_what_is_off_the_map_is_named_in_one_line(change: Callable[[], Scenario], named: str) -> None:
    with pytest.raises(WorldError, match=named) as caught:
        check_on_map(change(), [0])
    assert str(caught.value).startswith(str(SCENARIO.source)) and "\n" not in str(caught.value)


def test_cars_bumper_to_bumper_are_apart_and_inside_one_another_are_named() -> None:
    shapes = {"car": CAR}
    check_apart(cars(car("a", 0.0), car("b", 4.61), car("c", 0.0, 1.91)), [0], shapes)
    check_apart(cars(car("a", 0.0), car("b", 1.0, z=6.0)), [0], shapes)  # on a bridge
    with pytest.raises(WorldError, match=re.escape("with seed 3 'b' at x=4.5 y=0.0 is spawned inside 'a' at x=0.0")):
        check_apart(cars(car("a", 0.0), car("b", 4.5)), [3], shapes)
    with pytest.raises(WorldError, match="inside 'hero'"):
        check_apart(cars(car("a", -74.0, 5.25)), [0], shapes)


def test_an_overlap_that_only_one_seed_draws_is_found() -> None:
    wide = cars(car("a", 0.0), car("b", 4.9, along_m=0.5))
    shapes = {"car": CAR}
    good, bad = [], []
    for seed in range(12):
        try:
            check_apart(wide, [seed], shapes)
            good.append(seed)
        except WorldError:
            bad.append(seed)
    assert good and bad
    with pytest.raises(WorldError, match=f"with seed {bad[0]} "):
        check_apart(wide, range(12), shapes)


def test_a_server_tells_the_shapes_of_all_blueprints_of_a_scenario(server_address: tuple[str, int]) -> None:
    world = World(*server_address)
    shapes = world.shapes([SCENARIO])
    world.close()
    assert {spec.blueprint for spec in (SCENARIO.ego, *SCENARIO.actors)} == set(shapes)
    assert shapes["vehicle.carlamotors.firetruck"].size[0] > shapes["vehicle.audi.tt"].size[0] > 4.0
    check_apart(SCENARIO, range(10), shapes)
