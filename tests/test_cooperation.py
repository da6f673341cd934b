"""What becomes of messages: which are fused, and what those that never arrive are counted as."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carla_cp.codecs import load_codec
from carla_cp.codecs.base import Bodies, Codec, ViewLike
from carla_cp.codecs.late import LateCodec
from carla_cp.codecs.none import NoneCodec
from carla_cp.cooperation import Cooperation
from carla_cp.link.base import Flight, Sent
from carla_cp.link.fixed import FixedLink
from carla_cp.perception.detector import Detector
from carla_cp.perception.view import View
from carla_cp.scenario import load_scenario, override
from carla_cp.stopwatch import Stopwatch
from carla_cp.types import (
    AgentName,
    CodecChoice,
    Correction,
    Detections,
    Loss,
    Outcome,
    Pose,
    Scenario,
    Shared,
    Surroundings,
    Sweep,
    Transmission,
)
from tests.codecs.fake import random_checkpoint
from tests.metrics.builders import state, thing

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Asked:
    """What senders had heard when they encoded, and what became of the ego's requests."""

    heard: list[tuple[str, int, bytes | None]]
    requests: list[Transmission]
    messages: list[Transmission]  # of the others


def sweep(agent: str, x: float, time_us: int = 100_000) -> Sweep:
    points = np.random.default_rng(0).uniform(-30.0, 30.0, (500, 4)).astype(np.float32)
    points[:, 2:] = (-1.0, 0.5)
    return Sweep(AgentName(agent), time_us, points, Pose(x=x, z=1.9), 1.9)


@pytest.mark.parametrize(
    ("budget", "far", "near"), [(2000, Outcome.LOST, Outcome.LATE), (1, Outcome.EMPTY, Outcome.EMPTY)]
)
def test_at_the_end_only_what_would_have_arrived_is_late(
    detector: Detector, budget: int, far: Outcome, near: Outcome
) -> None:
    scenario = load_scenario(ROOT / "scenarios" / "intersection.xml")
    codec = load_codec("early", ROOT / "checkpoints" / "mini")
    with ThreadPoolExecutor(1) as pool:
        team = Cooperation(scenario.team, CodecChoice("early", budget), 0, detector, codec, pool)
        team.capture([sweep(scenario.ego.rolename, 0.0), sweep("cav", 9_000.0), sweep("rsu_1", 20.0)], (), Stopwatch())
        outcomes = {item.sender: item.outcome for item in team.settled(last=True)}
    assert outcomes == {"cav": far, "rsu_1": near}


def test_a_message_that_overtakes_an_older_one_is_the_one_that_is_fused(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused: list[int] = []

    def finish(view: View, shared: Sequence[Shared], *_: object, **__: object) -> Detections:
        fused.extend(item.time_us for item in shared)
        return Detections(np.zeros((0, 7)), np.zeros(0), np.zeros(0, np.int64))

    monkeypatch.setattr(detector, "finish", finish)
    scenario = load_scenario(ROOT / "scenarios" / "intersection.xml")
    shaky = replace(scenario, channel=replace(scenario.channel, latency_ms=110.0, jitter_ms=100.0))
    codec = load_codec("early", ROOT / "checkpoints" / "mini")
    overtaken = 0
    for seed in range(20):
        with ThreadPoolExecutor(1) as pool:
            team = Cooperation(shaky.team, CodecChoice("early", 2000), seed, detector, codec, pool)
            for time_us in (100_000, 200_000):
                looks = [sweep(scenario.ego.rolename, 0.0, time_us), sweep("rsu_1", 20.0, time_us)]
                team.capture(looks, (), Stopwatch())
            fused.clear()
            team.fuse(320_000, Stopwatch())
            arrived = [item.sent_us for item in team.settled(last=False) if item.outcome is Outcome.DELIVERED]
        assert fused == [max(arrived)] if arrived else fused == []
        overtaken += arrived == [200_000, 100_000]
    assert overtaken


@pytest.mark.parametrize("name", ["ermvp", "infocom"])
def test_messages_of_other_weights_are_rejected_counted_and_not_fused(
    detector: Detector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    fused: list[str] = []

    def finish(view: View, shared: Sequence[Shared], *_: object, **__: object) -> Detections:
        fused.extend(item.sender for item in shared)
        return Detections(np.zeros((0, 7)), np.zeros(0), np.zeros(0, np.int64))

    def outcomes(codec: Codec[Any]) -> dict[str, Outcome]:
        """Of one message from each of two senders, fused a tick later; all that was said has arrived."""
        calm = channel()
        with ThreadPoolExecutor(1) as pool:
            team = Cooperation(calm.team, CodecChoice(name, 2000), 0, detector, codec, pool)
            team.capture([sweep(calm.ego.rolename, 0.0), sweep("cav", 10.0), sweep("rsu_1", 20.0)], (), Stopwatch())
            team.fuse(200_000, Stopwatch())
        settled = team.settled(last=True)
        assert all(item.payload_bytes > 0 for item in settled)
        return {item.sender: item.outcome for item in settled}

    monkeypatch.setattr(detector, "finish", finish)
    codec, theirs = load_codec(name, ROOT / "checkpoints" / "mini"), load_codec(name, random_checkpoint(tmp_path))
    assert outcomes(codec) == {"cav": Outcome.DELIVERED, "rsu_1": Outcome.DELIVERED} and fused == ["cav", "rsu_1"]
    fused.clear()
    monkeypatch.setattr(codec, "encode", theirs.encode)
    assert outcomes(codec) == {"cav": Outcome.REJECTED, "rsu_1": Outcome.REJECTED} and not fused


class Asker(LateCodec):
    """A codec whose request is the time and place of who asks; it notes what each sender had heard."""

    asks = True

    def __init__(self, length: int = 0) -> None:
        super().__init__()
        self.length = length
        self.heard: list[tuple[str, int, bytes | None]] = []

    def request(self, view: ViewLike) -> bytes:
        return f"{view.sweep.agent} {view.sweep.time_us}".encode().ljust(self.length)

    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        self.heard.append((view.sweep.agent, view.sweep.time_us, request))
        return super().bodies(view, None)


def drive(
    scenario: Scenario, detector: Detector, threads: int = 1, budget: int | None = 2000, codec: LateCodec | None = None
) -> Asked:
    """Three captures, each fused a tick later."""
    codec = codec or Asker()
    settled: list[Transmission] = []
    with ThreadPoolExecutor(threads) as pool:
        team = Cooperation(scenario.team, CodecChoice("late", budget), 0, detector, codec, pool)
        for capture in (100_000, 200_000, 300_000):
            ego = scenario.ego.rolename
            sweeps = [sweep(ego, 0.0, capture), sweep("far", 9_000.0, capture), sweep("rsu_1", 20.0, capture)]
            team.capture(sweeps, (), Stopwatch())
            team.fuse(capture + 50_000, Stopwatch())
            settled += team.settled(last=capture == 300_000)
    requests = [item for item in settled if item.sender == scenario.ego.rolename]
    heard = sorted(codec.heard) if isinstance(codec, Asker) else []
    return Asked(heard, requests, [item for item in settled if item not in requests])


def channel(**changes: float) -> Scenario:
    scenario = load_scenario(ROOT / "scenarios" / "intersection.xml")
    calm = replace(scenario.channel, jitter_ms=0.0, latency_ms=20.0, loss=0.0)
    return replace(scenario, channel=replace(calm, **changes))  # type: ignore[arg-type]


def test_a_sender_in_range_knows_the_newest_request_that_had_come_when_it_took_its_sweep(detector: Detector) -> None:
    asked = drive(channel(), detector)
    assert [request for agent, _, request in asked.heard if agent == "far"] == [None] * 3
    near = [request for agent, _, request in asked.heard if agent == "rsu_1"]
    assert near == [None, b"hero 100000", b"hero 200000"]
    assert [(item.receiver, item.payload_bytes, item.sent_us, item.outcome) for item in asked.requests] == [
        ("rsu_1", 11, capture, Outcome.DELIVERED) for capture in (100_000, 200_000, 300_000)
    ]


def test_a_request_takes_the_link_s_time_and_can_be_lost(detector: Detector) -> None:
    slow = drive(channel(latency_ms=120.0), detector)
    assert [request for agent, _, request in slow.heard if agent == "rsu_1"] == [None, None, b"hero 100000"]
    assert [item.outcome for item in slow.requests] == [Outcome.DELIVERED, Outcome.DELIVERED, Outcome.LATE]
    lost = drive(channel(loss=1.0), detector)
    assert {request for _, _, request in lost.heard} == {None}
    assert {item.outcome for item in lost.requests} == {Outcome.LOST}


def test_a_request_that_the_ego_s_budget_has_no_room_for_is_not_sent(detector: Detector) -> None:
    asked = drive(channel(), detector, budget=100, codec=Asker(length=101))
    assert {request for _, _, request in asked.heard} == {None}
    assert {(item.outcome, item.payload_bytes) for item in asked.requests} == {(Outcome.EMPTY, 0)}


def test_requests_are_the_same_for_any_number_of_threads_and_change_nobody_s_luck(detector: Detector) -> None:
    shaky = channel(loss=0.3, jitter_ms=90.0, latency_ms=95.0)
    asked = drive(shaky, detector, 1)
    assert asked == drive(shaky, detector, 3)
    silent = drive(shaky, detector, codec=LateCodec())
    assert asked.messages == silent.messages and asked.requests and not silent.requests


def test_each_link_numbers_its_own_messages_so_that_a_further_sender_changes_nobodys_luck(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector, "finish", lambda *_, **__: Detections.empty())
    scenario = channel(loss=0.3, jitter_ms=20.0)
    codec = load_codec("early", ROOT / "checkpoints" / "mini")

    def said(*senders: str) -> list[Transmission]:
        settled: list[Transmission] = []
        with ThreadPoolExecutor(1) as pool:
            team = Cooperation(scenario.team, CodecChoice("early", 2000), 0, detector, codec, pool)
            for capture in (100_000, 200_000, 300_000, 400_000):
                team.capture(
                    [sweep("hero", 0.0, capture), *(sweep(name, 20.0, capture) for name in senders)], (), Stopwatch()
                )
                team.fuse(capture + 50_000, Stopwatch())
                settled += team.settled(last=capture == 400_000)
        return [item for item in settled if item.sender == "rsu_1"]

    alone = said("rsu_1")
    assert said("cav", "far", "rsu_1") == alone
    assert [item.sequence for item in alone] == [0, 1, 2, 3]


def test_with_a_policy_of_requests_nobody_speaks_before_it_was_asked(detector: Detector) -> None:
    scenario = channel()
    asking = replace(scenario, channel=replace(scenario.channel, policy="request"))
    asked = drive(asking, detector)
    spoken = [(item.sender, item.sent_us) for item in asked.messages if item.outcome is not Outcome.EMPTY]
    assert spoken == [("rsu_1", 200_000), ("rsu_1", 300_000)] and len(asked.messages) == 6
    assert [(agent, capture) for agent, capture, _ in asked.heard] == [("rsu_1", 200_000), ("rsu_1", 300_000)]


def test_with_a_policy_of_a_shared_total_only_who_is_in_range_speaks_within_its_part(detector: Detector) -> None:
    scenario = channel()
    sharing = replace(scenario, channel=replace(scenario.channel, policy="share", total_bytes=150))
    messages = drive(sharing, detector, budget=None, codec=LateCodec()).messages
    free = drive(scenario, detector, budget=None, codec=LateCodec()).messages
    assert {item.sender for item in messages if item.packets} == {"rsu_1"}
    assert {item.sender for item in free if item.packets} == {"rsu_1", "far"}
    assert max(item.payload_bytes for item in messages) <= 150


def test_messages_are_laid_by_believed_poses_while_the_radio_and_the_ego_s_own_frame_keep_the_true_ones(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused: list[tuple[Pose, dict[str, Pose]]] = []
    antennas: list[dict[str, Pose]] = []

    def finish(view: View, shared: Sequence[Shared], pool: Executor, correction: Correction) -> Detections:
        assert correction is Correction.OFF
        fused.append((view.world_from_agent, {item.sender: item.world_from_agent for item in shared}))
        return Detections.empty()

    def carry(self: FixedLink, sent: Sequence[Sent], around: Surroundings) -> list[Flight]:
        antennas.append(dict(around.antennas))
        return [Flight(item.message.time_us, (None,) * len(item.sizes)) for item in sent]

    monkeypatch.setattr(detector, "finish", finish)
    monkeypatch.setattr(FixedLink, "carry", carry)
    lost = channel()
    for setting in ("position_m=5", "heading_deg=3", "correction=off"):
        lost = override(lost, f"localization.{setting}")
    codec = load_codec("early", ROOT / "checkpoints" / "mini")
    looks = [sweep("hero", 0.0), sweep("cav", 10.0), sweep("rsu_1", 20.0)]
    with ThreadPoolExecutor(1) as pool:
        team = Cooperation(lost.team, CodecChoice("early", 2000), 0, detector, codec, pool)
        assert team.capture(looks, (), Stopwatch()) == tuple(looks)
        perceived = team.fuse(150_000, Stopwatch())
    ((own, others),) = fused
    assert antennas == [{look.agent: look.world_from_lidar for look in looks}]
    assert perceived is not None and perceived.world_from_agent == Pose()
    assert abs(own.x) > 0.1 and abs(own.yaw) > 0.001
    assert abs(others["cav"].x - 10.0) > 0.1 and abs(others["cav"].x - 10.0 - own.x) > 0.1
    assert others["rsu_1"] == Pose(x=20.0), "surveyed"


@pytest.mark.parametrize(("detect_ms", "known_us"), [(0.0, 150_000), (1.0, 200_000), (60.0, 250_000), (110.0, 300_000)])
def test_a_result_is_known_at_the_first_tick_after_detection_s_time(
    detector: Detector, monkeypatch: pytest.MonkeyPatch, detect_ms: float, known_us: int
) -> None:
    monkeypatch.setattr(detector, "finish", lambda *_, **__: Detections.empty())
    scenario = override(channel(), f"compute.detect_ms={detect_ms}")
    known: list[tuple[int, int]] = []
    with ThreadPoolExecutor(1) as pool:
        team = Cooperation(scenario.team, CodecChoice("none", None), 0, detector, NoneCodec(), pool)
        for now in range(100_000, 450_000, 50_000):
            perceived = team.fuse(now, Stopwatch())
            if perceived is not None:
                known.append((perceived.time_us, now))
            if now % 100_000 == 0:
                team.capture([sweep("hero", 0.0, now)], (), Stopwatch())
    assert known[:2] == [(100_000, known_us), (200_000, known_us + 100_000)]


def test_a_truck_between_two_antennas_costs_messages_on_a_weak_radio(detector: Detector) -> None:
    scenario = channel(power_dbm=-15.0, latency_ms=0.0)
    weak = replace(scenario, channel=replace(scenario.channel, model="sidelink"))
    truck = thing("truck", replace(state(10.0), length=8.0, width=2.5, height=4.0))
    outcomes = []
    for objects in ((), (truck,)):
        lost = 0
        for seed in range(12):
            with ThreadPoolExecutor(1) as pool:
                team = Cooperation(weak.team, CodecChoice("late", 2000), seed, detector, LateCodec(), pool)
                team.capture([sweep("hero", 0.0), sweep("rsu_1", 20.0)], objects, Stopwatch())
                lost += sum(item.loss is Loss.SIGNAL for item in team.settled(last=True))
        outcomes.append(lost)
    assert outcomes[0] < outcomes[1]
