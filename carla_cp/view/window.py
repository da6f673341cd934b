"""The window: it draws records, and lets the user pause, step, zoom and quit."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import pygame

from carla_cp.types import TickRecord
from carla_cp.view import theme
from carla_cp.view.camera import Camera, zoomed
from carla_cp.view.canvas import Canvas
from carla_cp.view.info import Memory, ViewInfo
from carla_cp.view.panel import draw_banner, draw_panel
from carla_cp.view.scene import draw_scene
from carla_cp.whole import whole_file

KEYS = "space pause   n step   wheel zoom   q quit"
STEP_KEYS = (pygame.K_n, pygame.K_RIGHT)
QUIT_KEYS = (pygame.K_q, pygame.K_ESCAPE)
CLOSER_KEYS = (pygame.K_PLUS, pygame.K_EQUALS, pygame.K_KP_PLUS)
FARTHER_KEYS = (pygame.K_MINUS, pygame.K_KP_MINUS)


class View:
    """A bird's-eye view of 1280 x 800 pixels around the ego, its heading up.

    With `window` it opens one (SDL's dummy driver is enough) and obeys its keys; without, it only draws, for
    screenshots on machines without a display.
    """

    def __init__(self, window: bool = True) -> None:
        pygame.font.init()
        size = (theme.WIDTH, theme.HEIGHT)
        self._window = window
        if window:
            pygame.display.init()
            pygame.display.set_caption("carla_cp")
            self._surface = pygame.display.set_mode(size)
        else:
            self._surface = pygame.Surface(size, depth=32)
        self._canvas = Canvas(self._surface)
        self._scale = 7.0  # pixels per metre
        self._paused = False
        self._open = True
        self._info: ViewInfo | None = None
        self._memory = Memory()

    def __enter__(self) -> View:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the window."""
        self._open = False
        if self._window:
            pygame.display.quit()

    def show(self, record: TickRecord, info: ViewInfo) -> bool:
        """Draw one record; blocks while paused; False once the user has closed the view.

        A new `info` starts a new episode: what was remembered of the one before is forgotten.
        """
        if not self._open:
            return False
        if info != self._info:
            self._info, self._memory = info, Memory()
        self._memory = self._memory.after(record)
        step = self._handle_events()
        self._draw(record, info)
        while self._open and self._paused and not step:
            pygame.time.wait(15)
            step = self._handle_events()
            self._draw(record, info)
        return self._open

    def screenshot(self, path: Path) -> None:
        """Save what is shown as a PNG, whole, by rename; makes its folder."""
        with whole_file(path) as file:
            pygame.image.save(self._surface, file, "png")

    def _draw(self, record: TickRecord, info: ViewInfo) -> None:
        if not self._open:
            return
        anchor = ((theme.WIDTH - theme.PANEL) / 2, 0.64 * theme.HEIGHT)
        camera = Camera(record.ego.pose, self._scale, anchor)
        self._surface.fill(theme.BACKGROUND)
        draw_scene(self._canvas, camera, record, info, self._memory)
        draw_banner(self._canvas, self._memory, self._paused)
        draw_panel(self._canvas, record, info, self._memory, KEYS)
        if self._window:
            pygame.display.flip()

    def _handle_events(self) -> bool:
        """Obey what the user did; True if one of it was a single step."""
        if not self._window:
            return False
        step = False
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                self.close()
                return False
            if event.type == pygame.MOUSEWHEEL:
                self._scale = zoomed(self._scale, event.y)
            elif event.type == pygame.KEYDOWN:
                step = self._press(event.key) or step
            if not self._open:
                return False
        return step

    def _press(self, key: int) -> bool:
        """Obey a key; True for a single step, which also pauses."""
        if key in QUIT_KEYS:
            self.close()
        elif key == pygame.K_SPACE:
            self._paused = not self._paused
        elif key in CLOSER_KEYS:
            self._scale = zoomed(self._scale, 1)
        elif key in FARTHER_KEYS:
            self._scale = zoomed(self._scale, -1)
        elif key in STEP_KEYS:
            stepping, self._paused = self._paused, True
            return stepping
        return False
