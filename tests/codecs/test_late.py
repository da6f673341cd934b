"""Boxes as messages."""

from __future__ import annotations

import math

import numpy as np
import pytest

from carla_cp.codecs.base import PACKET_BYTES
from carla_cp.codecs.bitstream import PayloadError, cut
from carla_cp.codecs.boxes import MAX_BOXES, SCORE_LEVELS, STEP_M, TURN
from carla_cp.codecs.late import LateCodec
from carla_cp.perception.certainty import nearest_levels, sigmas_of, usual_levels
from carla_cp.types import Detections
from tests.codecs.fake import FakeView, fake_view


def decoded(view: FakeView, budget: int | None) -> Detections:
    codec = LateCodec()
    found = codec.decode(codec.encode(view, budget)).detections
    assert found is not None
    return found


def paper() -> LateCodec:
    codec = LateCodec()
    codec.variant = "paper"
    return codec


def test_boxes_come_back_within_the_quantisation() -> None:
    view = fake_view(objects=30)
    sent, found = view.boxes, decoded(view, None)
    nearest = np.argmin(np.linalg.norm(sent.boxes[:, None, :2] - found.boxes[None, :, :2], axis=2), axis=1)
    assert len(set(nearest.tolist())) == 30
    found = found.take(nearest)
    turned = np.abs(np.remainder(found.boxes[:, 6] - sent.boxes[:, 6] + math.pi, 2 * math.pi) - math.pi)
    assert turned.max() <= math.pi / TURN + 1e-9
    assert np.abs(found.boxes[:, :6] - sent.boxes[:, :6]).max() <= STEP_M / 2 + 1e-9
    assert np.abs(found.scores - sent.scores).max() <= 0.5 / SCORE_LEVELS + 1e-9
    assert (found.labels == sent.labels).all()


def test_boxes_without_standard_deviations_come_with_the_usual_ones() -> None:
    found = decoded(fake_view(objects=30), None)
    assert found.sigmas is not None
    np.testing.assert_allclose(found.sigmas, sigmas_of(usual_levels(found.labels, found.scores, found.boxes)))


def test_a_detectors_own_standard_deviations_arrive_as_their_nearest_level() -> None:
    view = fake_view(objects=5)
    sigmas = np.random.default_rng(2).uniform(0.03, 0.8, (5, 3))
    boxes = view.boxes
    view = FakeView(
        view.sweep,
        view.world_from_agent,
        view.points,
        view.pillars,
        view.bev,
        view.heat,
        Detections(boxes.boxes, boxes.scores, boxes.labels, sigmas),
    )
    found = decoded(view, None)
    assert found.sigmas is not None
    expected = sigmas_of(nearest_levels(sigmas))
    assert sorted(map(tuple, found.sigmas.tolist())) == sorted(map(tuple, expected.tolist()))


def test_the_best_scores_go_first() -> None:
    view = fake_view(objects=60)
    found = decoded(view, 150)
    count = len(found.scores)
    assert 10 < count < 20
    assert np.abs(found.scores - np.sort(view.boxes.scores)[::-1][:count]).max() < 1 / SCORE_LEVELS


def test_many_boxes_fit_in_two_hundred_bytes() -> None:
    assert len(decoded(fake_view(objects=60), 200).scores) >= 15


def test_a_lost_packet_costs_its_boxes_only() -> None:
    codec, view = LateCodec(), fake_view(objects=400)
    packets = cut(codec.encode(view, None))
    assert len(packets) > 1 and max(map(len, packets)) <= PACKET_BYTES
    counts = []
    for lost in range(len(packets)):
        rest = b"".join(packet for index, packet in enumerate(packets) if index != lost)
        found = codec.decode(rest).detections
        assert found is not None
        counts.append(400 - len(found.scores))
    assert sum(counts) == 400 and min(counts) > 0


@pytest.mark.parametrize("codec", [LateCodec(), paper()])
def test_a_flood_of_packets_stays_bounded(codec: LateCodec) -> None:
    packets = [codec.encode(fake_view(seed, objects=200), None) for seed in range(8)]
    found = codec.decode(b"".join(packets)).detections
    assert found is not None and len(found.scores) == MAX_BOXES and (np.diff(found.scores) <= 0).all()
    first = codec.decode(packets[0]).detections
    assert first is not None and len(first.scores) == 200


def test_the_papers_boxes_are_exact_and_cost_what_its_formula_says_and_a_class() -> None:
    view = fake_view(objects=120)
    codec = paper()
    payload = codec.encode(view, None)
    header, symbols = codec.parse(payload)
    found = codec.reconstruct(header, symbols).detections
    assert found is not None and found.sigmas is None
    sent = view.boxes.take(np.argsort(-view.boxes.scores, kind="stable"))
    assert (found.boxes == sent.boxes.astype(np.float32)).all() and (found.labels == sent.labels).all()
    assert codec.formula_bytes(symbols) == 120 * 32
    packets = cut(payload)
    assert len(packets) == 3 and len(payload) == 120 * 33 + 40 * len(packets)


@pytest.mark.parametrize(("at", "value"), [(32, 3), (3, 0x7F), (31, 0x40)])
def test_the_papers_boxes_are_checked(at: int, value: int) -> None:
    codec, view = paper(), fake_view(objects=1)
    body = bytearray(codec.encode(view, None)[40:])
    body[at] = value
    body[at - 1] = 0xFF
    with pytest.raises(PayloadError):
        codec.read(bytes(body))


def test_numbers_that_are_none_are_refused_in_silence() -> None:
    codec = paper()
    body = bytearray(codec.encode(fake_view(objects=1), None)[40:])
    for signalling in (0x7F800001, 0xFFA00000):
        body[8:12] = signalling.to_bytes(4, "little")
        with pytest.raises(PayloadError, match="no number"):
            codec.read(bytes(body))
