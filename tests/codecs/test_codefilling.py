"""CodeFilling's rates, packets, requests and variant."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from carla_cp.codecs.base import PACKET_BYTES, Room
from carla_cp.codecs.bitstream import PayloadError
from carla_cp.codecs.codefilling import THRESHOLD, CodefillingCodec, CodefillingSymbols
from carla_cp.codecs.codefilling_paper import PAPER
from tests.codecs.fake import fake_view


def codec(variant: str = "") -> CodefillingCodec:
    torch.manual_seed(3)
    result = CodefillingCodec().eval()
    for book in result.books:
        book.codebooks.mul_(torch.tensor([20.0, 10.0, 5.0])[:, None, None])
    result.variant = variant
    return result


def test_without_a_budget_every_cell_arrives_as_forward_says() -> None:
    view, coder = fake_view(), codec()
    shared = coder.decode(coder.encode(view, None))
    with torch.no_grad():
        assert torch.equal(shared.features, coder(view.bev[None])[0])
    assert bool(shared.valid.all())


def test_under_a_budget_cells_arrive_as_forward_says_at_their_depth() -> None:
    view, coder = fake_view(), codec()
    for budget in (300, 3000):
        payload = coder.encode(view, budget)
        symbols, shared = coder.parse(payload)[1], coder.decode(payload)
        assert len(payload) > 0.96 * budget
        for depth in np.unique(symbols.depth):
            cells = np.zeros((128, 128), bool)
            cells[symbols.mask] = symbols.depth == depth
            with torch.no_grad():
                expected = coder(view.bev[None], int(depth))[0]
            assert torch.equal(shared.features[:, cells], expected[:, cells])


def test_levels_and_cells_compete_by_what_they_gain_for_a_bit() -> None:
    gain = np.array([[9.0, 9.0, 8.0, 1.0], [5.0, 0.0, 4.0, 0.0], [0.0, 0.0, 3.0, 0.0]])
    room = Room(200, PACKET_BYTES)
    for cost, depths in ((150.0, [2, 1, 3, 1]), (200.0, [2, 1, 2, 1]), (300.0, [1, 1, 1, 1])):
        order, depth = codec().choose(gain, np.full(gain.shape, cost), room)
        assert order.tolist() == [0, 1, 2, 3]
        assert depth.tolist() == depths
    assert codec().choose(gain, np.full(gain.shape, 16.0), Room(None, PACKET_BYTES))[1].tolist() == [3, 3, 3, 3]


def test_cells_outside_of_the_receivers_grid_make_way_for_others() -> None:
    view, coder = fake_view(), codec()
    pose = view.world_from_agent
    beyond = replace(
        view, world_from_agent=replace(pose, x=pose.x + 50 * np.cos(pose.yaw), y=pose.y + 50 * np.sin(pose.yaw))
    )
    left, right = (
        coder.parse(coder.encode(view, 700, request))[1].mask.reshape(128, 2, 64).sum((0, 2))
        for request in (None, coder.request(beyond))
    )
    assert left[0] > 10 and right[0] == 0 and right[1] > left[1]


def test_the_paper_sends_what_is_above_its_threshold_and_not_filled() -> None:
    view, coder = fake_view(), codec("paper")
    view = replace(view, heat=torch.where(view.heat > 0.1, view.heat, torch.zeros(1)))
    payload = coder.encode(view, None)
    symbols = coder.parse(payload)[1]
    np.testing.assert_array_equal(symbols.mask, view.heat.amax(0).numpy() > THRESHOLD)
    assert coder.formula_bytes(symbols) == 6 * symbols.mask.sum()
    with torch.no_grad():
        expected = coder(view.bev[None])[0] * torch.from_numpy(symbols.mask)
    assert torch.equal(coder.decode(payload).features, expected)
    filled = coder.encode(view, None, coder.request(view))
    assert filled and 0 < coder.parse(filled)[1].mask.sum() < 0.6 * symbols.mask.sum()


def golden() -> CodefillingSymbols:
    rng = np.random.default_rng(12)
    mask = np.zeros((128, 128), bool)
    mask[40:52, 60:75] = rng.random((12, 15)) < 0.7
    depth = rng.integers(1, 4, int(mask.sum()))
    indices = rng.integers(0, 256, (3, 2, len(depth))) * (np.arange(3)[:, None, None] < depth)
    return CodefillingSymbols(mask, indices, depth)


def test_bytes_of_given_symbols_never_change() -> None:
    coder, symbols = codec(), golden()
    body = coder.packet(symbols)
    got = coder.read(body)
    for mine, theirs in ((got.mask, symbols.mask), (got.indices, symbols.indices), (got.depth, symbols.depth)):
        np.testing.assert_array_equal(mine, theirs)
    assert (len(body), zlib.crc32(body)) == (581, 4152453166)


def test_bodies_of_unknown_layouts_are_refused() -> None:
    coder = codec()
    body = coder.packet(golden())
    for bad in (b"", bytes([PAPER + 1]) + body[1:], body + bytes(4), body[:-4]):
        with pytest.raises(PayloadError):
            coder.read(bad)


def test_training_passes_gradients_through_the_quantiser() -> None:
    coder = codec().train()
    features = fake_view().bev[None]
    coder(features).square().sum().backward()
    assert coder.down.weight.grad is not None and bool(coder.down.weight.grad.abs().sum() > 0)
    assert torch.allclose(coder(features), coder.eval()(features), atol=1e-4)
