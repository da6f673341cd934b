"""The table of remote calls beside what the wheel itself holds."""

from __future__ import annotations

import logging
import mmap
import re
from pathlib import Path

import carla
import pytest

from carla_cp.server import __main__ as command
from carla_cp.server.maps import MapLibrary
from carla_cp.server.rpc import answer, read_request
from carla_cp.server.simulation import Simulation
from carla_cp.server.stream import Streams
from carla_cp.server.table import TABLE, Shape

NEAR, FAR = 8192, 300_000  # bytes around the names that are the client's alone, and around those it shares with Python
INLINED = ["version", "tick_cue", "load_map_layer", "spawn_actor", "is_traffic_manager_running"]  # in code, not data
UNCALLED = ["set_walker_state"]  # of CARLA's server, but called by nothing in this wheel
VERBS = {name.split("_")[0] for name in TABLE}
OTHERS = {"open_descriptors", "start_thread", "do_epoll_create"}  # the wheel's own, among them by chance


def test_every_call_of_the_wheel_has_its_row_and_every_row_is_a_call_of_the_wheel() -> None:
    with Path(carla.libcarla.__file__).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        middle = data.find(b"\0get_episode_info\0")
        near, far = data[middle - NEAR : middle + NEAR], data[middle - FAR : middle + FAR]
    words = {text.decode() for text in near.split(b"\0") if re.fullmatch(rb"[a-z]+(_[a-zA-Z]+)+", text)}
    calls = {word for word in words if word.split("_")[0] in VERBS} - OTHERS
    assert len(calls) > 70
    assert sorted(calls - TABLE.keys()) == []
    unknown = [name for name in TABLE if f"\0{name}\0".encode() not in far]
    assert sorted(unknown) == sorted(INLINED + UNCALLED)


def test_every_call_says_what_becomes_of_it() -> None:
    for name, function in TABLE.items():
        assert function.verdict in ("served", "accepted", "refused"), name
        assert function.note or function.verdict == "served", name


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return Simulation(MapLibrary([]), Streams("127.0.0.1"))


REFUSED = [name for name, function in TABLE.items() if function.verdict == "refused"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_comes_in_the_envelope_from_which_the_client_raises_its_text(
    name: str, simulation: Simulation
) -> None:
    kind, number, error, result = answer(simulation, read_request([0, 7, name, [[False], 1, "a", []]]))
    assert (kind, number, error) == (1, 7, None)
    (failed, texts), void = result[0], TABLE[name].shape is Shape.VOID
    assert failed is (True if void else 0)
    assert "does not serve this call" in texts[0]


@pytest.mark.parametrize("waits", [True, False])
def test_the_log_tells_of_a_refusal_that_no_client_waits_for(
    waits: bool, simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "carla_cp.server"):
        answer(simulation, read_request([0, 1, "enable_carsim", [[not waits], 1, ""]]))
    assert bool(caplog.messages) is not waits


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("get_actor_bounding_box", [999]),
        ("set_actor_simulate_physics", [999, True]),
        ("destroy_actor", [999]),
        ("get_actors_by_id", [[999]]),
        ("get_vehicle_light_states", []),
        ("get_weather_parameters", []),
        ("get_episode_settings", []),
        ("reset_all_traffic_lights", []),
        ("apply_batch", [[[[2, [999, [0, 0, 0, False, False, False, 0]]]]], False]),
        ("is_traffic_manager_running", [8000]),
        ("get_traffic_manager_running", [8000]),
        ("destroy_traffic_manager", [8000]),
    ],
)
def test_what_the_traffic_manager_calls_is_answered_with_a_value_though_the_actor_is_gone(
    name: str, arguments: list[object], simulation: Simulation
) -> None:
    """An error there ends the client's whole process."""
    _, _, error, result = answer(simulation, read_request([0, 1, name, [[False], *arguments]]))
    assert error is None
    assert name == "apply_batch" or result[0][0] in (1, False)


def test_the_table_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list-calls"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(TABLE)
    assert any(re.match(r"start_recorder +refused +there is no recorder", line) for line in printed)
