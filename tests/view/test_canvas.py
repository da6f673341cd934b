"""Shapes, text and points on a surface."""

from __future__ import annotations

import numpy as np
import pygame
import pytest

from carla_cp.view.canvas import Canvas
from carla_cp.view.theme import Colour

RED: Colour = (255, 0, 0)


@pytest.fixture
def canvas() -> Canvas:
    pygame.font.init()
    return Canvas(pygame.Surface((60, 40), depth=32))


def painted(canvas: Canvas) -> set[tuple[int, int]]:
    return {(int(x), int(y)) for x, y in np.argwhere(pygame.surfarray.array3d(canvas.surface).any(axis=2))}


def test_points_light_exactly_the_pixels_a_loop_would_and_none_outside(canvas: Canvas) -> None:
    dots = np.random.default_rng(0).uniform(-30, 90, (300, 2)).astype(np.float32)
    canvas.points(dots, RED, size=2)
    expected: set[tuple[int, int]] = set()
    for x, y in dots.tolist():
        if 0 <= x < 58 and 0 <= y < 38:
            expected |= {(int(x) + i, int(y) + j) for i in (0, 1) for j in (0, 1)}
    assert painted(canvas) == expected
    assert canvas.surface.get_at(next(iter(expected))) == pygame.Color(*RED)


def test_points_that_are_nowhere_are_left_out(canvas: Canvas) -> None:
    canvas.points(np.array([[np.nan, 3], [np.inf, 3], [1e12, 3]], np.float32), RED)
    assert painted(canvas) == set()


@pytest.mark.parametrize("far", [1e9, -1e9, 20_000.0, -20_000.0])
def test_shapes_far_outside_are_clipped_and_raise_nothing(canvas: Canvas, far: float) -> None:
    canvas.polygon([(far, 5.0), (far + 9, 5.0), (far + 9, 15.0)], RED, fill=0.5)
    canvas.line((far, far), (far + 10, far), RED, 3.0)
    canvas.arrow((far, far), (far + 40, far), RED)
    canvas.circle((far, far), 9.0, RED)
    assert painted(canvas) == set()


def test_a_rounded_rectangle_lacks_only_its_corners(canvas: Canvas) -> None:
    canvas.fill(RED, (5, 5, 30, 20), radius=6)
    assert (5, 5) not in painted(canvas)
    assert {(5, 15), (34, 15), (20, 5), (20, 24), (20, 15)} <= painted(canvas)
    assert all(5 <= x < 35 and 5 <= y < 25 for x, y in painted(canvas))


def test_dashes_leave_gaps_and_lines_none(canvas: Canvas) -> None:
    canvas.dashes((0.0, 10.0), (59.0, 10.0), RED, width=2.0)
    columns = {x for x, y in painted(canvas) if y == 10}
    assert 20 < len(columns) < 50
    canvas.lines([(0.0, 10.0), (30.0, 10.0), (59.0, 10.0)], RED, width=2.0)
    assert len({x for x, y in painted(canvas) if y == 10}) >= 58


def test_text_stays_on_its_side_of_the_given_point(canvas: Canvas) -> None:
    canvas.text((30, 5), "abc", RED, size=12, align=1.0)
    assert painted(canvas)
    assert all(x <= 30 and y >= 5 for x, y in painted(canvas))
