"""What agents say to the ego in one frame, row by row, and what of it the ego reads; what rows share is made once.

A codec whose receivers ask has two rounds within a frame, as in Where2comm's paper: the ego asks by the view that it
has of the frame, then the others answer. The request is lost like any message, and kept back where it is longer than
the budget. As it says where the ego believes to be, and the answer depends on where the sender does, such messages are
made anew for every pose noise; all others only have their pose replaced.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

import torch
from evaluation_parts import Equipment, Job, Row, Seen

from carla_cp.codecs import PayloadError
from carla_cp.codecs.base import Encoder
from carla_cp.codecs.bitstream import Header, pack, unpack
from carla_cp.cooperation import request_of
from carla_cp.perception.detector import Detector
from carla_cp.perception.view import View
from carla_cp.types import AgentFrame, AgentName, Pose, Shared


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """A message, and what of it the ego has."""

    sent: bytes  # b"": nothing
    received: bytes  # b"" where nothing arrived
    formula_bytes: float | None  # what the codec's paper charges for it
    shared: Shared | None  # what was read of it, with the pose undisturbed; None where nothing was


class Exchange:
    """The messages of one frame."""

    def __init__(self, equipment: Equipment, job: Job, past: dict[int, Seen]) -> None:
        """`past` holds for every delay the frame that partners' data come from."""
        self._equipment, self._job, self._past = equipment, job, past
        self._encoders: dict[Hashable, Encoder] = {}
        self._sent: dict[Hashable, bytes] = {}
        self._requests: dict[Hashable, bytes] = {}
        self._parsed: dict[tuple[str, bytes], tuple[Header, Any]] = {}
        self._read: dict[tuple[str, bytes], Shared | None] = {}

    def said(self, row: Row, agent: AgentFrame) -> Said:
        """What an agent says in a row, and what arrives of it."""
        name, seen = row.choice.name, self._past[row.delay]
        sent = self._message(row, agent.sweep.agent)
        if not sent:
            return Said(sent, sent, None, None)
        received = row.loss.received(sent, self._job.seed, self._job.scene.name, seen.index, agent.sweep.agent)
        charged = self._equipment.codecs[name].formula_bytes(self._parse(name, sent)[1])
        return Said(sent, received, charged, self._reading(name, received, received == sent))

    def request(self, row: Row) -> bytes:
        """What the ego asks for in a row; b"" where its codec knows no requests, or the budget has no room."""
        detector, seen = self._equipment.detectors[row.fusion], self._past[row.delay]
        key = (row.choice.name, row.fusion, seen.index, row.noise)
        ego = seen.frame.agents[0].sweep.agent
        if key not in self._requests:
            view = believing(row, self._job, seen, ego, detector)
            self._requests[key] = request_of(self._equipment.codecs[row.choice.name], view, None)
        request, budget = self._requests[key], row.choice.budget_bytes
        return request if budget is None or len(request) <= budget else b""

    def _message(self, row: Row, agent: AgentName) -> bytes:
        codec, budget = self._equipment.codecs[row.choice.name], row.choice.budget_bytes
        detector, seen = self._equipment.detectors[row.fusion], self._past[row.delay]
        key: tuple[Hashable, ...] = (row.choice.name, detector.tap, seen.index, agent)
        request = None
        if codec.asks:
            asked = self.request(row)
            # Told from the answer's draws by the name: a request to an agent has a luck of its own.
            to = AgentName(f"to {agent}")
            request = replace(row.loss, cut="message").received(
                asked, self._job.seed, self._job.scene.name, seen.index, to
            )
            key = (*key, row.fusion, row.noise, request)
        if key not in self._encoders:
            view = seen.views[agent] if not codec.asks else believing(row, self._job, seen, agent, detector)
            self._encoders[key] = codec.prepare(for_detector(detector, view), request or None)
        if (key, budget) not in self._sent:
            payload = self._encoders[key].encode(budget)
            if budget is not None and len(payload) > budget:
                raise AssertionError(f"{row.choice.label} sent more than its budget")
            self._sent[key, budget] = payload
        return self._sent[key, budget]

    def _parse(self, name: str, payload: bytes) -> tuple[Header, Any]:
        key = (name, payload)
        if key not in self._parsed:
            self._parsed[key] = self._equipment.codecs[name].parse(payload)
        return self._parsed[key]

    def _reading(self, name: str, received: bytes, whole: bool) -> Shared | None:
        """What is read of what arrived; parts that make no message without the others are as good as lost."""
        key = (name, received)
        if not received:
            return None
        if key not in self._read:
            try:
                header, symbols = self._parse(name, received)
                with torch.no_grad():
                    self._read[key] = self._equipment.codecs[name].reconstruct(header, symbols)
            except PayloadError:
                if whole:
                    raise
                self._read[key] = None
        return self._read[key]


def believing(row: Row, job: Job, seen: Seen, agent: AgentName, detector: Detector) -> View:
    """An agent's view of a frame, with the pose that it believes in under the row's noise, for a detector."""
    view = seen.views[agent]
    ego = seen.frame.agents[0].sweep.agent
    if row.noise.kind != "none" and not (row.noise.spares_ego and agent == ego):
        pose = row.noise.believed(view.sweep.world_from_lidar, job.seed, job.scene.name, seen.index, agent)
        view = view.believing(pose)
    return for_detector(detector, view)


def for_detector(detector: Detector, view: View) -> View:
    """The view for a detector of the same trunk; its boxes are kept where they are that detector's already."""
    return view if view.detector is detector else view.of(detector)


def on_the_wire(shared: Shared, view: View) -> Pose:
    """The pose that a believing agent's header would carry: rounded as every header rounds it."""
    header = Header(0, 0, shared.sender, shared.time_us, view.world_from_agent)
    return unpack(pack(header, b""), 0, 0)[0].world_from_agent
