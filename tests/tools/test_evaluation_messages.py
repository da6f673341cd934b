"""What agents say in a frame: each message once, asked for where the codec asks, under the pose that they believe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from carla_cp.codecs import PayloadError, load_codec, parse_choice
from carla_cp.codecs.base import Bodies, Encoder, ViewLike
from carla_cp.codecs.late import LateCodec
from carla_cp.opv2v import read_scene
from carla_cp.types import Shared
from tests.perception.synthetic import make_frame, write
from tests.tools.claims import load_tool, save_claimer

messages = load_tool("evaluation_messages")
parts = load_tool("evaluation_parts")
PacketLoss = load_tool("evaluation_loss").PacketLoss
parse_noise = load_tool("pose_noise").parse_noise
NOISE = "gaussian:0.4/0.4"
NO_LOSS = PacketLoss()


class Asker(LateCodec):
    """Asks with where the ego believes to be, and notes what senders heard and believed."""

    asks = True

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[bytes | None, float]] = []
        self.asked = 0

    def request(self, view: ViewLike) -> bytes:
        self.asked += 1
        return f"{view.world_from_agent.x:.6f}".encode()

    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        self.heard.append((request, view.world_from_agent.x))
        return super().bodies(view, None)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Equipment and job of one row, and the frame."""
    folder = tmp_path_factory.mktemp("stage")
    write(folder / "scene", 1, 3)
    rows = (parts.Row(parse_choice("late")),)
    equipment = parts.Equipment(save_claimer(folder / "checkpoint"), rows)
    frame, detector = make_frame(3), equipment.detectors[None]
    seen = parts.Seen(0, frame, {agent.sweep.agent: detector.view(agent.sweep) for agent in frame.agents}, ())
    return equipment, parts.Job(read_scene(folder / "scene"), (0,), folder / "checkpoint", rows), seen


@pytest.fixture
def asker(stage: Any, monkeypatch: pytest.MonkeyPatch) -> Asker:
    codec = Asker()
    monkeypatch.setitem(stage[0].codecs, "late", codec)
    return codec


@pytest.fixture
def exchange(stage: Any) -> Iterator[Any]:
    equipment, job, seen = stage
    yield messages.Exchange(equipment, job, {0: seen})


def row(codec: str = "late", noise: str = "none", loss: Any = NO_LOSS) -> Any:
    return parts.Row(parse_choice(codec), None, parse_noise(noise), 0, loss)


def test_a_message_with_a_believed_pose_is_the_message_that_a_believing_agent_sends(stage: Any) -> None:
    equipment, job, seen = stage
    detector, codec, agent = (
        equipment.detectors[None],
        load_codec("late", job.checkpoint),
        seen.frame.agents[1].sweep.agent,
    )
    view = seen.views[agent]
    believing = messages.believing(row(noise=NOISE), job, seen, agent, detector)
    clean, noisy = (codec.decode(codec.encode(one, None, None)) for one in (view, believing))
    assert messages.on_the_wire(clean, believing) == noisy.world_from_agent != clean.world_from_agent
    assert messages.believing(row(), job, seen, agent, detector) is view


def test_the_ego_s_request_of_the_frame_reaches_the_sender_under_the_poses_that_both_believe(
    stage: Any, exchange: Any, asker: Asker
) -> None:
    equipment, job, seen = stage
    ego, other = (agent.sweep.agent for agent in seen.frame.agents)
    for noise in ("none", NOISE):
        exchange.said(row(noise=noise), seen.frame.agents[1])
        poses = [
            messages.believing(row(noise=noise), job, seen, name, equipment.detectors[None]).world_from_agent.x
            for name in (ego, other)
        ]
        assert asker.heard[-1] == (f"{poses[0]:.6f}".encode(), poses[1])
        assert exchange.request(row(noise=noise)) == asker.heard[-1][0]
    assert asker.heard[0] != asker.heard[1]
    exchange.said(row(), seen.frame.agents[1])
    assert len(asker.heard) == 2 and asker.asked == 2  # each once


def test_a_request_is_lost_like_a_message_and_kept_back_over_the_budget(
    stage: Any, exchange: Any, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = stage[2].frame.agents[1]
    exchange.said(row(loss=PacketLoss(1.0)), partner)
    assert asker.heard.pop()[0] is None
    monkeypatch.setattr(asker, "request", lambda view: b"a" * 201)
    late = row("late@200")
    exchange.said(late, partner)
    assert asker.heard.pop()[0] is not None and exchange.request(late) != b""  # asked before, within the budget
    fresh = messages.Exchange(stage[0], stage[1], {0: stage[2]})
    fresh.said(late, partner)
    assert asker.heard.pop()[0] is None and fresh.request(late) == b""


def test_what_is_charged_is_what_was_sent_and_what_is_read_is_what_arrived(
    stage: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = stage[2].frame.agents[1]
    monkeypatch.setattr(stage[0].codecs["late"], "formula_bytes", lambda symbols: 77.0)
    clean, lost = (exchange.said(row(loss=loss), partner) for loss in (PacketLoss(), PacketLoss(1.0)))
    assert clean.sent == clean.received == lost.sent and lost.received == b""
    assert isinstance(clean.shared, Shared) and lost.shared is None
    assert clean.formula_bytes == lost.formula_bytes == 77.0


def test_parts_that_mean_nothing_alone_are_lost_but_a_whole_message_must_be_read(
    stage: Any, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner, codec = stage[2].frame.agents[1], stage[0].codecs["late"]
    sent = exchange.said(row(), partner).sent
    monkeypatch.setattr(PacketLoss, "received", lambda loss, payload, *_: payload[:-1] if loss.rate else payload)
    assert exchange.said(row(loss=PacketLoss(0.5)), partner).shared is None

    def broken(*_: Any) -> Any:
        raise PayloadError("broken")

    fresh = messages.Exchange(*stage[:2], {0: stage[2]})
    monkeypatch.setattr(Encoder, "encode", lambda *_: sent)
    monkeypatch.setattr(codec, "reconstruct", broken)
    with pytest.raises(PayloadError, match="broken"):
        fresh.said(row(), partner)


def test_a_budget_that_is_not_kept_ends_the_evaluation(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Encoder, "encode", lambda *_: bytes(300))
    fresh = messages.Exchange(*stage[:2], {0: stage[2]})
    with pytest.raises(AssertionError, match="late@200 sent more"):
        fresh.said(replace(row(), choice=parse_choice("late@200")), stage[2].frame.agents[1])
