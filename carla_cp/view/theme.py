"""Colours and sizes of the view."""

from __future__ import annotations

from typing import TypeAlias

Colour: TypeAlias = tuple[int, int, int]

WIDTH, HEIGHT, PANEL = 1280, 800, 320  # [px]
BACKGROUND: Colour = (13, 17, 24)
PANEL_BACKGROUND: Colour = (20, 26, 36)
CARD: Colour = (29, 37, 50)
RING: Colour = (33, 41, 54)
INK: Colour = (232, 237, 245)
SOFT: Colour = (142, 154, 174)
FAINT: Colour = (84, 96, 116)
TRUTH: Colour = (196, 205, 219)
HAZARD: Colour = (255, 148, 54)
DETECTION: Colour = (255, 209, 74)
TRACK: Colour = (255, 110, 180)
PATH: Colour = (120, 230, 255)
ROUTE: Colour = (88, 102, 128)
GOOD: Colour = (82, 214, 138)
WARN: Colour = (255, 176, 66)
BAD: Colour = (255, 92, 92)
SENDERS: tuple[Colour, ...] = (
    (92, 158, 255),  # the ego
    (64, 214, 176),
    (178, 140, 255),
    (188, 222, 92),
    (120, 200, 230),
    (222, 140, 190),
    (200, 190, 130),
    (170, 176, 190),
)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`first` with `share` of `second`, in [0, 1]."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
