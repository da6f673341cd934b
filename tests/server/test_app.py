"""The process: hostile bytes, bad arguments, ports, and its end."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import carla
import msgpack
import pytest

from carla_cp.server.app import listen_pair
from tests.server.conftest import CROSSING, PATIENCE_S, running_server

SERVER = [sys.executable, "-m", "carla_cp.server"]


@pytest.fixture(scope="module")
def port() -> Any:
    with running_server("--log-level", "error") as found:
        yield found


def call(port: int, *messages: object) -> list[Any]:
    """The answers to raw messages, one each."""
    unpacker = msgpack.Unpacker()
    answers: list[Any] = []
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as link:
        for message in messages:
            link.sendall(message if isinstance(message, bytes) else msgpack.packb(message))
        while len(answers) < len(messages) and (data := link.recv(65536)):
            unpacker.feed(data)
            answers += list(unpacker)
    return answers


def test_requests_are_answered_in_order_by_their_number(port: int) -> None:
    answers = call(port, [0, 5, "version", [[False]]], [0, 6, "version", [[True]]])
    assert answers == [[1, 5, None, [[1, "0.9.16"]]], [1, 6, None, [[1, "0.9.16"]]]]


@pytest.mark.parametrize(
    "request_",
    [
        [0, 1, "fly_to_the_moon", [[False]]],
        [0, 1, "version", [[False], 3]],
        [0, 1, "spawn_actor", [[False], "car", None]],
        [0, 1, "get_actors_by_id", [[False], 7]],
        [0, 1, "get_actors_by_id", [[False], [{}]]],
        [0, 1, "apply_batch", [[False], [[7]], "x"]],
        [0, 1, "set_episode_settings", [[False], [1] * 11]],
        [0, 1, "set_weather_parameters", [[False], [float("nan")] * 14]],
        [0, 1, "set_weather_parameters", [[False], [1e10] * 14]],
        [0, 1, "spawn_actor", [[False], [1, "sensor.other.imu", []], [[1e300, 0, 0], [0, 0, 0]]]],
    ],
)
def test_a_request_that_makes_no_sense_gets_an_error_and_the_connection_lives(port: int, request_: object) -> None:
    (kind, _, error, result), second = call(port, request_, [0, 2, "version", [[False]]])
    assert kind == 1
    assert isinstance(error if result is None else result[0][1][0], str)
    assert result is None or result[0][0] in (True, 0)
    assert second == [1, 2, None, [[1, "0.9.16"]]]


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n", b"\xc1\xc1\xc1", b"\x00" * 100, bytes(range(256)) * 50])
def test_bytes_that_are_no_request_end_only_their_own_connection(port: int, noise: bytes) -> None:
    assert call(port, noise)[0][2] == "not a msgpack-rpc request"
    for message in (noise, struct.pack("<I", 12345), b"\x01"):
        with socket.create_connection(("127.0.0.1", port + 1), timeout=PATIENCE_S) as link:
            link.sendall(message)
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(PATIENCE_S)
    assert client.get_server_version() == "0.9.16"


AT_ORIGIN = [[0, 0, 0], [0, 0, 0]]


def spawned(port: int, name: str) -> int:
    """The id of a new actor at the origin."""
    (answer,) = call(port, [0, 1, "spawn_actor", [[False], [1, name, []], AT_ORIGIN]])
    return int(answer[3][0][1][0])


@pytest.mark.parametrize("size", [1e9, -1e9, 1e10, 1e300])
def test_no_number_however_large_ends_a_world_that_runs_free(port: int, size: float) -> None:
    call(port, [0, 1, "load_new_episode", [[False], "", True, 0]])
    car, imu = spawned(port, "vehicle.audi.tt"), spawned(port, "sensor.other.imu")
    vector = [size, size, size]
    requests: list[list[Any]] = [
        ["set_actor_transform", imu, [vector, vector]],
        ["set_actor_target_velocity", car, vector],
        ["add_actor_impulse", car, vector],
        ["enable_actor_constant_velocity", car, vector],
        ["apply_control_to_vehicle", car, [size, 0, 0, False, False, True, 1 << 40]],
        ["apply_ackermann_control_to_vehicle", car, [size] * 5],
        ["set_actor_transform", car, [vector, vector]],
    ]
    for request in requests:
        call(port, [0, 1, request[0], [[False], *request[1:]]])
        answers = call(port, *([[0, 2, "tick_cue", [[False]]]] * 2))
        assert [answer[2] for answer in answers] == [None, None], request[0]
    assert call(port, [0, 1, "destroy_actor", [[False], car]])[0][3] == [[1, True]]


def test_a_batch_reports_each_command_by_itself(port: int) -> None:
    spawn = [[0, [[1, "vehicle.nobody.knows", []], AT_ORIGIN, [False], 32, "", []]]]
    after = [[0, [[1, "sensor.other.imu", []], AT_ORIGIN, [False], 32, "", 7]]]
    commands = [spawn, [[1, [999]]], [[99, [1]]], [[[], [1]]], after]
    (answer,) = call(port, [0, 1, "apply_batch", [[False], commands, False]])
    assert [len(row[0]) for row in answer[3]] == [2] * 5
    assert [row[0][0] for row in answer[3]] == [0] * 5


def test_what_follows_a_spawning_runs_on_the_new_actor_and_cannot_hide_its_id(port: int) -> None:
    """As the client asks for it, with and without a TrafficManager."""
    car = [1, "vehicle.audi.tt", []]
    after = [[[16, [0, True]]], [[2, [0, "no control"]]], [[18, [0, 8]]]]
    command = [[0, [car, [[40, 1.75, 0], [0, 0, 0]], [False], 32, "", after]]]
    (answer,) = call(port, [0, 1, "apply_batch", [[False], [command], False]])
    ((done, car_id),) = answer[3][0]
    assert done == 1
    assert call(port, [0, 1, "get_vehicle_light_state", [[False], car_id]])[0][3] == [[1, [8]]]
    assert call(port, [0, 1, "destroy_actor", [[False], car_id]])[0][3] == [[1, True]]


def test_the_world_can_be_reloaded_after_a_map_that_was_refused(port: int) -> None:
    parameters = [2.0, 50.0, 0.0, 0.6, True, True, False]
    name = "OpenDriveMap"

    def generate(text: str) -> Any:
        sent, loaded = call(
            port,
            [0, 1, "copy_opendrive_to_file", [[False], text, parameters]],
            [0, 2, "load_new_episode", [[False], name, True, 0]],
        )
        assert sent[3] == [[False]]
        return loaded[3]

    good = CROSSING.read_text(encoding="utf-8")
    assert generate(good) == [[False]]
    refused = generate("<OpenDRIVE></OpenDRIVE>")
    assert refused[0][0] is True
    assert call(port, [0, 1, "load_new_episode", [[False], "", True, 0]])[0][3] == [[False]]
    assert call(port, [0, 1, "get_map_data", [[False]]])[0][3] == [[1, good]]


def test_a_batch_that_cannot_be_read_to_its_end_does_nothing(port: int) -> None:
    car = spawned(port, "sensor.other.gnss")
    (answer,) = call(port, [0, 1, "apply_batch", [[False], [[[1, [car]]]], "x"]])
    assert isinstance(answer[2], str)
    assert call(port, [0, 1, "destroy_actor", [[False], car]])[0][3] == [[1, True]]


def test_small_messages_are_sent_at_once() -> None:
    """With Nagle's algorithm on, every second message of a tick waits 40 ms for the client to acknowledge the first."""

    async def no_delay() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            link = writer.get_extra_info("socket")
            found.set_result(link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        rpc, streams = listen_pair("127.0.0.1", 0)
        streams.close()
        async with await asyncio.start_server(accept, sock=rpc):
            _, writer = await asyncio.open_connection(*rpc.getsockname())
            result = await found
            writer.close()
            await writer.wait_closed()
            return result

    assert asyncio.run(no_delay())


def test_a_port_in_use_is_one_clear_line_and_status_2(port: int) -> None:
    done = subprocess.run([*SERVER, "--port", str(port)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(port) in done.stderr


def test_a_missing_or_broken_map_is_one_clear_line_and_status_2(tmp_path: Path) -> None:
    broken = tmp_path / "broken.xodr"
    broken.write_text("<OpenDRIVE><road", encoding="utf-8")
    for bad in (tmp_path / "missing.xodr", broken):
        done = subprocess.run(
            [*SERVER, "--port", "0", "--map", str(bad)], capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert done.returncode == 2
        assert bad.stem in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_without_maps_is_one_clear_line_and_status_2(folder: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    command = [*SERVER, "--port", "0", "--maps", str(tmp_path / folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2
    assert done.stderr == (
        f"carla_cp.server: --maps {tmp_path / folder}: no *.xodr file is there; give a folder of OpenDRIVE files\n"
    )


def test_interruption_is_silent_and_exits_130() -> None:
    with subprocess.Popen(
        [*SERVER, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        said = re.match(r"carla_cp.server 0.9.16 protocol on 127.0.0.1:(\d+)\n", server.stdout.readline())
        assert said is not None
        streams = f"streams on port {int(said[1]) + 1}"
        assert server.stdout.readline() == (
            f"map StraightRoad, 1 maps by name; {streams}; --list-calls tells what is served\n"
        )
        server.send_signal(signal.SIGINT)
        assert server.wait(PATIENCE_S) == 130
        assert server.stderr is not None
        assert server.stderr.read() == ""


def test_the_server_dies_with_its_parent() -> None:
    program = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'carla_cp.server', '--port', '0', '--parent-pid',"
        " str(os.getpid())], stdout=subprocess.PIPE, text=True)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{child}").exists() and _state(child) != "Z" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists() or _state(child) == "Z"


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
