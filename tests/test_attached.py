"""A team in somebody else's loop: it shares and detects there, and leaves everything as it was."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import carla_cp
from carla_cp.codecs import CodecError
from carla_cp.metrics.detection import average_precision, frames_of
from carla_cp.options import OptionError
from carla_cp.recording import read_ticks, write_ticks
from carla_cp.scenario import ScenarioError
from carla_cp.types import AgentName, CodecChoice, Episode, EpisodeEnd, ObjectClass, TickRecord
from tests.world.somebody import Somebody, somebody

TICKS = 14


def ride(program: Somebody) -> list[TickRecord]:
    """What a team makes of the first ticks of a program."""
    link = "fixed latency_ms=10 jitter_ms=0"
    with carla_cp.attach(program.world, program.hero, [program.cav, program.mast], "revqom@2KB", link) as team:
        return [replace(team.tick(program.tick()), sweeps=()) for _ in range(TICKS)]


def test_a_team_shares_and_detects_in_a_world_that_it_neither_ticks_nor_drives(
    server_address: tuple[str, int], tmp_path: Path
) -> None:
    torch.set_num_threads(2)
    with somebody(server_address) as program:
        before, frame, place = program.actors, program.tick().frame, program.hero.get_location()
        records = ride(program)
        assert program.world.get_snapshot().frame == frame + TICKS
        assert program.hero.get_location().distance(place) < 0.01
        assert program.actors == before
    assert torch.get_num_threads() == 2
    assert [record.tick for record in records] == list(range(TICKS))
    assert all((record.plan, record.light, record.route_fraction) == (None, None, None) for record in records)
    sent = [item for record in records for item in record.transmissions]
    assert {item.sender for item in sent} == {"cav", "rsu_2"} and {item.receiver for item in sent} == {"hero"}
    assert all(0 < item.payload_bytes <= 2000 for item in sent)
    results = [record.perceived for record in records if record.perceived is not None]
    frames = frames_of(results, ObjectClass.VEHICLE)
    assert len(results) >= 2 and average_precision(frames, 0.5) == pytest.approx(1.0)
    assert [item.rolename for item in records[-1].truth.objects] == ["vehicle.tesla.model3", "cav"]

    ridden = Episode(
        "theirs", CodecChoice("revqom", 2000), 0, EpisodeEnd.TIMEOUT, tuple(records), 0.0, AgentName("hero")
    )
    write_ticks(tmp_path / "first", ridden)
    assert read_ticks(tmp_path / "first").records[-1].plan is None
    with somebody(server_address) as program:
        assert program.actors == before
        program.tick()
        write_ticks(tmp_path / "again", replace(ridden, records=tuple(ride(program))))
    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()


def test_what_makes_no_team_is_named_before_anything_hangs_in_the_world(server_address: tuple[str, int]) -> None:
    with somebody(server_address) as program:
        before, world, hero = program.actors, program.world, program.hero
        with pytest.raises(CodecError, match="there is no codec 'revqon'; did you mean revqom"):
            carla_cp.attach(world, hero, [], "revqon")
        with pytest.raises(ScenarioError, match="link 'fixed latency=5': no key 'latency'; did you mean 'latency_ms'"):
            carla_cp.attach(world, hero, [], "none", "fixed latency=5")
        with pytest.raises(OptionError, match="there is no link model 'fixd'; did you mean fixed"):
            carla_cp.attach(world, hero, [], "none", "fixd")
        with pytest.raises(OptionError, match="policy 'request' is for codecs whose receivers ask"):
            carla_cp.attach(world, hero, [program.cav], "revqom@2KB", "fixed policy=request")
        with pytest.raises(OptionError, match="--checkpoint gone: no such folder"):
            carla_cp.attach(world, hero, [], "none", checkpoint="gone")
        assert program.actors == before


def test_the_package_alone_imports_neither_torch_nor_carla() -> None:
    script = "import sys, carla_cp; print(sorted({'torch', 'carla', 'numpy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'atach'"):
        _ = carla_cp.atach  # type: ignore[attr-defined]


def test_the_example_rides_in_a_script_that_knows_nothing_of_ours(server_address: tuple[str, int]) -> None:
    script = Path(__file__).resolve().parent.parent / "tools" / "attach_example.py"
    command = [sys.executable, str(script), str(server_address[1]), "12"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    lines = done.stdout.splitlines()
    assert lines and all("heard [" in line and "tracks" in line for line in lines)
