"""Wire values: layouts as the protocol gives them, and what hostile arguments raise."""

from __future__ import annotations

import pytest

from carla_cp.server import wire
from carla_cp.server.wire import ActorInfo, Attribute, Box, Description, Settings, Transform, WireError


def test_an_actor_is_an_array_of_six_fields_in_their_order() -> None:
    description = Description(3, "vehicle.audi.tt", (Attribute("role_name", 4, "hero"),))
    actor = wire.write_actor(ActorInfo(7, 2, description, Box((0, 0, 1), (2, 1, 1)), b"\x0e", b"t" * 24))
    box = [[0, 0, 1], [2, 1, 1], [0.0, 0.0, 0.0], 7]
    assert actor == [7, 2, [3, "vehicle.audi.tt", [["role_name", 4, "hero"]]], box, b"\x0e", b"t" * 24]


def test_transforms_and_descriptions_survive_the_round_trip() -> None:
    pose = Transform(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    assert wire.read_transform(wire.write_transform(pose)) == pose
    description = Description(1, "a.b", (Attribute("x", 3, "0.5"),))
    assert wire.read_description(wire.write_description(description)) == description
    assert description.value("x") == "0.5"
    assert description.value("y", "none") == "none"


def test_settings_keep_what_the_server_does_not_use() -> None:
    raw = [True, False, [True, 0.05], True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True]
    settings = wire.read_settings(raw)
    assert (settings.synchronous_mode, settings.fixed_delta_seconds) == (True, 0.05)
    assert wire.write_settings(settings) == raw
    raw[2] = [False]
    assert wire.read_settings(raw).fixed_delta_seconds is None
    assert len(wire.write_settings(Settings())) == 11


def test_pedals_are_clipped() -> None:
    control = wire.read_vehicle_control([3.0, -2.0, -1.0, False, True, False, 0])
    assert (control.throttle, control.steer, control.brake, control.reverse) == (1.0, -1.0, 0.0, True)


def test_integers_are_of_32_bits_and_only_a_gear_has_a_sign() -> None:
    assert wire.whole((1 << 32) - 1) == (1 << 32) - 1
    for raw in (-1, 1 << 32, True, 1.0):
        with pytest.raises(WireError):
            wire.whole(raw)
    assert wire.read_vehicle_control([0, 0, 0, False, True, True, -1]).gear == -1
    with pytest.raises(WireError):
        wire.read_vehicle_control([0, 0, 0, False, True, True, 1 << 31])


@pytest.mark.parametrize(
    "raw", [None, [], [1, 2], ["a", 0, 0], [float("nan"), 0, 0], [float("inf"), 0, 0], [1e10, 0, 0], {}]
)
def test_a_bad_vector_is_named(raw: object) -> None:
    with pytest.raises(WireError):
        wire.vector(raw)


@pytest.mark.parametrize("delta", [None, 0.05, [], [1, 0.05], [True, 50.0], [True, "a"], [True, 1e-9]])
def test_bad_settings_are_refused(delta: object) -> None:
    with pytest.raises(WireError):
        wire.read_settings([True, False, delta, True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True])


def test_settings_that_other_clients_could_not_read_are_refused() -> None:
    with pytest.raises(WireError):
        wire.read_settings([True, False, [False], "x", 0.01, 10, 0.0, True, 3000.0, 2000.0, True])
