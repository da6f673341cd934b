"""ERMVP's rates, packets and variant."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
import torch

from carla_cp.codecs.base import PACKET_BYTES
from carla_cp.codecs.bitstream import HEADER_BYTES, PayloadError, cut
from carla_cp.codecs.ermvp import PAPER, SHARES, ErmvpCodec, ErmvpSymbols
from carla_cp.codecs.tokens import LIMIT
from tests.codecs.fake import fake_view


def codec(variant: str = "") -> ErmvpCodec:
    torch.manual_seed(3)
    result = ErmvpCodec().eval()
    result.variant = variant
    return result


def decoded(coder: ErmvpCodec, payload: bytes) -> tuple[ErmvpSymbols, Any]:
    return coder.parse(payload)[1], coder.decode(payload)


def test_without_a_budget_every_cell_arrives_as_forward_says() -> None:
    view, coder = fake_view(), codec()
    payload = coder.encode(view, None, packet_bytes=1 << 20)
    shared = coder.decode(payload)
    with torch.no_grad():
        assert torch.equal(shared.features, coder(view.bev[None])[0][0])
    assert bool(shared.valid.all())


def test_under_a_budget_cells_arrive_as_forward_says_of_the_same_clusters() -> None:
    view, coder = fake_view(), codec()
    symbols, shared = decoded(coder, coder.encode(view, 900))
    _, owner = np.unique(symbols.values, axis=0, return_inverse=True)
    assert owner.max() + 1 <= symbols.tokens < len(owner)
    owners = torch.full((1, 128, 128), -1)
    owners[0][torch.from_numpy(symbols.mask)] = torch.from_numpy(owner)
    with torch.no_grad():
        expected = coder(view.bev[None], owners)[0][0]
    np.testing.assert_allclose(shared.features[:, shared.valid], expected[:, shared.valid], atol=1e-5)


def test_a_packet_holds_its_share_of_tokens_and_the_budget_is_used() -> None:
    view, coder = fake_view(), codec()
    payload = coder.encode(view, 3000)
    assert len(payload) > 2850
    for packet in cut(payload):
        symbols = coder.read(packet[HEADER_BYTES:])
        share = SHARES[packet[HEADER_BYTES]]
        assert abs(symbols.tokens - share * symbols.mask.sum()) <= 1 and len(packet) <= PACKET_BYTES


def golden() -> bytes:
    rng = np.random.default_rng(11)
    mask = np.zeros((128, 128), bool)
    mask[40:52, 60:75] = rng.random((12, 15)) < 0.7
    owner = rng.permutation(np.arange(int(mask.sum())) % 30)
    return codec().packet(mask, np.rint(rng.laplace(0, 3, (30, 16))).astype(np.int64).clip(-LIMIT, LIMIT), owner, 1)


def test_bytes_of_given_symbols_never_change() -> None:
    body = golden()
    symbols = codec().read(body)
    assert symbols.tokens == 30 and symbols.mask.sum() == len(symbols.values)
    assert (len(body), zlib.crc32(body)) == (501, 2964395391)


def test_the_paper_keeps_a_fifth_merged_to_a_fifth_and_costs_what_its_formula_says() -> None:
    view, coder = fake_view(), codec("paper")
    payload = coder.encode(view, None)
    symbols, shared = decoded(coder, payload)
    kept, tokens = int(symbols.mask.sum()), symbols.tokens
    assert kept == 3277 and 656 <= tokens < 665  # one of more cells than a packet holds is sent again
    packets = cut(payload)
    assert max(map(len, packets)) <= PACKET_BYTES
    assert coder.formula_bytes(symbols) == 4 * (tokens * 64 + kept) == len(payload) - (HEADER_BYTES + 5) * len(packets)
    own = view.bev[:, shared.valid]
    assert float((shared.features[:, shared.valid] - own).square().mean()) < 0.25 * float(own.var())


def test_bodies_of_unknown_layouts_are_refused() -> None:
    coder = codec("paper")
    body = cut(coder.encode(fake_view(), None))[0][HEADER_BYTES:]
    for bad in (b"", body[:-4], bytes([PAPER]) + bytes(4), bytes([PAPER + 1]) + body[1:]):
        with pytest.raises(PayloadError):
            coder.read(bad)


def test_packets_of_both_kinds_make_no_message() -> None:
    ours, theirs = codec(), codec("paper")
    parts = [ours.read(golden()), theirs.read(cut(theirs.encode(fake_view(), None))[0][HEADER_BYTES:])]
    with pytest.raises(PayloadError, match="features stands among"):
        ours.join(iter(parts))


def test_training_passes_gradients_through_rounding_and_merging() -> None:
    coder = codec().train()
    owners = torch.full((1, 128, 128), -1)
    owners[0, :8, :8] = torch.arange(64).view(8, 8) // 4
    drawn = torch.rand(1, 64, 128, 128, generator=torch.Generator().manual_seed(1))
    features, score, _ = coder(drawn, owners)
    (features * (owners >= 0)[:, None]).square().sum().backward()
    assert score.shape == (1, 128, 128)
    for weights in (coder.down.weight, coder.steps, next(coder.rater.parameters())):
        assert weights.grad is not None and bool(weights.grad.abs().sum() > 0)
