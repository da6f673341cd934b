"""Where2comm: the cells in which the sender is confident and the receiver is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from carla_cp.codecs.bitstream import HEADER_BYTES, PayloadError, cut
from carla_cp.codecs.requests import OUTSIDE, wanted
from carla_cp.codecs.where2comm import THRESHOLD, Where2commCodec, selection, smoothed
from carla_cp.codecs.where2comm_cells import CodedCells
from carla_cp.geometry import compose
from carla_cp.types import Pose, Stage
from tests.codecs.fake import FakeView, fake_view


def codec(variant: str = "") -> Where2commCodec:
    result = Where2commCodec().eval()
    result.variant = variant
    return result


def test_confidence_is_smoothed_as_a_plain_loop_does() -> None:
    confidence = torch.rand(9, 12, generator=torch.Generator().manual_seed(1))
    weights = np.array([[np.exp(-(r * r + c * c) / 2) for c in range(-2, 3)] for r in range(-2, 3)])
    weights /= weights.sum()
    padded = np.pad(confidence.numpy(), 2)
    found = smoothed(confidence)
    for row in range(9):
        for column in range(12):
            wanted_value = (padded[row : row + 5, column : column + 5] * weights).sum()
            assert float(found[row, column]) == pytest.approx(wanted_value, abs=1e-6)


def test_selection_is_the_product_of_confidence_and_demand() -> None:
    heat = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(2))
    demand = np.linspace(0.01, 1, 64, dtype=np.float32).reshape(8, 8)
    assert torch.equal(selection(heat, None), smoothed(heat.amax(0)))
    assert torch.equal(selection(heat, demand), smoothed(heat.amax(0)) * torch.from_numpy(demand))


@pytest.mark.parametrize("stage", [Stage.BEV, Stage.BLOCK1])
@pytest.mark.parametrize("budget", [None, 500, 4000])
def test_sent_cells_arrive_as_forward_says_at_their_precision(stage: Stage, budget: int | None) -> None:
    view, coder = replace(fake_view(), tap=stage), codec()
    payload = coder.encode(view, budget)
    header, symbols = coder.parse(payload)
    shared = coder.reconstruct(header, symbols)
    assert isinstance(symbols, CodedCells)
    assert shared.features is not None and shared.valid is not None and shared.stage is stage
    assert bool(shared.valid.all()) is (budget is None)
    features = view.bev if stage is Stage.BEV else view.block1
    with torch.no_grad():
        expected = coder(features[None], symbols.precision, stage)[0]
    assert torch.equal(shared.features[:, shared.valid], expected[:, shared.valid])
    assert not shared.features[:, ~shared.valid].any()


def test_the_most_confident_cells_are_sent() -> None:
    view, coder = fake_view(), codec()
    shared = coder.decode(coder.encode(view, 3000))
    assert shared.valid is not None
    score = selection(view.heat, None)
    assert score[shared.valid].min() >= score[~shared.valid].max()


def test_the_paper_sends_floats_of_all_cells_above_its_threshold_and_charges_four_bytes_a_value() -> None:
    view, coder = fake_view(), codec("paper")
    header, symbols = coder.parse(coder.encode(view, None))
    shared = coder.reconstruct(header, symbols)
    assert shared.features is not None and shared.valid is not None
    above = selection(view.heat, None) > THRESHOLD
    assert torch.equal(shared.valid, above) and int(above.sum()) > 0
    assert torch.equal(shared.features, torch.where(above, view.bev, 0.0))
    assert coder.formula_bytes(symbols) == int(above.sum()) * 64 * 4
    assert codec().parse(coder.encode(view, None))[1].cells.shape == symbols.cells.shape


def test_a_request_moves_the_message_to_what_the_receiver_sees_itself_and_what_it_does_not() -> None:
    coder, view = codec(), fake_view()
    far = replace(view, world_from_agent=compose(view.world_from_agent, Pose(x=60.0)))
    request = coder.request(far)
    plain, asked = (coder.decode(coder.encode(view, 900, each)) for each in (None, request))
    assert plain.valid is not None and asked.valid is not None
    demand = wanted(request, coder, view)
    assert demand is not None
    outside = torch.from_numpy(demand <= OUTSIDE)
    assert int((plain.valid & outside).sum()) > 0
    hot = selection(view.heat, None) > 0.05
    assert bool((asked.valid & ~outside)[hot & ~outside].any())
    assert int((asked.valid & outside).sum()) < int((plain.valid & outside).sum())


def test_a_bad_request_changes_nothing() -> None:
    coder, view = codec(), fake_view()
    plain = coder.encode(view, 900)
    stale = replace(view, sweep=replace(view.sweep, time_us=view.sweep.time_us + 2_000_000))
    for bad in (b"", b"x" * 70, plain, coder.request(stale), Where2commCodec(fingerprint=9).request(view)):
        assert coder.encode(view, 900, bad) == plain


def test_lost_packets_cost_their_cells_only() -> None:
    coder, view = codec(), fake_view()
    packets = cut(coder.encode(view, 8000, packet_bytes=600))
    assert len(packets) > 5 and max(map(len, packets)) <= 600
    whole, part = coder.decode(b"".join(packets)), coder.decode(b"".join(packets[::2]))
    assert whole.features is not None and part.features is not None and part.valid is not None
    assert torch.equal(part.features, whole.features * part.valid)
    assert whole.valid is not None and 0 < int(part.valid.sum()) < int(whole.valid.sum())


def test_packets_with_and_without_coding_are_no_message() -> None:
    view = fake_view()
    packets = [cut(each.encode(view, 4000)) for each in (codec(), codec("paper"))]
    for mixed in (packets[0] + packets[1], packets[1] + packets[0]):
        with pytest.raises(PayloadError, match="with and without coding"):
            codec().parse(b"".join(mixed))


def test_requests_are_small() -> None:
    assert HEADER_BYTES < len(codec().request(fake_view(objects=20))) < 130


def blank(view: FakeView) -> FakeView:
    return replace(view, heat=torch.zeros_like(view.heat))


def test_the_paper_says_nothing_where_nothing_is_above_its_threshold() -> None:
    assert codec("paper").encode(blank(fake_view()), None) == b""
