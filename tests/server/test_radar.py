"""Detections of a wall that is known, at rest and in motion."""

from __future__ import annotations

import math

import numpy as np
import pytest

from carla_cp.server.mesh import Tag, cuboid
from carla_cp.server.radar import RadarModel, RadarSettings
from carla_cp.server.raycast import Mover, RayCaster

WALL = RayCaster(cuboid((20, -99, -99), (21, 99, 99), Tag.BUILDING))
SETTINGS = RadarSettings(horizontal_fov=60.0, vertical_fov=20.0, range=100.0, points_per_second=4000)


def test_a_wall_is_as_far_as_its_direction_says_and_comes_closer_by_the_sensors_own_speed() -> None:
    found = RadarModel(SETTINGS, 3).scan(WALL, np.eye(4), (5.0, 0.0, 0.0), {}, 0.05, 0).astype(np.float64)
    velocity, azimuth, altitude, depth = found.T
    along = np.cos(azimuth) * np.cos(altitude)
    assert len(found) == 200
    np.testing.assert_allclose(depth, 20.0 / along, atol=1e-3)
    np.testing.assert_allclose(velocity, -5.0 * along, atol=1e-4)


def test_what_an_actor_does_changes_only_what_is_met_of_it() -> None:
    caster = RayCaster(cuboid((20, -99, -99), (21, 99, 99), Tag.BUILDING))
    caster.place([Mover(9, cuboid((10, -99, -99), (11, 0, 99), Tag.CAR), np.eye(4))])
    found = RadarModel(SETTINGS, 3).scan(caster, np.eye(4), (0.0, 0.0, 0.0), {9: (0.0, 4.0, 0.0)}, 0.05, 0)
    velocity, azimuth, altitude, depth = found.T.astype(np.float64)
    moving = azimuth < 0.0
    np.testing.assert_allclose(velocity[~moving], 0.0, atol=1e-6)
    np.testing.assert_allclose(velocity[moving], 4.0 * (np.sin(azimuth) * np.cos(altitude))[moving], atol=1e-4)
    assert depth[moving].max() < 13.0 < 19.9 < depth[~moving].min()


def test_rays_lie_in_the_ellipse_of_the_aperture_as_often_near_its_middle_as_near_its_rim() -> None:
    rays = RadarModel(SETTINGS, 3).rays(50.0, 0).astype(np.float64)
    wide, high = math.tan(math.radians(30.0)), math.tan(math.radians(10.0))
    share = np.hypot(rays[:, 1] / rays[:, 0] / wide, rays[:, 2] / rays[:, 0] / high)
    assert len(rays) == 200_000
    assert share.max() <= 1.0 + 1e-5
    for part in (0.25, 0.5, 0.75):
        assert np.mean(share < part) == pytest.approx(part, abs=0.005)
    assert rays[:, 1:].mean(axis=0) == pytest.approx((0.0, 0.0), abs=0.003)


def test_draws_are_keyed_by_the_seed_and_the_frame_and_nothing_else() -> None:
    first, again, other = RadarModel(SETTINGS, 3), RadarModel(SETTINGS, 3), RadarModel(SETTINGS, 4)
    first.rays(0.05, 0)
    assert first.rays(0.05, 7).tobytes() == again.rays(0.05, 7).tobytes()
    assert first.rays(0.05, 8).tobytes() != again.rays(0.05, 7).tobytes()
    assert other.rays(0.05, 7).tobytes() != again.rays(0.05, 7).tobytes()


def test_what_is_out_of_range_is_not_detected() -> None:
    short = RadarModel(RadarSettings(range=19.9), 3)
    assert len(short.scan(WALL, np.eye(4), (0.0, 0.0, 0.0), {}, 0.05, 0)) == 0
    with pytest.raises(ValueError, match="radar attributes"):
        RadarSettings(horizontal_fov=180.0)
