"""Anti-aliased shapes, text and points on a pygame surface."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import matplotlib
import numpy as np
import numpy.typing as npt
import pygame
from pygame import gfxdraw

from carla_cp.types import PointArray
from carla_cp.view.theme import Colour

Dot: TypeAlias = tuple[float, float]
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"  # the same letters on every machine


class Canvas:
    """A surface to draw on, in pixels; whatever lies outside it is clipped."""

    def __init__(self, surface: pygame.Surface) -> None:
        self.surface = surface
        self._fonts: dict[tuple[int, bool], pygame.font.Font] = {}

    def fill(self, colour: Colour, area: tuple[int, int, int, int], radius: int = 0) -> None:
        """A rectangle (x, y, width, height), with rounded corners if `radius` is positive."""
        x, y, width, height = area
        radius = min(radius, (width - 1) // 2, (height - 1) // 2)
        self.surface.fill(colour, (x, y + radius, width, height - 2 * radius))
        if radius > 0:
            self.surface.fill(colour, (x + radius, y, width - 2 * radius, height))
            for column in (x + radius, x + width - 1 - radius):
                for row in (y + radius, y + height - 1 - radius):
                    self.circle((column, row), radius, colour)

    def polygon(self, corners: Sequence[Dot], colour: Colour, fill: float = 0.0, outline: bool = True) -> None:
        """A closed polygon; `fill` is the opacity of its inside in [0, 1]."""
        if not _drawable(corners):
            return
        if fill > 0:
            gfxdraw.filled_polygon(self.surface, corners, (*colour, round(255 * fill)))
        if outline:
            gfxdraw.aapolygon(self.surface, corners, colour)

    def line(self, start: Dot, end: Dot, colour: Colour, width: float = 1.0) -> None:
        """A straight line."""
        length = math.dist(start, end)
        if length < 0.5:
            return
        nx = (end[1] - start[1]) / length * width / 2
        ny = -(end[0] - start[0]) / length * width / 2
        corners = [
            (start[0] + nx, start[1] + ny),
            (end[0] + nx, end[1] + ny),
            (end[0] - nx, end[1] - ny),
            (start[0] - nx, start[1] - ny),
        ]
        if _drawable(corners):
            gfxdraw.filled_polygon(self.surface, corners, colour)
            gfxdraw.aapolygon(self.surface, corners, colour)

    def lines(self, dots: Sequence[Dot], colour: Colour, width: float = 1.0) -> None:
        """A line through all dots."""
        for start, end in itertools.pairwise(dots):
            self.line(start, end, colour, width)

    def dashes(self, start: Dot, end: Dot, colour: Colour, width: float = 1.0, step: float = 9.0) -> None:
        """A dashed straight line."""
        length = math.dist(start, end)
        for position in np.arange(0.0, length, 2 * step).tolist():
            near, far = position / length, min(1.0, (position + step) / length)
            self.line(_between(start, end, near), _between(start, end, far), colour, width)

    def arrow(self, start: Dot, end: Dot, colour: Colour, width: float = 2.0) -> None:
        """A line with a head at its end."""
        length = math.dist(start, end)
        if length < 4:
            return
        head = min(9.0, length / 2)
        base = _between(start, end, 1 - head / length)
        nx, ny = (end[1] - start[1]) / length * head / 2, -(end[0] - start[0]) / length * head / 2
        self.line(start, base, colour, width)
        self.polygon([end, (base[0] + nx, base[1] + ny), (base[0] - nx, base[1] - ny)], colour, fill=1.0)

    def circle(self, centre: Dot, radius: float, colour: Colour, fill: bool = True) -> None:
        """A circle or a disc."""
        x, y, r = round(centre[0]), round(centre[1]), round(radius)
        if not _drawable([(x - r, y - r), (x + r, y + r)]):
            return
        if fill:
            gfxdraw.filled_circle(self.surface, x, y, r, colour)
        gfxdraw.aacircle(self.surface, x, y, r, colour)

    def points(self, dots: PointArray, colour: Colour, size: int = 1) -> None:
        """Squares of `size` pixels at dots (N, 2) on a 32-bit surface, written straight into its pixels."""
        pixels: npt.NDArray[np.uint32] = pygame.surfarray.pixels2d(self.surface)
        low, high = np.float32(0.0), np.array(pixels.shape, np.float32) - size
        kept = dots[((dots >= low) & (dots < high)).all(axis=1)].astype(np.int32)
        column, row, value = kept[:, 0], kept[:, 1], self.surface.map_rgb(colour)
        for right in range(size):
            for down in range(size):
                pixels[column + right, row + down] = value

    def text(
        self, at: Dot, text: str, colour: Colour, size: int = 13, bold: bool = False, align: float = 0.0
    ) -> tuple[int, int]:
        """A line of text whose box has its top at `at`; `align` 0 starts there, 0.5 is centred, 1 ends there.

        Returns its width and height.
        """
        drawn = self._font(size, bold).render(text, True, colour)
        self.surface.blit(drawn, (round(at[0] - align * drawn.get_width()), round(at[1])))
        return drawn.get_width(), drawn.get_height()

    def tag(self, at: Dot, text: str, colour: Colour, background: Colour, size: int = 12) -> None:
        """Text centred on `at` over a rounded plate."""
        drawn = self._font(size, False).render(text, True, colour)
        width, height = drawn.get_size()
        area = (round(at[0] - width / 2) - 6, round(at[1] - height / 2) - 2, width + 12, height + 4)
        self.fill(background, area, radius=5)
        self.surface.blit(drawn, (area[0] + 6, area[1] + 2))

    def _font(self, size: int, bold: bool) -> pygame.font.Font:
        if (size, bold) not in self._fonts:
            name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
            self._fonts[size, bold] = pygame.font.Font(FONTS / name, size)
        return self._fonts[size, bold]


def _between(start: Dot, end: Dot, share: float) -> Dot:
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _drawable(dots: Sequence[Dot]) -> bool:
    """Whether all coordinates fit the 16 bits that SDL's shapes have."""
    return all(abs(x) < 30_000 and abs(y) < 30_000 for x, y in dots)
