import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from carla_cp.server.lidar import LidarModel, LidarSettings
from carla_cp.server.mesh import Tag, cuboid
from carla_cp.server.raycast import Mover, RayCaster
from carla_cp.server.shapes import actor_mesh

ROOM = RayCaster(cuboid((-20, -20, -20), (20, 20, 20), Tag.BUILDING))
QUIET = LidarSettings(
    channels=16,
    range=100.0,
    points_per_second=16 * 90 * 20,
    rotation_frequency=20.0,
    dropoff_general_rate=0.0,
    dropoff_intensity_limit=0.0,
)
DROPPING = replace(QUIET, dropoff_general_rate=0.3, dropoff_intensity_limit=0.98, noise_stddev=0.05)
HERE = np.eye(4)
TICK = 0.05


def azimuths(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.degrees(np.arctan2(points[:, 1], points[:, 0]).astype(float))


def elevations(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.degrees(np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1])).astype(float))


def test_channels_run_from_the_top_down_and_azimuths_from_behind_to_the_right() -> None:
    sweep = LidarModel(QUIET, 0).sweep(ROOM, HERE, TICK, 1)
    assert sweep.counts.tolist() == [90] * 16
    np.testing.assert_allclose(
        elevations(sweep.points).reshape(16, 90).mean(axis=1), np.linspace(10, -30, 16), atol=1e-3
    )
    # The first ray points straight back, where -180 and 180 degrees meet.
    found = azimuths(sweep.points).reshape(16, 90)[3]
    assert abs(found[0]) == pytest.approx(180.0, abs=1e-3)
    np.testing.assert_allclose(found[1:], -180.0 + 4.0 * np.arange(1, 90), atol=1e-3)


def test_points_lie_on_the_walls_and_grow_dim_with_distance() -> None:
    sweep = LidarModel(QUIET, 0).sweep(ROOM, HERE, TICK, 1)
    np.testing.assert_allclose(np.abs(sweep.points[:, :3]).max(axis=1), 20.0, atol=1e-3)
    distance = np.linalg.norm(sweep.points[:, :3], axis=1)
    np.testing.assert_allclose(sweep.points[:, 3], np.exp(-0.004 * distance), atol=1e-5)


def test_points_are_in_the_frame_of_a_sensor_wherever_it_stands() -> None:
    angle = 0.7
    pose = np.array(
        [
            [math.cos(angle), -math.sin(angle), 0, 5],
            [math.sin(angle), math.cos(angle), 0, -3],
            [0, 0, 1, 1],
            [0, 0, 0, 1],
        ]
    )
    sweep = LidarModel(QUIET, 0).sweep(ROOM, pose, TICK, 1)
    world = sweep.points[:, :3] @ pose[:3, :3].T + pose[:3, 3]
    np.testing.assert_allclose(np.abs(world).max(axis=1), 20.0, atol=1e-3)


def test_partial_sweeps_go_on_where_the_last_one_ended() -> None:
    model = LidarModel(replace(QUIET, rotation_frequency=5.0), 0)
    quarters = [model.sweep(ROOM, HERE, TICK, frame) for frame in range(5)]
    for number, quarter in enumerate(quarters):
        found = azimuths(quarter.points)[:90] % 360.0
        np.testing.assert_allclose(found, (180.0 + 90.0 * number + np.arange(90)) % 360.0, atol=1e-3)
    np.testing.assert_allclose([math.degrees(quarter.horizontal_angle) for quarter in quarters], [90, 180, 270, 0, 90])


def test_full_sweeps_start_at_the_same_azimuth_for_ever() -> None:
    model = LidarModel(replace(QUIET, rotation_frequency=10.0), 0)
    assert [round(model.sweep(ROOM, HERE, 0.1, frame).horizontal_angle, 12) for frame in range(1000)] == [0.0] * 1000


def test_a_narrow_field_of_view_is_centred_ahead() -> None:
    sweep = LidarModel(replace(QUIET, horizontal_fov=60.0), 0).sweep(ROOM, HERE, TICK, 1)
    found = azimuths(sweep.points)
    assert found.min() == pytest.approx(-30.0, abs=1e-3) and 28.0 < found.max() < 30.0


def test_one_channel_looks_along_the_upper_edge() -> None:
    sweep = LidarModel(replace(QUIET, channels=1), 0).sweep(ROOM, HERE, TICK, 1)
    np.testing.assert_allclose(elevations(sweep.points), 10.0, atol=1e-3)


def test_the_number_of_points_is_rounded_per_channel() -> None:
    sweep = LidarModel(replace(QUIET, points_per_second=56000, channels=32), 0).sweep(ROOM, HERE, TICK, 1)
    assert sweep.counts.tolist() == [round(56000 * 0.05 / 32)] * 32


def test_a_lidar_without_points_sends_none() -> None:
    sweep = LidarModel(replace(QUIET, points_per_second=0), 0).sweep(ROOM, HERE, TICK, 1)
    assert len(sweep.points) == 0 and sweep.counts.tolist() == [0] * 16


def test_only_hits_are_sent_and_counted_by_channel() -> None:
    floor = RayCaster(cuboid((-20, -20, -3), (20, 20, -2), Tag.ROAD))
    sweep = LidarModel(QUIET, 0).sweep(floor, HERE, TICK, 1)
    channel = np.repeat(np.arange(16), sweep.counts)
    assert sweep.counts[:5].tolist() == [0] * 5 and sweep.counts.sum() == len(sweep.points)
    np.testing.assert_allclose(elevations(sweep.points), np.linspace(10, -30, 16)[channel], atol=1e-3)


def test_the_general_drop_off_takes_its_share() -> None:
    dense = replace(QUIET, points_per_second=16 * 2000 * 20, dropoff_general_rate=0.3)
    sweep = LidarModel(dense, 0).sweep(ROOM, HERE, TICK, 1)
    assert len(sweep.points) / 32000 == pytest.approx(0.7, abs=0.015)


def test_dim_points_are_dropped_by_carlas_rule() -> None:
    dense = replace(
        QUIET,
        points_per_second=16 * 4000 * 20,
        atmosphere_attenuation_rate=0.05,
        dropoff_intensity_limit=0.8,
        dropoff_zero_intensity=0.4,
    )
    every = LidarModel(replace(dense, dropoff_zero_intensity=0.0), 0).sweep(ROOM, HERE, TICK, 1)
    kept = LidarModel(dense, 0).sweep(ROOM, HERE, TICK, 1)
    expected = (0.4 / 0.8 * every.points[:, 3] + 0.6).mean()
    assert len(kept.points) / len(every.points) == pytest.approx(expected, abs=0.01)


def test_noise_moves_points_along_their_rays_only() -> None:
    clean = LidarModel(QUIET, 0).sweep(ROOM, HERE, TICK, 1)
    noisy = LidarModel(replace(QUIET, noise_stddev=0.05), 0).sweep(ROOM, HERE, TICK, 1)
    far, near = (np.linalg.norm(sweep.points[:, :3].astype(float), axis=1) for sweep in (noisy, clean))
    assert (far - near).std() == pytest.approx(0.05, rel=0.1)
    np.testing.assert_allclose(noisy.points[:, :3] / far[:, None], clean.points[:, :3] / near[:, None], atol=1e-6)
    # Intensity is that of the true distance.
    np.testing.assert_array_equal(noisy.points[:, 3], clean.points[:, 3])


def test_draws_depend_on_seed_and_frame_and_not_on_what_was_drawn_before() -> None:
    model = LidarModel(DROPPING, 7)
    first = [model.sweep(ROOM, HERE, TICK, frame).points.tobytes() for frame in (1, 2, 3)]
    assert LidarModel(DROPPING, 7).sweep(ROOM, HERE, TICK, 3).points.tobytes() == first[2]
    assert LidarModel(DROPPING, 8).sweep(ROOM, HERE, TICK, 3).points.tobytes() != first[2]
    assert len(set(first)) == 3


def test_the_semantic_lidar_names_what_it_sees_and_drops_nothing() -> None:
    caster = RayCaster(cuboid((-20, -20, -20), (20, 20, 20), Tag.BUILDING))
    matrix = np.eye(4)
    matrix[:3, 3] = 8.0, 0.0, -1.5
    caster.place([Mover(42, actor_mesh("car", 4.7, 1.9, 1.5), matrix)])
    sweep = LidarModel(DROPPING, 0).semantic_sweep(caster, HERE, TICK)
    assert sweep.points.dtype.itemsize == 24 and len(sweep.points) == 16 * 90 == sweep.counts.sum()
    car = sweep.points["actor_id"] == 42
    assert car.sum() > 5 and set(sweep.points["label"][car]) == {Tag.CAR}
    assert set(sweep.points["actor_id"]) == {0, 42} and set(sweep.points["label"][~car]) == {Tag.BUILDING}
    xyz = np.stack([sweep.points[axis] for axis in "xyz"], axis=-1)[~car]
    # On a wall of the room the cosine is the share of the ray along that wall's axis.
    expected = np.abs(xyz).max(axis=1) / np.linalg.norm(xyz, axis=1)
    np.testing.assert_allclose(sweep.points["cos"][~car], expected, atol=1e-4)


def test_both_lidars_scan_the_same_rays() -> None:
    plain = LidarModel(QUIET, 0).sweep(ROOM, HERE, TICK, 1).points
    semantic = LidarModel(QUIET, 0).semantic_sweep(ROOM, HERE, TICK).points
    np.testing.assert_array_equal(plain[:, :3], np.stack([semantic[axis] for axis in "xyz"], axis=-1))


@pytest.mark.parametrize(("name", "value"), [("channels", 0), ("range", -1.0), ("dropoff_general_rate", 1.5)])
def test_an_impossible_attribute_is_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}={value}"):
        replace(QUIET, **{name: value})
