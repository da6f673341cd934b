"""Contacts against an independent geometry library, and the laws of a shock."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
import shapely.affinity

from carla_cp.server.collisions import collide, overlap
from carla_cp.server.physics import Body

NOTHING = np.empty((0, 3))


def box(x: float, y: float, yaw: float = 0.0, size: tuple[float, float] = (4.0, 2.0), mass: float = 1000.0) -> Body:
    return Body(x, y, 0.0, yaw, *size, 1.5, 1.0 / mass)


def polygon(body: Body) -> shapely.Polygon:
    flat = shapely.box(-body.length / 2, -body.width / 2, body.length / 2, body.width / 2)
    return shapely.affinity.translate(shapely.affinity.rotate(flat, body.yaw, (0, 0), use_radians=True), body.x, body.y)


def test_boxes_overlap_exactly_when_their_polygons_do_and_leave_along_the_normal() -> None:
    rng = np.random.default_rng(5)
    touching = 0
    for _ in range(500):
        first = box(0.0, 0.0, rng.uniform(-3, 3))
        second = box(rng.uniform(-5, 5), rng.uniform(-5, 5), rng.uniform(-3, 3), (rng.uniform(0.3, 8), 2.5))
        found = overlap(first, second)
        assert (found is not None) == (polygon(first).intersection(polygon(second)).area > 1e-9)
        if found is not None:
            touching += 1
            first.x += found.normal_x * (found.depth + 1e-6)
            first.y += found.normal_y * (found.depth + 1e-6)
            assert overlap(first, second) is None
    assert 100 < touching < 400


def test_bodies_at_different_heights_do_not_touch() -> None:
    above = box(0.0, 0.0)
    above.z = 5.0
    assert overlap(box(0.0, 0.0), above) is None


def test_a_shock_keeps_the_momentum_and_takes_energy() -> None:
    first, second = box(0.0, 0.0, mass=1500.0), box(3.9, 0.3, 0.2, mass=9000.0)
    first.set_velocity(12.0, 1.0)
    contacts = collide([first, second], (), NOTHING)
    assert len(contacts) == 1
    assert 1500 * first.vx + 9000 * second.vx == pytest.approx(1500 * 12.0)
    assert 1500 * first.vy + 9000 * second.vy == pytest.approx(1500 * 1.0)
    energy = 1500 * math.hypot(first.vx, first.vy) ** 2 + 9000 * math.hypot(second.vx, second.vy) ** 2
    assert energy < 1500 * (12.0**2 + 1.0)
    assert contacts[0].impulse[0] == pytest.approx(1500 * (first.vx - 12.0))
    assert overlap(first, second) is None or overlap(first, second).depth < 1e-6  # type: ignore[union-attr]


def test_what_has_no_inverse_mass_is_not_moved() -> None:
    car, wall = box(0.0, 0.0), box(3.0, 0.0)
    wall.inverse_mass = 0.0
    car.set_velocity(10.0, 0.0)
    (contact,) = collide([car], [wall], np.array([[3.0, 0.0, 2.5]]))
    assert contact.fixed
    assert (wall.x, wall.vx) == (3.0, 0.0)
    assert car.vx == pytest.approx(-1.0)
    assert car.x == pytest.approx(-1.0)


def test_bodies_that_rest_are_left_alone() -> None:
    first, second = box(0.0, 0.0), box(1.0, 0.0)
    assert collide([first, second], (), NOTHING) == []
    assert first.x == 0.0


def test_bodies_that_part_get_no_impulse() -> None:
    first, second = box(0.0, 0.0), box(3.9, 0.0)
    first.set_velocity(-5.0, 0.0)
    (contact,) = collide([first, second], (), NOTHING)
    assert contact.impulse == (0.0, 0.0, 0.0)
    assert first.vx == -5.0
