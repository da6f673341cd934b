"""Half-float features as bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from carla_cp.codecs.ranking import rank
from carla_cp.codecs.raw import RawCodec, RawShapes
from carla_cp.perception.presets import PRESETS
from carla_cp.types import Stage
from tests.codecs.fake import fake_view


def test_the_whole_stage_arrives_as_forward_says() -> None:
    codec, view = RawCodec(), fake_view()
    payload = codec.encode(view, None)
    shared = codec.decode(payload)
    assert len(payload) == 40 + 2 + 2 * 64 * 128 * 128
    assert shared.features is not None and shared.valid is not None
    assert torch.equal(shared.features, codec(view.bev)) and bool(shared.valid.all())


def test_a_budget_sends_the_cells_that_rank_first() -> None:
    codec, view = RawCodec(), fake_view()
    payload = codec.encode(view, 8000)
    shared = codec.decode(payload)
    assert shared.features is not None and shared.valid is not None
    count = int(shared.valid.sum())
    assert len(payload) >= 8000 - 2 * 64 - 8
    assert set(np.flatnonzero(shared.valid.numpy())) == set(rank(view.heat)[:count])
    assert torch.equal(shared.features[:, shared.valid], codec(view.bev)[:, shared.valid])


@pytest.mark.parametrize("budget", [None, 8000])
def test_the_first_block_is_sent_to_a_fusion_that_takes_every_scale(budget: int | None) -> None:
    codec, view = RawCodec(), replace(fake_view(), tap=Stage.BLOCK1)
    payload = codec.encode(view, budget)
    shared = codec.decode(payload)
    assert shared.stage is Stage.BLOCK1 and shared.features is not None and shared.valid is not None
    assert len(payload) == 40 + 2 + 2 * 32 * 128 * 128 if budget is None else len(payload) <= budget
    assert torch.equal(shared.features[:, shared.valid], codec(view.block1)[:, shared.valid]) and shared.valid.any()


def test_maps_need_not_be_square() -> None:
    shapes = RawShapes.of_config(PRESETS["full"])
    assert shapes == RawShapes((256, 100, 352), (64, 100, 352))
    codec = RawCodec(grid=PRESETS["full"].grid, shapes=RawShapes((64, 100, 128), (32, 100, 128)))
    view = fake_view()
    view = replace(view, bev=view.bev[:, :100].contiguous(), heat=view.heat[:, :100])
    for budget in (None, 4000):
        shared = codec.decode(codec.encode(view, budget))
        assert shared.features is not None and shared.features.shape == (64, 100, 128)
