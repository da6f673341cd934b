from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from carla_cp.geometry import rotated_iou
from carla_cp.types import ActorSpec, LightState, Scenario
from carla_cp.world import Roads

ROOT = Path(__file__).parent.parent.parent
MAPS = ("train_fourway", "train_tee", "val_skew")
SEEDS = range(4)


@pytest.fixture(scope="module")
def random_scene() -> ModuleType:
    sys.path.insert(0, str(ROOT / "tools"))
    import random_scene

    return random_scene


@pytest.fixture(scope="module")
def scenes(random_scene: ModuleType) -> list[Scenario]:
    files = [ROOT / "scenarios" / "maps" / f"{name}.xodr" for name in MAPS]
    return [
        random_scene.random_scenario(Roads.of_file(file), file, f"{file.stem}_{seed}", seed)
        for file in files
        for seed in SEEDS
    ]


def users(scene: Scenario) -> list[ActorSpec]:
    return [scene.ego, *scene.actors]


def test_the_same_seed_gives_the_same_scene_and_another_seed_another(random_scene: ModuleType) -> None:
    file = ROOT / "scenarios" / "maps" / "train_fourway.xodr"
    first, again, other = (random_scene.random_scenario(Roads.of_file(file), file, "x", seed) for seed in (5, 5, 6))
    assert first == again
    assert first.actors != other.actors


def test_nobody_starts_on_top_of_another(random_scene: ModuleType, scenes: list[Scenario]) -> None:
    kinds = vars(random_scene)
    sizes = {
        blueprint: (kind.length_m, kind.width_m)
        for kind in (kinds[name] for name in ("CAR", "VAN", "TRUCK", "BUS", "MOTORCYCLE", "BICYCLE", "WALKER"))
        for blueprint in kind.blueprints
    }
    for scene in scenes:
        boxes = np.array([[u.start.x, u.start.y, 0, *sizes[u.blueprint], 1, u.start.yaw] for u in users(scene)])
        assert np.count_nonzero(rotated_iou(boxes, boxes)) == len(boxes)


def test_there_is_traffic_around_the_ego_of_every_kind(scenes: list[Scenario]) -> None:
    for scene in scenes:
        near = [u for u in users(scene) if np.hypot(u.start.x - scene.ego.start.x, u.start.y - scene.ego.start.y) < 90]
        assert len(near) >= 10
    blueprints = {user.blueprint for scene in scenes for user in users(scene)}
    assert any("walker" in name for name in blueprints)
    assert blueprints & {"vehicle.mitsubishi.fusorosa"} and blueprints & {"vehicle.yamaha.yzf", "vehicle.bh.crossbike"}


def test_agents_are_few_connected_cars_in_range_and_at_most_one_unit(scenes: list[Scenario]) -> None:
    for scene in scenes:
        names = {user.rolename: user for user in users(scene)}
        assert len(names) == len(users(scene))
        assert scene.connected[0].rolename == "ego"
        assert 2 <= len(scene.connected) + len(scene.rsus) <= 5
        for car in scene.connected:
            start = names[car.rolename].start
            assert np.hypot(start.x - scene.ego.start.x, start.y - scene.ego.start.y) < 60
            assert car.lidar.mount.z > 1.7
        assert all(4 <= unit.lidar.mount.z <= 6 for unit in scene.rsus)
    assert any(scene.rsus for scene in scenes) and not all(scene.rsus for scene in scenes)


def test_one_agent_is_one_agent_a_unit_or_not(random_scene: ModuleType) -> None:
    file = ROOT / "scenarios" / "maps" / "train_fourway.xodr"
    size = random_scene.SceneSize(agents=(1, 1), rsu_probability=1.0)
    scene = random_scene.random_scenario(Roads.of_file(file), file, "x", 5, size)
    assert (len(scene.connected), scene.rsus) == (1, ())


def test_each_signalised_junction_shows_green_and_red(scenes: list[Scenario]) -> None:
    lit = [scene for scene in scenes if scene.map_file.stem in ("train_fourway", "val_skew")]
    for scene in lit:
        assert {signal.state for signal in scene.signals} == {LightState.GREEN, LightState.RED}


def test_moving_users_start_on_their_path(scenes: list[Scenario]) -> None:
    for user in (user for scene in scenes for user in users(scene) if user.path):
        gap = np.hypot(*(np.array(user.path) - (user.start.x, user.start.y)).T).min()
        assert gap < 1.2
        assert user.speed_mps > 0


def test_mixed_lidars_change_the_lidars_and_nothing_else(random_scene: ModuleType) -> None:
    file = ROOT / "scenarios" / "maps" / "train_fourway.xodr"
    usual, mixed = (
        random_scene.random_scenario(Roads.of_file(file), file, "x", 5, random_scene.SceneSize(mixed_lidars=wanted))
        for wanted in (False, True)
    )
    assert (usual.ego, usual.actors, usual.signals) == (mixed.ego, mixed.actors, mixed.signals)
    assert {car.lidar.channels for car in usual.connected} == {64}
    assert len({car.lidar for car in mixed.connected}) == len(mixed.connected) > 1
    assert all(car.lidar != old.lidar for car, old in zip(mixed.connected, usual.connected, strict=True))
