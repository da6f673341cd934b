"""Boxes in the plane, against shapely's polygons."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_cp.geometry import bev_corners
from carla_cp.metrics import boxes
from carla_cp.types import FloatArray

from .builders import state


def random_pair(rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Two boxes far from the origin, some overlapping, and a relative velocity, sometimes along one axis or none."""
    pair = [
        np.concatenate([rng.uniform(-8, 8, 3) + [300.0, -90.0, 0], rng.uniform(0.5, 5, 3), rng.uniform(-4, 4, 1)])
        for _ in range(2)
    ]
    velocity = rng.uniform(-6, 6, 2) * rng.integers(0, 2, 2)
    return pair[0][None], pair[1][None], velocity[None]


def polygon(box: FloatArray) -> shapely.Polygon:
    return shapely.Polygon(bev_corners(box)[0])


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**31))
def test_distance_and_overlap_of_boxes_are_those_of_their_polygons(seed: int) -> None:
    first, second, _ = random_pair(np.random.default_rng(seed))
    distance = polygon(first).distance(polygon(second))
    assert boxes.box_distance(first, second)[0] == pytest.approx(distance, abs=1e-9)
    assert bool(boxes.overlapping(first, second)[0]) == (polygon(first).intersection(polygon(second)).area > 0)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**31))
def test_boxes_first_touch_at_their_time_to_collision(seed: int) -> None:
    first, second, velocity = random_pair(np.random.default_rng(seed))
    ttc = float(boxes.time_to_collision(first, second, velocity)[0])

    def apart(time: float) -> float:
        moved = second.copy()
        moved[:, :2] += velocity * time
        return float(polygon(first).distance(polygon(moved)))

    before = np.linspace(0, min(ttc, 20.0), 50)[:-1]
    if ttc > 0:
        assert all(apart(time) > 0 for time in before)
    if np.isfinite(ttc):
        assert apart(ttc) == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_half_extents_are_those_of_the_polygon_turned_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    box, _, _ = random_pair(rng)
    yaw = rng.uniform(-4, 4)
    turned = shapely.affinity.rotate(polygon(box), -yaw, use_radians=True)
    low_x, low_y, high_x, high_y = turned.bounds
    extents = boxes.half_extent(box, np.array([[yaw, yaw + np.pi / 2]]))[0]
    assert extents == pytest.approx([(high_x - low_x) / 2, (high_y - low_y) / 2])


def test_a_body_s_box_stands_on_the_ground_under_it() -> None:
    assert boxes.box_of(state(3.0, 4.0, 0.5)) == pytest.approx([3.0, 4.0, 0.75, 4.6, 1.9, 1.5, 0.5])
