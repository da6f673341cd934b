import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carla_cp.geometry import points_in_boxes
from carla_cp.link.sight import crossed

BOX = (10.0, 0.0, 1.5, 4.0, 2.0, 3.0, 0.0)  # a truck of 3 m across the x axis, from x = 8 to x = 12


def crosses(start: tuple[float, float, float], end: tuple[float, float, float], *box: float) -> bool:
    return bool(crossed(np.array(start), np.array(end), np.array([box or BOX]))[0])


def test_a_line_through_a_box_is_blocked_and_one_beside_over_or_before_it_is_not() -> None:
    assert crosses((0, 0, 1), (20, 0, 1))
    assert not crosses((0, 1.5, 1), (20, 1.5, 1))
    assert not crosses((0, 0, 3.1), (20, 0, 3.1))
    assert not crosses((0, 0, 1), (7, 0, 1))
    assert not crosses((13, 0, 1), (20, 0, 1))
    assert crosses((0, 0, 1), (10, 0, 1)), "it ends inside"
    assert not crosses((10, -5, 5), (10, 5, 5)), "it passes over the roof"
    assert crosses((10, 0, 10), (10, 0, 0)), "it comes straight from above"


def test_a_line_from_a_mast_passes_over_a_car_and_not_through_it() -> None:
    car = (20.0, 0.0, 0.75, 4.5, 1.8, 1.5, 0.0)
    assert not crosses((0, 0, 6), (40, 0, 1.6), *car)
    assert crosses((0, 0, 1.4), (40, 0, 1.4), *car)


def test_a_turned_box_blocks_by_its_heading() -> None:
    along = (10.0, 2.0, 1.0, 6.0, 1.0, 2.0, 0.0)
    across = (10.0, 2.0, 1.0, 6.0, 1.0, 2.0, math.pi / 2)
    assert not crosses((0, 0, 1), (20, 0, 1), *along)
    assert crosses((0, 0, 1), (20, 0, 1), *across)


def test_no_boxes_block_nothing() -> None:
    assert crossed(np.zeros(3), np.ones(3), np.zeros((0, 7))).shape == (0,)


COORDINATE = st.floats(-8.0, 8.0)
POINT = st.tuples(COORDINATE, COORDINATE, st.floats(0.0, 4.0))


@given(start=POINT, end=POINT, yaw=st.floats(-3.0, 3.0))
@settings(max_examples=60, deadline=None)
def test_a_line_is_blocked_where_a_walk_along_it_meets_the_box(
    start: tuple[float, float, float], end: tuple[float, float, float], yaw: float
) -> None:
    box = np.array([(0.5, -0.5, 1.5, 5.0, 2.0, 3.0, yaw)])
    steps = np.linspace(0.0, 1.0, 2000)[:, None]
    walk = np.array(start) + steps * (np.array(end) - np.array(start))
    if points_in_boxes(walk, box)[0]:
        assert crossed(np.array(start), np.array(end), box)[0]
    elif not points_in_boxes(walk, box, grow_m=0.02)[0]:
        assert not crossed(np.array(start), np.array(end), box)[0]


@pytest.mark.parametrize("distance", [5.0, 50.0])
def test_the_ends_own_places_do_not_matter_to_a_box_elsewhere(distance: float) -> None:
    assert not crosses((0, distance, 1), (20, distance, 1))
