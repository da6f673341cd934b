from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from carla_cp.types import LidarSpec, Pose

USUAL = LidarSpec(Pose(x=-0.2, z=1.9))


@pytest.fixture(scope="module")
def lidar_models() -> ModuleType:
    sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tools"))
    import lidar_models

    return lidar_models


def test_agents_of_many_scenes_carry_many_models_in_bounds(lidar_models: ModuleType) -> None:
    drawn = [lidar_models.mixed_lidar(USUAL, seed, agent) for seed in range(60) for agent in ("ego", "agent1")]
    assert len(set(drawn)) == len(drawn)
    assert {lidar.channels for lidar in drawn} == {32, 64, 128}
    for lidar in drawn:
        columns, rest = divmod(lidar.points_per_second, 20 * lidar.channels)
        assert rest == 0 and (lidar.channels, columns) in lidar_models.SIZES
        assert abs(lidar.mount.yaw) <= 3.1416 / columns
        assert (lidar.mount.x, lidar.mount.z) == (-0.2, 1.9)
        assert -30.0 <= lidar.lower_fov_deg < lidar.upper_fov_deg <= 15.0
        assert 80.0 <= lidar.range_m <= 150.0
        assert 0.005 <= lidar.noise_stddev_m <= 0.05
        assert 0.0 <= lidar.dropoff_general_rate <= 0.3


def test_a_model_depends_on_its_scene_and_agent_alone(lidar_models: ModuleType) -> None:
    first = lidar_models.mixed_lidar(USUAL, 3, "agent2")
    assert first == lidar_models.mixed_lidar(USUAL, 3, "agent2")
    assert first != lidar_models.mixed_lidar(USUAL, 4, "agent2")
