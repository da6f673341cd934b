"""The text side of the view."""

from __future__ import annotations

import dataclasses

import numpy as np
import pygame
import pytest

from carla_cp.types import CodecChoice, Collision
from carla_cp.view import theme
from carla_cp.view.canvas import Canvas
from carla_cp.view.info import Memory
from carla_cp.view.panel import draw_banner, draw_panel
from tests.metrics.builders import record, state
from tests.view.scenes import INFO, scene


class Listener(Canvas):
    """A canvas that remembers what was written on it."""

    def __init__(self) -> None:
        pygame.font.init()
        super().__init__(pygame.Surface((theme.WIDTH, theme.HEIGHT), depth=32))
        self.heard: list[str] = []

    def text(
        self,
        at: tuple[float, float],
        text: str,
        colour: theme.Colour,
        size: int = 13,
        bold: bool = False,
        align: float = 0.0,
    ) -> tuple[int, int]:
        self.heard.append(text)
        return super().text(at, text, colour, size, bold, align)

    def tag(
        self, at: tuple[float, float], text: str, colour: theme.Colour, background: theme.Colour, size: int = 12
    ) -> None:
        self.heard.append(text)
        super().tag(at, text, colour, background, size)


def test_it_tells_the_codec_budget_speed_state_light_and_every_message() -> None:
    canvas = Listener()
    draw_panel(canvas, scene(), INFO, Memory().after(scene()), "keys")
    text = " | ".join(canvas.heard)
    for expected in (
        *("revqom", "2 000 bytes per agent and tick", "seed 3", "11.6", "conflict", "green, 16 m ahead"),
        *("partner", "1 934 B · 20 ms", "rsu", "1 712 B · 20 ms", "3 tracks", "-4.2 m/s²", "route 41 %", "keys"),
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("codec", "words"),
    [(CodecChoice("none", None), "sends nothing"), (CodecChoice("raw", None), "full rate, no budget")],
)
def test_a_codec_without_a_budget_says_so(codec: CodecChoice, words: str) -> None:
    canvas, tick = Listener(), record(0, state(0))
    draw_panel(canvas, tick, dataclasses.replace(INFO, codec=codec), Memory().after(tick), "")
    assert words in canvas.heard
    assert "none ahead" in canvas.heard


def test_a_car_that_somebody_else_drives_shows_no_plan() -> None:
    canvas, tick = (
        Listener(),
        dataclasses.replace(scene(), plan=None, light=None, route_fraction=None, route_offset_m=None),
    )
    draw_panel(canvas, tick, INFO, Memory().after(tick), "")
    assert {"driven by somebody else", "not known"} <= set(canvas.heard) and "none ahead" not in canvas.heard
    assert not any(word in text for text in canvas.heard for word in ("throttle", "wanted", "%"))


def test_it_keeps_to_its_side() -> None:
    canvas = Listener()
    draw_panel(canvas, scene(), INFO, Memory().after(scene()), "keys")
    assert not np.any(pygame.surfarray.array3d(canvas.surface)[: theme.WIDTH - theme.PANEL])


def test_a_collision_and_a_pause_are_announced_over_the_map() -> None:
    canvas = Listener()
    draw_banner(canvas, Memory(), paused=False)
    assert canvas.heard == []
    draw_banner(canvas, Memory(collision=Collision("violator", 7, 11.25)), paused=True)
    assert canvas.heard == ["collision with violator at 11.2 m/s", "paused"]
