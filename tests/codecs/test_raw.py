"""Features as they are, as bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from carla_cp.codecs import load_codec
from carla_cp.codecs.bitstream import HEADER_BYTES, cut
from carla_cp.codecs.ranking import rank
from carla_cp.codecs.raw import RawCodec
from carla_cp.codecs.taps import TapShapes
from carla_cp.perception.presets import PRESETS
from carla_cp.types import Stage
from tests.codecs.fake import fake_view


def codec_of(variant: str) -> RawCodec:
    codec = RawCodec()
    codec.variant = variant
    return codec


@pytest.mark.parametrize(("variant", "size"), [("", 2), ("fp16", 2), ("fp32", 4), ("int8", 1)])
def test_the_whole_stage_arrives_as_forward_says(variant: str, size: int) -> None:
    codec, view = codec_of(variant), fake_view()
    payload = codec.encode(view, None)
    header, symbols = codec.parse(payload)
    shared = codec.reconstruct(header, symbols)
    values = 64 * 128 * 128 * size
    assert codec.formula_bytes(symbols) == values and values < len(payload) < 1.1 * values
    assert shared.features is not None and shared.valid is not None
    assert torch.equal(shared.features, codec(view.bev)) and bool(shared.valid.all())


def test_any_precision_reads_what_any_other_sends() -> None:
    payload = codec_of("int8").encode(fake_view(), 2000)
    assert RawCodec().parse(payload)[1].precision.name == "INT8"


def test_no_packet_is_longer_than_asked_and_each_decodes_alone() -> None:
    codec, view = RawCodec(), fake_view()
    for budget in (None, 8000):
        packets = cut(codec.encode(view, budget))
        assert len(packets) > 1 and max(map(len, packets)) <= 1384
        shared = codec.decode(packets[-1])
        assert shared.features is not None and shared.valid is not None and shared.valid.any()
        assert torch.equal(shared.features[:, shared.valid], codec(view.bev)[:, shared.valid])


@pytest.mark.parametrize("variant", ["", "fp32", "int8"])
def test_a_budget_sends_the_cells_that_rank_first(variant: str) -> None:
    codec, view = codec_of(variant), fake_view()
    payload = codec.encode(view, 8000)
    shared = codec.decode(payload)
    assert shared.features is not None and shared.valid is not None
    count = int(shared.valid.sum())
    assert 8000 - 4 * 64 - 2 - HEADER_BYTES < len(payload) <= 8000
    assert set(np.flatnonzero(shared.valid.numpy())) == set(rank(view.heat)[:count])
    assert torch.equal(shared.features[:, shared.valid], codec(view.bev)[:, shared.valid])


@pytest.mark.parametrize("budget", [None, 8000])
def test_the_first_block_is_sent_to_a_fusion_that_takes_every_scale(budget: int | None) -> None:
    codec, view = RawCodec(), replace(fake_view(), tap=Stage.BLOCK1)
    shared = codec.decode(codec.encode(view, budget))
    assert shared.stage is Stage.BLOCK1 and shared.features is not None and shared.valid is not None
    assert bool(shared.valid.all()) is (budget is None)
    assert torch.equal(shared.features[:, shared.valid], codec(view.block1)[:, shared.valid]) and shared.valid.any()


def test_maps_need_not_be_square() -> None:
    codec = RawCodec(grid=PRESETS["full"].grid, shapes=TapShapes((64, 100, 128), (32, 100, 128)))
    view = fake_view()
    view = replace(view, bev=view.bev[:, :100].contiguous(), heat=view.heat[:, :100])
    for budget in (None, 4000):
        shared = codec.decode(codec.encode(view, budget))
        assert shared.features is not None and shared.features.shape == (64, 100, 128)


def test_variants_are_loaded_by_name(checkpoint: Path) -> None:
    assert [load_codec(f"raw:{name}", checkpoint).variant for name in RawCodec.variants] == list(RawCodec.variants)
