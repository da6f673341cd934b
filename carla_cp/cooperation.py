"""From the team's sweeps to the ego's tracks: views, messages over the link, fusion.

What is captured at one tick is fused at the next with what has arrived by then, and its result is known after the time
that detection is said to take beyond that step. A message of an older sweep is laid by where its sender and the ego
were when each looked, so that what stands still lies right. Boxes know how old they are, and the tracker takes each in
at its own time; features and points do not, and what moves in them lies where it was.

Where the codec has receivers ask, the ego's request of a capture goes over the link to every agent in range, and a
sender encodes with the one that was sent last of those that had arrived when its own sweep was taken.

Where agents only believe to know their poses, these are what messages say and what the ego lays them by; the ego's own
detections stay in its odometry's frame, which is exact, for what is seen from the car is driven by from the car: an
error of localisation costs cooperation and nothing else. The radio knows where antennas truly are.

The truth passes through to the record alone, and to the codec `oracle`: the one place where it enters.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
import numpy as np

from carla_cp.codecs import PayloadError
from carla_cp.codecs.base import Codec, Silent
from carla_cp.codecs.bitstream import cut
from carla_cp.codecs.oracle import OracleCodec
from carla_cp.driving.tracker import Tracker, TrackerConfig
from carla_cp.geometry import count_returns
from carla_cp.link.channel import Delivery, Link
from carla_cp.link.graph import connectivity, heard_by
from carla_cp.link.packets import HEADER_BYTES as LINK_HEADER_BYTES
from carla_cp.link.policy import Allowance, allowance, needs_graph
from carla_cp.perception.base import DetectorLike, ViewLike
from carla_cp.perception.localization import Localization
from carla_cp.perception.pillars import agent_pose
from carla_cp.perception.truth import users_in_range
from carla_cp.stopwatch import Stopwatch
from carla_cp.types import (
    AgentName,
    CodecChoice,
    Detections,
    FloatArray,
    IntArray,
    Message,
    Outcome,
    Perceived,
    Pose,
    Shared,
    Surroundings,
    Sweep,
    TeamSpec,
    Transmission,
    TruthObject,
)

MAX_MESSAGE_AGE_US = 250_000  # an older message is not fused


@dataclass(frozen=True, slots=True, eq=False)
class _Capture:
    """One capture tick, waiting for its fusion."""

    time_us: int
    ego_view: ViewLike
    world_from_agent: Pose  # by odometry
    truth_boxes: FloatArray
    truth_labels: IntArray
    oracle: Detections


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What one agent made of its own sweep."""

    sweep: Sweep  # with its true pose
    view: ViewLike  # with the pose that the agent believes in
    payload: bytes  # of the ego what it asks for; b"" of one that has nothing to say, or may not
    returns: IntArray  # in each object's box


def request_of(codec: Codec[Any], view: ViewLike, budget: int | None) -> bytes:
    """What a receiver with this view asks for; b"" where the codec knows no requests, or the budget has no room."""
    request = codec.request(view) if codec.asks else b""
    return request if budget is None or len(request) <= budget else b""


class Cooperation:
    """One episode's sensing, sharing and fusing; `tracker` holds what the ego knows.

    Agents work side by side in `pool`, each in one thread, so that the bits do not depend on the number of cores.
    `buildings` (M, 7), world frame, are known to the link alone.
    """

    def __init__(
        self,
        team: TeamSpec,
        choice: CodecChoice,
        seed: int,
        detector: DetectorLike,
        codec: Codec[Any],
        pool: Executor,
        buildings: FloatArray | None = None,
    ) -> None:
        self._pool = pool
        self._buildings = np.zeros((0, 7)) if buildings is None else buildings
        self.tracker = Tracker(TrackerConfig())
        self._detector, self._codec, self._choice = detector, codec, choice
        self._ego = team.ego
        self._grid = detector.config.grid
        self._channel = team.channel
        self._packet_bytes = team.channel.mtu_bytes - LINK_HEADER_BYTES
        encode_us = round(1000 * team.compute.encode_ms)
        self._detect_us = round(1000 * team.compute.detect_ms)
        self._link = Link(team.channel, zlib.crc32(f"link {team.seed} {seed}".encode()), encode_us)
        self._correction = team.localization.correction
        self._localization = Localization(
            team.localization, zlib.crc32(f"localization {team.seed} {seed}".encode()), team.rsus
        )
        self._arrived: list[Delivery] = []  # for the ego's next fusion
        self._requests: dict[AgentName, Delivery] = {}  # by who heard it, the one sent last
        self._pending: _Capture | None = None
        self._detected: deque[tuple[int, Perceived]] = deque()  # with the time from which it is known
        self._returns: dict[int, int] = {}
        self._captures = 0  # so many have gone over the link: the number of every link's next message
        self._settled: list[Transmission] = []

    # ------------------------------------------------------------------------------------------------- capture

    def capture(self, sweeps: Iterable[Sweep], objects: Sequence[TruthObject], clock: Stopwatch) -> tuple[Sweep, ...]:
        """Turns the tick's sweeps, the ego's first, into views and messages on the link; returns them.

        Sweeps bear their true poses.
        """
        boxes = np.array([item.box for item in objects]).reshape(-1, 7)
        if needs_graph(self._channel):
            sweeps = tuple(sweeps)
            graph = self._graph(sweeps)
        else:
            graph = nx.Graph()
        jobs = []
        for sweep in sweeps:
            self._collect(sweep.time_us)
            allowed = self._allowance(sweep, graph)
            believed = self._localization.believed(sweep)
            jobs.append(self._pool.submit(self._look, sweep, believed, boxes, self._request_to(sweep.agent), allowed))
        clock.lap("sense")
        looks = [job.result() for job in jobs]
        if looks:
            if not isinstance(self._codec, Silent):
                self._transmit(looks, boxes, tuple(item.rolename for item in objects))
            counts = np.sum([look.returns for look in looks], axis=0)
            self._returns = {item.id: int(count) for item, count in zip(objects, counts, strict=True)}
            self._pending = self._to_fuse(looks[0], objects)
        clock.lap("encode")
        return tuple(look.sweep for look in looks)

    def _look(
        self, sweep: Sweep, believed: Sweep, boxes: FloatArray, request: bytes | None, allowed: Allowance
    ) -> _Look:
        view = self._detector.view(believed)
        payload = b""
        if sweep.agent != self._ego:
            if allowed.sends:
                payload = self._codec.encode(view, allowed.budget_bytes, request, self._packet_bytes)
        else:
            payload = request_of(self._codec, view, self._choice.budget_bytes)
            if not isinstance(self._codec, OracleCodec):
                self._detector.ahead(view, self._codec.tap)  # here, beside the partners' views
        return _Look(sweep, view, payload, count_returns(sweep.world_from_lidar, sweep.points, boxes))

    def _graph(self, sweeps: Sequence[Sweep]) -> nx.Graph:
        return connectivity([(sweep.agent, sweep.world_from_lidar) for sweep in sweeps], self._channel.range_m)

    def _allowance(self, sweep: Sweep, graph: nx.Graph) -> Allowance:
        """What the agent may say to the ego at this capture."""
        heard = self._requests.get(sweep.agent)
        age_us = None if heard is None else sweep.time_us - heard.transmission.sent_us
        return allowance(self._channel, graph, (sweep.agent, self._ego), self._choice.budget_bytes, age_us)

    def _request_to(self, agent: AgentName) -> bytes | None:
        return self._requests[agent].message_payload if agent in self._requests else None

    def _collect(self, now: int) -> None:
        """Takes what has settled on the link: messages to the ego wait for its fusion, others hear its requests."""
        for delivery in self._link.receive(now):
            sent = delivery.transmission
            if sent.receiver == self._ego:
                self._arrived.append(delivery)
                continue
            self._settled.append(sent)
            known = self._requests.get(sent.receiver)
            if delivery.message_payload is not None and (known is None or known.transmission.sent_us < sent.sent_us):
                self._requests[sent.receiver] = delivery

    def _transmit(self, looks: Sequence[_Look], bodies: FloatArray, owners: tuple[str, ...]) -> None:
        graph = self._graph([look.sweep for look in looks])
        own, *others = looks
        messages = []
        for look in others:
            message = Message(look.sweep.agent, self._ego, self._captures, look.sweep.time_us, cut(look.payload))
            messages.append(message)
        if self._codec.asks:
            parts = (own.payload,) if own.payload else ()
            for name in heard_by(graph, self._ego):
                messages.append(Message(self._ego, name, self._captures, own.sweep.time_us, parts))
        self._captures += 1
        antennas = tuple((look.sweep.agent, look.sweep.world_from_lidar) for look in looks)
        self._link.send(messages, graph, Surroundings(antennas, bodies, owners, self._buildings))

    def _to_fuse(self, own: _Look, objects: Sequence[TruthObject]) -> _Capture:
        world_from_agent = agent_pose(own.sweep)
        boxes, labels, ids = users_in_range(objects, world_from_agent, self._grid)
        seen = np.array([self._returns[index] > 0 for index in ids.tolist()], bool)
        oracle = Detections(boxes, np.ones(len(boxes)), labels)
        return _Capture(own.sweep.time_us, own.view, world_from_agent, boxes[seen], labels[seen], oracle)

    def with_returns(self, objects: Sequence[TruthObject]) -> tuple[TruthObject, ...]:
        """The objects with their LiDAR returns at the newest capture."""
        return tuple(replace(item, returns=self._returns.get(item.id, 0)) for item in objects)

    # -------------------------------------------------------------------------------------------------- fusion

    def fuse(self, now: int, clock: Stopwatch) -> Perceived | None:
        """Fuses the capture that waits with the messages that have arrived; the result that has become known by now.

        The tracker has taken it in.
        """
        capture, self._pending = self._pending, None
        if capture is not None:
            shared = self._receive(now)
            clock.lap("decode")
            self._detected.append((now + self._detect_us, self._perceive(capture, shared)))
        perceived = None
        if self._detected and self._detected[0][0] <= now:
            perceived = self._detected.popleft()[1]
            self.tracker.update(perceived.detections, perceived.world_from_agent, perceived.time_us)
        clock.lap("detect")
        return perceived

    def _perceive(self, capture: _Capture, shared: Sequence[Shared]) -> Perceived:
        if isinstance(self._codec, OracleCodec):
            detections = capture.oracle
        else:
            detections = self._detector.finish(capture.ego_view, shared, self._pool, correction=self._correction)
        return Perceived(
            capture.time_us, capture.world_from_agent, detections, capture.truth_boxes, capture.truth_labels
        )

    def _receive(self, now: int) -> list[Shared]:
        """Of every sender's fresh messages that have come since the last fusion the one captured last, by sender."""
        newest: dict[AgentName, Shared] = {}
        self._collect(now)
        deliveries, self._arrived = self._arrived, []
        for delivery, shared in zip(deliveries, self._pool.map(self._decode, deliveries), strict=True):
            outcome = delivery.transmission.outcome
            if delivery.message_payload is not None:
                outcome = Outcome.REJECTED if shared is None else self._timeliness(shared, now)
                if shared is not None and outcome is Outcome.DELIVERED:
                    sender = delivery.transmission.sender
                    newest[sender] = max(newest.get(sender, shared), shared, key=lambda item: item.time_us)
            self._settled.append(replace(delivery.transmission, outcome=outcome))
        return [newest[name] for name in sorted(newest)]

    def _decode(self, delivery: Delivery) -> Shared | None:
        """What arrived, or None where nothing did or nothing could be read."""
        if delivery.message_payload is None:
            return None
        try:
            shared: Shared = self._codec.decode(delivery.message_payload)
        except PayloadError:
            return None
        return shared

    @staticmethod
    def _timeliness(shared: Shared, now: int) -> Outcome:
        return Outcome.DELIVERED if now - shared.time_us <= MAX_MESSAGE_AGE_US else Outcome.LATE

    def settled(self, last: bool) -> tuple[Transmission, ...]:
        """The transmissions whose fate was decided since the last call; at the last tick also those on their way.

        Of these, what would have arrived comes too late; what was lost or empty is that. Messages to the ego come
        first, then its requests.
        """
        settled, self._settled = self._settled, []
        if last:
            waiting = [item.transmission for item in (*self._arrived, *self._link.pending)]
            settled += [
                replace(item, outcome=Outcome.LATE) if item.outcome is Outcome.DELIVERED else item for item in waiting
            ]
        return tuple(sorted(settled, key=lambda item: item.receiver != self._ego))
