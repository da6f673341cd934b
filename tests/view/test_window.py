"""The window and its keys, without a display."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pygame
import pytest

from carla_cp.view import View
from carla_cp.view.theme import HEIGHT, WIDTH
from tests.metrics.builders import record, state
from tests.view.scenes import INFO, scene

TICK = record(0, state(0))


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> Iterator[View]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with View() as opened:
        pygame.event.clear()
        yield opened


def press(*keys: int) -> None:
    for key in keys:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))


def picture(view: View, path: Path) -> bytes:
    view.screenshot(path)
    return bytes(pygame.surfarray.array3d(pygame.image.load(str(path))).tobytes())


def test_a_screenshot_is_a_png_of_the_whole_view_and_nothing_is_left_beside_it(view: View, tmp_path: Path) -> None:
    assert view.show(scene(), INFO)
    view.screenshot(tmp_path / "new" / "shot.png")
    assert (tmp_path / "new" / "shot.png").read_bytes().startswith(b"\x89PNG")
    image = pygame.image.load(str(tmp_path / "new" / "shot.png"))
    assert image.get_size() == (WIDTH, HEIGHT)
    assert len(np.unique(pygame.surfarray.array3d(image).reshape(-1, 3), axis=0)) > 100
    assert [item.name for item in (tmp_path / "new").iterdir()] == ["shot.png"]


def test_without_a_window_it_draws_the_same_picture(view: View, tmp_path: Path) -> None:
    unseen = View(window=False)
    view.show(scene(), INFO)
    unseen.show(scene(), INFO)
    assert picture(view, tmp_path / "a.png") == picture(unseen, tmp_path / "b.png")


@pytest.mark.parametrize("key", [pygame.K_q, pygame.K_ESCAPE])
def test_quitting_ends_the_show_for_good(view: View, key: int) -> None:
    assert view.show(TICK, INFO)
    press(key)
    assert not view.show(TICK, INFO)
    assert not view.show(TICK, INFO)


def test_closing_the_window_ends_the_show(view: View) -> None:
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert not view.show(TICK, INFO)


def test_while_paused_a_step_lets_one_record_pass(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []

    def wait(milliseconds: int) -> int:
        waits.append(milliseconds)
        if len(waits) == 3:
            press(pygame.K_n)
        if len(waits) == 6:
            press(pygame.K_SPACE)
        return milliseconds

    monkeypatch.setattr(pygame.time, "wait", wait)
    press(pygame.K_SPACE)
    assert view.show(TICK, INFO)
    assert len(waits) == 3
    assert view.show(TICK, INFO)  # still paused
    assert len(waits) == 6
    assert view.show(TICK, INFO)  # running again
    assert len(waits) == 6


def test_a_pause_can_be_quit(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pygame.time, "wait", lambda _: press(pygame.K_q))
    press(pygame.K_SPACE)
    assert not view.show(TICK, INFO)


def test_the_wheel_and_the_keys_zoom_and_undo_each_other(view: View, tmp_path: Path) -> None:
    view.show(scene(), INFO)
    before = picture(view, tmp_path / "before.png")
    pygame.event.post(pygame.event.Event(pygame.MOUSEWHEEL, y=2))
    view.show(scene(), INFO)
    assert picture(view, tmp_path / "closer.png") != before
    press(pygame.K_MINUS, pygame.K_PLUS, pygame.K_KP_MINUS, pygame.K_MINUS)
    view.show(scene(), INFO)
    view._memory = type(view._memory)()  # the history has grown meanwhile
    view.show(scene(), INFO)
    assert picture(view, tmp_path / "after.png") == before


def test_a_new_episode_starts_without_the_old_one_s_points(view: View, tmp_path: Path) -> None:
    other = INFO.__class__("elsewhere", INFO.codec, 0)
    view.show(TICK, other)
    fresh = picture(view, tmp_path / "fresh.png")
    view.show(scene(), INFO)
    view.show(TICK, other)
    assert picture(view, tmp_path / "again.png") == fresh
