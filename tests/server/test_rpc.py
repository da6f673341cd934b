"""What the RPC port survives."""

from __future__ import annotations

import asyncio
import logging

import pytest

from carla_cp.server.maps import MapLibrary
from carla_cp.server.rpc import RpcServer
from carla_cp.server.simulation import Simulation
from carla_cp.server.stream import Streams


def test_a_fault_in_a_tick_or_a_sensor_is_logged_and_the_world_runs_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    simulation = Simulation(MapLibrary([]), Streams("127.0.0.1"))

    def fail(_: object) -> None:
        raise ArithmeticError("out of range")

    monkeypatch.setattr(Simulation, "tick", fail)
    monkeypatch.setattr(Simulation, "sense", fail)
    with caplog.at_level(logging.ERROR, "carla_cp.server"):
        asyncio.run(RpcServer(simulation, asyncio.Lock()).run_free())
    assert caplog.messages == ["a tick failed", "a sensor failed"]
