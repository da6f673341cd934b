"""The closed loop, end to end on an embedded server: what repeats, what bytes do, and what truth must never do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import carla_cp.episode
from carla_cp.codecs import load_codec, parse_choice
from carla_cp.driving.scripted import Traffic
from carla_cp.episode import run_episode
from carla_cp.networks import agents_pool
from carla_cp.perception.detector import Detector
from carla_cp.recording import write_ticks
from carla_cp.scenario import draw_scenario, load_scenario
from carla_cp.types import (
    AgentName,
    Command,
    Episode,
    EpisodeEnd,
    ObjectClass,
    Outcome,
    Scenario,
    SignalSpec,
    TruthObject,
    VehicleState,
)
from carla_cp.world import World

ROOT = Path(__file__).resolve().parent.parent
CHECKPOINT = ROOT / "checkpoints" / "mini"
SECONDS = 3.0


@pytest.fixture(scope="module")
def world(server_address: tuple[str, int]) -> Iterator[World]:
    opened = World(*server_address)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return replace(load_scenario(ROOT / "scenarios" / "intersection.xml"), timeout_s=SECONDS)


def play(world: World, scenario: Scenario, codec: str, detector: Detector, seed: int = 0) -> Episode:
    choice = parse_choice(codec)
    world.load(scenario.map_file)
    ticks = run_episode(
        world,
        draw_scenario(scenario, seed),
        choice,
        seed,
        detector,
        load_codec(choice.name, CHECKPOINT, "cpu"),
        agents_pool(),
    )
    records = []
    while True:
        try:
            records.append(replace(next(ticks), sweeps=()))
        except StopIteration as stop:
            ego = AgentName(scenario.ego.rolename)
            return Episode(scenario.name, choice, seed, stop.value, tuple(records), 0.0, ego)


def controls(episode: Episode) -> list[tuple[float, float, float, float, float]]:
    """Everything that makes the trajectory: what the actuators got and where the ego was."""
    rows = [(record.plan.control, record.ego.pose) for record in episode.records if record.plan is not None]
    return [(c.throttle, c.brake, c.steer, pose.x, pose.y) for c, pose in rows]


def lossy(scenario: Scenario, loss: float) -> Scenario:
    return replace(scenario, channel=replace(scenario.channel, loss=loss))


def test_the_same_episode_twice_is_the_same_file(
    world: World, scenario: Scenario, detector: Detector, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        write_ticks(tmp_path / name, play(world, scenario, "revqom@2KB", detector))
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_messages_arrive_within_their_budget_and_are_fused(
    world: World, scenario: Scenario, detector: Detector
) -> None:
    episode = play(world, scenario, "revqom@2KB", detector)
    sent = [item for record in episode.records for item in record.transmissions]
    fused = [item for item in sent if item.outcome is Outcome.DELIVERED]
    assert {item.sender for item in fused} == {"cav", "rsu_1"}
    assert all(0 < item.payload_bytes <= 2000 and item.packets >= 2 for item in fused)
    assert len(fused) >= 0.9 * len(sent)
    assert all(item.arrived_us is not None and 15_000 <= item.arrived_us - item.sent_us <= 25_000 for item in fused)


@pytest.mark.parametrize("codec", ["raw", "late@2KB", "early@2KB", "infocom@2KB"])
def test_with_every_packet_lost_any_codec_drives_as_none_does(
    world: World, scenario: Scenario, detector: Detector, codec: str
) -> None:
    alone = controls(play(world, scenario, "none", detector))
    assert controls(play(world, lossy(scenario, 1.0), codec, detector)) == alone


def test_what_partners_send_changes_what_the_ego_detects(world: World, scenario: Scenario, detector: Detector) -> None:
    def boxes(codec: str) -> int:
        records = play(world, scenario, codec, detector).records
        return sum(len(record.perceived.detections.scores) for record in records if record.perceived is not None)

    assert boxes("raw") > boxes("none")


def test_an_episode_ends_at_its_timeout_and_numbers_its_ticks(
    world: World, scenario: Scenario, detector: Detector
) -> None:
    episode = play(world, scenario, "none", detector)
    assert episode.end is EpisodeEnd.TIMEOUT
    assert [record.tick for record in episode.records] == list(range(len(episode.records)))
    assert episode.records[-1].time_us == round(SECONDS * 1e6)
    perceived = [record for record in episode.records if record.perceived is not None]
    assert all(item.perceived is not None and item.time_us - item.perceived.time_us == 50_000 for item in perceived)


class TamperedWorld:
    """A world that lies about everything that is truth: where others are, how big, what they are and how fast."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def objects(self) -> tuple[TruthObject, ...]:
        return tuple(self._lie(item) for item in self._world.objects())

    @staticmethod
    def _lie(item: TruthObject) -> TruthObject:
        pose = replace(item.state.pose, x=item.state.pose.x + 7.0, y=item.state.pose.y - 3.0, yaw=1.0)
        state = replace(item.state, pose=pose, velocity=(1.0, 2.0, 0.0), length=9.0)
        x, y, *rest = item.box
        box = (x + 7.0, y - 3.0, *rest[:4], 1.0)
        return replace(item, state=state, box=box, label=ObjectClass.CYCLIST, rolename="liar", blueprint="none")


def test_no_field_of_the_truth_reaches_a_control(
    world: World, scenario: Scenario, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    class HonestTraffic(Traffic):
        """Scripted actors may use the truth, so they keep it while the rest of the loop is lied to."""

        def commands(
            self, objects: Sequence[TruthObject], ego: VehicleState, states: Sequence[SignalSpec]
        ) -> tuple[Command, ...]:
            return super().commands(world.objects(), ego, states)

    honest = controls(play(world, scenario, "raw", detector))
    monkeypatch.setattr(carla_cp.episode, "Traffic", HonestTraffic)
    lied: Any = TamperedWorld(world)
    tampered = play(lied, scenario, "raw", detector)
    assert controls(tampered) == honest
    assert {item.rolename for record in tampered.records for item in record.truth.objects} == {"liar"}


def test_the_oracle_sees_everything_in_range_without_messages(
    world: World, scenario: Scenario, detector: Detector
) -> None:
    episode = play(world, scenario, "oracle", detector)
    perceived = [record.perceived for record in episode.records if record.perceived is not None]
    assert all(len(item.detections.boxes) >= len(item.truth_boxes) > 0 for item in perceived)
    assert all(np.all(item.detections.scores == 1.0) for item in perceived)
    assert not any(record.transmissions for record in episode.records)
