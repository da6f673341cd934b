"""The cycle of a junction's lights, second by second."""

from __future__ import annotations

from carla_cp.server.lights import GREEN, RED, YELLOW, build_groups
from carla_cp.server.wire import Box, Transform
from carla_cp.server.zones import LightPlace

XODR = """<OpenDRIVE>
<controller id="2" sequence="1"><control signalId="b"/></controller>
<controller id="1" sequence="0"><control signalId="a"/><control signalId="c"/></controller>
</OpenDRIVE>"""
PLACES = [LightPlace(name, 100, Transform(), Box()) for name in "abc"]


def test_controllers_take_turns_of_green_ten_yellow_three_and_red_for_all() -> None:
    lights, (group,) = build_groups(PLACES, XODR)
    seen = []
    for _ in range(31):
        seen.append(tuple(light.state for light in lights))
        group.step(1.0)
    first = [(GREEN, RED, GREEN)] * 10 + [(YELLOW, RED, YELLOW)] * 3 + [(RED, RED, RED)] * 2
    second = [(RED, GREEN, RED)] * 10 + [(RED, YELLOW, RED)] * 3 + [(RED, RED, RED)] * 2
    assert seen == [*first, *second, first[0]]


def test_small_steps_change_at_the_same_time_as_large_ones() -> None:
    lights, (group,) = build_groups(PLACES, XODR)
    for _ in range(199):
        group.step(0.05)
    assert lights[0].state == GREEN
    group.step(0.05)
    assert lights[0].state == YELLOW
    assert lights[0].elapsed_s == 0.0


def test_frozen_lights_wait_and_a_reset_starts_anew() -> None:
    lights, (group,) = build_groups(PLACES, XODR)
    lights[1].frozen = True
    for _ in range(50):
        group.step(1.0)
    assert lights[0].state == GREEN
    lights[1].frozen = False
    for _ in range(16):
        group.step(1.0)
    assert lights[1].state == GREEN
    group.reset()
    assert [light.state for light in lights] == [GREEN, RED, GREEN]


def test_lights_of_two_junctions_do_not_wait_for_each_other() -> None:
    places = [*PLACES, LightPlace("d", 200, Transform(), Box())]
    lights, groups = build_groups(places, XODR)
    assert [[light.place.signal_id for light in group.lights] for group in groups] == [["a", "c", "b"], ["d"]]
    assert lights[3].state == GREEN
