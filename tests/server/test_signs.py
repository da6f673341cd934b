"""Stop, yield and speed signs are actors where the client's map says."""

from __future__ import annotations

import carla
import pytest

from carla_cp.server.signs import read_signs
from tests.server.conftest import Stage
from tests.server.opendrive import Road, world


def signal(number: int, kind: int, s: float, value: float = -1.0) -> str:
    """A sign for the right lane."""
    return (
        f'<signal s="{s}" t="-4" id="{number}" name="sign" dynamic="no" orientation="+" zOffset="2" type="{kind}" '
        f'subtype="-1" value="{value}" height="1" width="1"><validity fromLane="-1" toLane="-1"/></signal>'
    )


def test_each_kind_bears_carlas_name_and_a_box_across_its_lane() -> None:
    signals = signal(7, 206, 40.0) + signal(5, 205, 80.0) + signal(6, 274, 120.0, 30.0) + signal(8, 101, 20.0)
    signs = read_signs(carla.Map("signs", world(Road(rest=f"<signals>{signals}</signals>"))))
    assert [(sign.name, sign.place.signal_id) for sign in signs] == [
        ("traffic.stop", "7"),
        ("traffic.yield", "5"),
        ("traffic.speed_limit.30", "6"),
    ]
    for sign, s in zip(signs, (40.0, 80.0, 120.0), strict=True):
        assert (sign.place.pose.x, sign.place.pose.y) == pytest.approx((s, 4.0), abs=0.01)
        assert sign.place.box.location[:2] == pytest.approx((0.0, 1.75 - 4.0), abs=0.01)
        assert sign.place.box.extent[1] == pytest.approx(1.75, abs=0.01)


def test_signs_are_found_by_their_landmarks_and_change_no_other_actors_number(stage: Stage) -> None:
    signalised = stage.spawn("vehicle.audi.tt", -100.0, 5.25)
    lights = len(stage.world.get_actors().filter("traffic.traffic_light"))
    stage.close()
    stage.world = stage.client.load_world("train_tee")
    stage.world.wait_for_tick()
    stops = stage.world.get_actors().filter("traffic.stop")
    marks = {mark.id: mark for mark in stage.world.get_map().get_all_landmarks_of_type("206")}
    assert len(stops) == len(marks) == 3
    for mark in marks.values():
        sign = stage.world.get_traffic_sign(mark)
        assert sign.type_id == "traffic.stop"
        assert sign.get_location().distance_2d(mark.transform.location) < 0.01
        assert sign.trigger_volume.extent.y > 1.0
        assert not sign.destroy()
    place = stage.world.get_map().get_spawn_points()[0]
    car = stage.world.spawn_actor(stage.library.find("vehicle.audi.tt"), place)
    assert car.id == signalised.id - lights
    car.destroy()
