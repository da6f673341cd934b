"""Boxes as bytes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from carla_cp.codecs.bitstream import PayloadError
from carla_cp.codecs.late import LateCodec
from carla_cp.types import Detections
from tests.codecs.fake import FakeView, fake_view


def decoded(view: FakeView, budget: int | None) -> Detections:
    codec = LateCodec()
    found = codec.decode(codec.encode(view, budget)).detections
    assert found is not None
    return found


def test_boxes_come_back_within_the_quantisation() -> None:
    view = fake_view(objects=30)
    found = decoded(view, None)
    wrapped = np.abs(np.remainder(found.boxes[:, 6] - view.boxes.boxes[:, 6] + math.pi, 2 * math.pi) - math.pi)
    assert wrapped.max() < 1e-4
    assert np.abs(found.boxes[:, :4] - view.boxes.boxes[:, :4]).max() <= 0.0051
    assert np.abs(found.boxes[:, 4:6] - view.boxes.boxes[:, 4:6]).max() <= 0.0101
    assert np.abs(found.scores - view.boxes.scores).max() <= 0.5 / 255 + 1e-9
    assert (found.labels == view.boxes.labels).all()


def test_the_best_scores_go_first() -> None:
    view = fake_view(objects=30)
    found = decoded(view, 40 + 14 * 5 + 3)
    assert len(found.scores) == 5
    assert np.abs(found.scores - np.sort(view.boxes.scores)[::-1][:5]).max() < 0.01


def test_a_class_that_does_not_exist_is_refused() -> None:
    codec = LateCodec()
    view = fake_view(objects=1)
    body = codec.body(view, None)
    with pytest.raises(PayloadError, match="no class"):
        codec.read(body[:-1] + b"\x03")
