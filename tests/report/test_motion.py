"""Movements as CSS."""

from __future__ import annotations

from carla_cp.metrics.scene import Body
from carla_cp.report.motion import Key, keys, movement, moving, switching


def body(x: tuple[int, ...], yaw: tuple[int, ...] = (0,)) -> Body:
    return Body("car", "vehicle", False, 460, 190, x, (50,), yaw, ())


def test_what_lies_on_the_straight_way_is_left_out() -> None:
    times = (0, 200, 400, 600, 800)
    assert [key.time_ms for key in keys(times, body((0, 100, 203, 300, 400)))] == [0, 800]
    assert [key.time_ms for key in keys(times, body((0, 100, 200, 200, 200)))] == [0, 400, 800]
    assert [key.time_ms for key in keys(times, body((0,), (0, 0, 0, 300, 600)))] == [0, 400, 800]
    assert keys((0,), body((7,))) == (Key(0, 7, 50, 0),)


def test_a_movement_runs_through_its_keys_and_stays_at_the_end() -> None:
    text = movement("m", keys((0, 500), body((0, 100), (0, 900))), 1000)
    assert text == (
        "@keyframes m{0.00%{transform:translate(0.0px,5.0px) rotate(0.0deg)}"
        "50.00%{transform:translate(10.0px,5.0px) rotate(90.0deg)}"
        "100%{transform:translate(10.0px,5.0px) rotate(90.0deg)}}"
    )
    assert moving(body((0, 1))) and not moving(body((0,)))


def test_a_switch_begins_hidden_and_ends_as_it_was_last() -> None:
    assert switching("k", [250, 500, 750], 1000) == (
        "@keyframes k{0%{opacity:0}25.00%{opacity:1}50.00%{opacity:0}75.00%{opacity:1}100%{opacity:1}}"
    )
    assert switching("k", [0], 1000) == "@keyframes k{0.00%{opacity:1}100%{opacity:1}}"
