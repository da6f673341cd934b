"""Half-float features as bytes."""

from __future__ import annotations

import numpy as np
import torch

from carla_cp.codecs.ranking import rank
from carla_cp.codecs.raw import CHANNELS, RawCodec
from tests.codecs.fake import fake_view


def test_the_whole_stage_arrives_as_forward_says() -> None:
    codec, view = RawCodec(), fake_view()
    payload = codec.encode(view, None)
    shared = codec.decode(payload)
    assert len(payload) == 40 + 2 + 2 * CHANNELS * 128 * 128
    assert shared.features is not None and shared.valid is not None
    assert torch.equal(shared.features, codec(view.bev)) and bool(shared.valid.all())


def test_a_budget_sends_the_cells_that_rank_first() -> None:
    codec, view = RawCodec(), fake_view()
    payload = codec.encode(view, 8000)
    shared = codec.decode(payload)
    assert shared.features is not None and shared.valid is not None
    count = int(shared.valid.sum())
    assert len(payload) >= 8000 - 2 * CHANNELS - 8
    assert set(np.flatnonzero(shared.valid.numpy())) == set(rank(view.heat)[:count])
    assert torch.equal(shared.features[:, shared.valid], codec(view.bev)[:, shared.valid])
